"""A moulded, knurled bottle cap on a light table."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from defect.datasets.rendered.camera import SHAPE, SIZE, Maker, Pose, Surface, pose
from defect.datasets.rendered.damage import blob, distance, log_uniform, wander
from defect.datasets.rendered.noise import Array, clouds, grain, smoothstep

DEFECTS = ("crack", "chip", "contamination")
OUTER = 121.0
# Where the top ends and the knurled wall begins.
RIM = 104.0
KNURLS = 66
BLUE = np.array([0.022, 0.10, 0.31], np.float32)


@lru_cache(maxsize=1)
def _lettering() -> Array:
    """Return the raised lettering on a 320x320 field (0 flat, 1 raised)."""
    image = Image.new("L", SHAPE, 0)
    draw = ImageDraw.Draw(image)
    middle = SIZE / 2
    draw.text((middle, middle - 33), "PE-HD", 255, font=ImageFont.load_default(30), anchor="mm")
    draw.text((middle, middle + 36), "28 mm", 255, font=ImageFont.load_default(18), anchor="mm")
    return ndimage.gaussian_filter(np.asarray(image, np.float32) / 255.0, 0.9)


def cap(rng: np.random.Generator) -> Maker:
    """Return a maker of one cap, whole or damaged."""
    at = pose(rng)
    turn = float(np.radians(rng.uniform(-5, 5)))
    size = rng.uniform(0.99, 1.01)
    # A little ovality, as mouldings shrink unevenly.
    r = at.radius / size * (1 + 0.004 * np.cos(2 * (at.theta - rng.uniform(0, np.pi))))
    knurl = np.cos(KNURLS * (at.theta - turn))
    ridge = np.sign(knurl) * np.sqrt(np.abs(knurl))
    silhouette = smoothstep(0.8, -0.8, r - OUTER - 1.3 * ridge)
    wall = np.maximum(r - RIM, 0)
    height = -0.9 * np.sqrt(wall * (wall + 6)) - 0.02 * wall**2
    height += 1.1 * ridge * smoothstep(2, 7, wall)
    height += 1.6 * np.exp(-(((r - RIM + 5) / 4.0) ** 2))
    height -= 3.0 * smoothstep(RIM - 15, RIM - 20, r)
    height += 0.9 * np.exp(-(((r - 70) / 1.8) ** 2))
    # The gate: where the plastic entered the mould.
    height += 1.3 * np.exp(-((r / 5.5) ** 4)) - 1.1 * np.exp(-((r / 2.0) ** 2))
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    unturn = np.array([[cos, -sin], [sin, cos]])
    shift = (SIZE - 1) / 2 - unturn @ np.array([at.row, at.column])
    height += 1.7 * ndimage.affine_transform(_lettering(), unturn, shift, order=1)
    matt = smoothstep(RIM - 19, RIM - 21, r)
    texture = grain(rng, SHAPE, 0.6)
    height += 0.045 * matt * texture + 0.25 * clouds(rng, SHAPE, 40)
    flow = clouds(rng, SHAPE, 45, octaves=3)
    colour = BLUE * np.float32(rng.uniform(0.94, 1.06))
    albedo = colour * (1 + 0.03 * flow + 0.02 * texture)[..., None]
    dust = 0.12 * np.maximum(grain(rng, SHAPE, 0.6) - 3.3, 0)
    # A softbox at the upper left shows as a broad sheen on the plastic.
    sheen = smoothstep(150, -120, 0.7 * (at.dx + at.dy) + 12 * clouds(rng, SHAPE, 90))
    albedo += (dust + 0.035 * sheen)[..., None]
    table = 0.58 * (1 + 0.02 * clouds(rng, SHAPE, 50, octaves=3) + 0.015 * grain(rng, SHAPE, 0.6))
    background = table[..., None] * np.array([1.0, 0.985, 0.96], np.float32)
    part = Surface(
        height,
        albedo,
        0.34 - 0.18 * matt,
        silhouette,
        background,
        shininess=38.0,
        ambient=0.40,
        occlusion=0.07,
    )
    return partial(_damaged, part, at)


def _damaged(part: Surface, at: Pose, defect: str, hurt: np.random.Generator) -> Surface:
    if defect == "crack":
        return _cracked(part, at, hurt)
    if defect == "chip":
        return _chipped(part, at, hurt)
    if defect == "contamination":
        return _soiled(part, at, hurt)
    return part


def _cracked(part: Surface, at: Pose, hurt: np.random.Generator) -> Surface:
    height, albedo, gloss = part.height, part.albedo, part.gloss
    angle = hurt.uniform(0, 2 * np.pi)
    inwards = angle + np.pi
    path = wander(
        hurt,
        at.polar(RIM * hurt.uniform(0.96, 1.1), angle),
        inwards + hurt.normal(0, 0.3),
        log_uniform(hurt, 50, 160),
        turn=0.26,
        step=5.0,
    )
    paths = [path]
    if hurt.random() < 0.7:
        fork = path[len(path) // 2]
        paths.append(
            wander(
                hurt,
                (fork[0], fork[1]),
                inwards + hurt.normal(0, 0.8),
                hurt.uniform(15, 40),
                turn=0.3,
                step=5.0,
            )
        )
    for number, line in enumerate(paths):
        far, along = distance(SHAPE, line)
        strength = smoothstep(1.0, 0.4, along) * (0.7 if number else 1.0)
        # Plastic whitens with stress beside a crack.
        albedo = albedo + (0.07 * strength * np.exp(-((far / 3.0) ** 2)))[..., None]
        gap = strength * np.exp(-((far / hurt.uniform(0.8, 1.2)) ** 2))
        albedo = albedo * (1 - 0.85 * gap)[..., None]
        gloss = gloss * (1 - gap)
        height = height - 1.6 * gap + 0.5 * strength * np.tanh(far / 3) * np.exp(-far / 5)
    return replace(part, height=height, albedo=albedo, gloss=gloss)


def _chipped(part: Surface, at: Pose, hurt: np.random.Generator) -> Surface:
    angle = hurt.uniform(0, 2 * np.pi)
    size = log_uniform(hurt, 13, 46)
    flat = {"stretch": hurt.uniform(1.0, 1.6), "angle": angle + np.pi / 2}
    bite = blob(
        hurt,
        SHAPE,
        at.polar(OUTER + 0.45 * size, angle),
        size * 0.85,
        ragged=0.10,
        edge=0.05,
        **flat,
    )
    broken = blob(
        hurt, SHAPE, at.polar(OUTER + 0.20 * size, angle), size, ragged=0.13, edge=0.05, **flat
    )
    # A shell-like fracture: ripples round the point that was struck.
    row, column = at.polar(OUTER + size, angle)
    ripple = np.hypot(at.dy + at.row - row, at.dx + at.column - column)
    ripple = np.sin(0.55 * ripple + 1.5 * clouds(hurt, SHAPE, 16))
    rough = clouds(hurt, SHAPE, 4, octaves=2)
    face = np.maximum(broken - bite, 0)
    fresh = (1.35 * BLUE + 0.05) * (1 + 0.08 * rough + 0.06 * ripple)[..., None]
    albedo = part.albedo + face[..., None] * (fresh - part.albedo)
    slope = 0.35 * (at.radius - OUTER)
    cut = -13 - slope + 0.5 * ripple + 0.35 * rough
    return replace(
        part,
        height=part.height + broken * (cut - part.height),
        albedo=albedo,
        gloss=part.gloss * (1 - 0.7 * face),
        coverage=part.coverage * (1 - bite),
    )


def _soiled(part: Surface, at: Pose, hurt: np.random.Generator) -> Surface:
    centre = at.polar(RIM * 0.9 * float(np.sqrt(hurt.random())), hurt.uniform(0, 2 * np.pi))
    radius = log_uniform(hurt, 9, 42)
    smear = blob(
        hurt,
        SHAPE,
        centre,
        radius,
        ragged=0.35,
        edge=0.4,
        stretch=hurt.uniform(1, 2.4),
        angle=hurt.uniform(0, np.pi),
    )
    lumps = smoothstep(0.1, 1.3, clouds(hurt, SHAPE, 7, octaves=3, gain=0.6) + 1.1 * smear)
    around = blob(hurt, SHAPE, centre, radius * 2.0, ragged=0.3, edge=0.6)
    specks = smoothstep(1.9, 2.4, clouds(hurt, SHAPE, 3.0)) * around
    dirt = np.maximum(smear * (0.40 + 0.55 * lumps), 0.8 * specks)
    kind = np.array(
        [[0.045, 0.030, 0.018], [0.15, 0.12, 0.085], [0.012, 0.012, 0.014]], np.float32
    )[hurt.integers(3)]
    soil = kind * (1 + 0.25 * clouds(hurt, SHAPE, 5, octaves=2))[..., None]
    return replace(
        part,
        height=part.height + dirt * (0.8 + 0.8 * lumps),
        albedo=part.albedo + dirt[..., None] * (soil - part.albedo),
        gloss=part.gloss * (1 - 0.6 * dirt),
    )
