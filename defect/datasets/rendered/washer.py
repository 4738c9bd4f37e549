"""A turned and chamfered steel washer on a dark matt table."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from defect.datasets.rendered.camera import SHAPE, Maker, Pose, Surface, pose
from defect.datasets.rendered.damage import (
    bared,
    blob,
    distance,
    groove,
    log_uniform,
    profile,
    rusted,
    wander,
)
from defect.datasets.rendered.noise import clouds, grain, smoothstep

DEFECTS = ("nick", "scratch", "rust")
OUTER, INNER, CHAMFER = 124.0, 60.0, 6.5


def washer(rng: np.random.Generator) -> Maker:
    """Return a maker of one washer, whole or damaged."""
    at = pose(rng)
    r = at.radius / rng.uniform(0.992, 1.008) + 0.12 * clouds(rng, SHAPE, 30)
    coverage = smoothstep(0.8, -0.8, r - OUTER) * smoothstep(-0.8, 0.8, r - INNER)
    beyond, within = np.maximum(r - (OUTER - CHAMFER), 0), np.maximum(INNER + CHAMFER - r, 0)
    drop = beyond + within

    # Turning marks: one profile along the radius, from fine grooves to slow waves.
    marks = np.cumsum(rng.normal(0, 1, 700)) * 0.04 + rng.normal(0, 1, 700)
    marks = np.convolve(marks, [0.25, 0.5, 0.25], "same").astype(np.float32)
    rings = marks[np.clip(at.radius * 3, 0, 699).astype(np.int32)]
    sway = np.repeat(np.cumsum(rng.normal(0, 0.03, 60)), 4).astype(np.float32)
    sway = sway[np.clip(at.radius, 0, 239).astype(np.int32)]
    bearing = float(np.radians(rng.uniform(-142, -128)))
    # Concentric marks gather the lamp into two opposite bright sectors.
    lobe = np.abs(np.cos(at.theta - bearing - 0.5 * sway))
    lobe2 = lobe * lobe
    lobe6 = lobe2 * lobe2 * lobe2
    second = np.cos(at.theta - bearing - 1.9) ** 2
    face = 0.09 + 0.36 * lobe6 + 0.09 * lobe2 + 0.07 * second**6
    face *= (1 + 0.13 * rings * (0.5 + lobe2)) * (1 + 0.04 * clouds(rng, SHAPE, 9, octaves=3))
    side = np.sign(beyond) - np.sign(within)
    towards = 0.5 + 0.5 * np.cos(at.theta - bearing) * side
    bevel = (0.10 + 0.50 * towards**3) * (1 + 0.05 * clouds(rng, SHAPE, 20))
    steel = face + smoothstep(0, 1.2, drop) * (bevel - face)
    # Handling polishes the lip between face and bevel.
    lip = np.exp(-((drop - 0.3) ** 2) / 0.6) * (drop > 0)
    steel = np.maximum(steel + 0.12 * lip * (0.4 + towards), 0.02)
    tint = np.array([0.98, 0.99, 1.0], np.float32)
    tint *= (1 + rng.normal(0, 0.008, 3)).astype(np.float32)
    table = 0.026 * (1 + 0.12 * grain(rng, SHAPE, 0.8) + 0.08 * clouds(rng, SHAPE, 40, octaves=3))
    background = table[..., None] * np.array([1.0, 1.02, 1.08], np.float32)
    part = Surface(
        -0.45 * drop + 0.06 * rings,
        steel[..., None] * tint,
        None,
        coverage,
        background,
        ambient=0.45,
        shadow_shift=(5.0, 6.0),
        shadow=0.75,
    )
    return partial(_damaged, part, at)


def _damaged(part: Surface, at: Pose, defect: str, hurt: np.random.Generator) -> Surface:
    if defect == "nick":
        return _nicked(part, at, hurt)
    if defect == "scratch":
        return _scratched(part, at, hurt)
    if defect == "rust":
        spread = np.zeros(SHAPE, np.float32)
        for _ in range(int(hurt.integers(1, 4))):
            centre = at.polar(hurt.uniform(INNER + 8, OUTER - 8), hurt.uniform(0, 2 * np.pi))
            spread = np.maximum(
                spread, blob(hurt, SHAPE, centre, log_uniform(hurt, 9, 30), ragged=0.32, edge=0.5)
            )
        return rusted(part, spread, hurt)
    return part


def _nicked(part: Surface, at: Pose, hurt: np.random.Generator) -> Surface:
    assert part.coverage is not None
    angle = hurt.uniform(0, 2 * np.pi)
    outside = hurt.random() < 0.65
    size = log_uniform(hurt, 14, 42 if outside else 26)
    edge = OUTER + 0.35 * size if outside else INNER - 0.35 * size
    centre = at.polar(edge, angle)
    shape = {"stretch": hurt.uniform(1.0, 1.7), "angle": angle + np.pi / 2}
    bite = blob(hurt, SHAPE, centre, size * 0.75, ragged=0.10, edge=0.06, **shape)
    torn = blob(hurt, SHAPE, centre, size, ragged=0.11, edge=0.06, **shape)
    facet = clouds(hurt, SHAPE, 14, octaves=3, gain=0.4)
    face = np.maximum(torn - bite, 0)
    shine = np.clip(0.20 + 0.07 * facet, 0.04, 0.8)[..., None]
    # Metal pushed aside stands up as a bright lip round the nick.
    lip = 4 * torn * (1 - torn)
    return replace(
        part,
        height=part.height + face * (1.5 * facet - 2.5) + 0.8 * lip,
        albedo=part.albedo + (0.9 * face)[..., None] * (shine - part.albedo),
        coverage=part.coverage * (1 - bite),
    )


def _scratched(part: Surface, at: Pose, hurt: np.random.Generator) -> Surface:
    height, albedo = part.height, part.albedo
    angle = hurt.uniform(0, 2 * np.pi)
    # Across the turning marks, where it shows.
    lean = hurt.choice([0, np.pi]) + hurt.normal(0, 0.6)
    for stroke in range(int(hurt.integers(1, 4))):
        bearing = angle + 0.12 * stroke * hurt.normal(1, 0.3)
        path = wander(
            hurt,
            at.polar(hurt.uniform(INNER + 14, OUTER - 14), bearing),
            angle + lean + hurt.normal(0, 0.08),
            log_uniform(hurt, 50, 130) * 0.8**stroke,
            turn=0.04,
        )
        far, along = distance(SHAPE, path)
        strength = profile(hurt, along) * 0.8**stroke
        width = hurt.uniform(0.8, 1.4)
        height = height + groove(far, strength, width, hurt.uniform(0.6, 1.1))
        albedo = bared(albedo, far, strength, width)
    return replace(part, height=height, albedo=albedo)
