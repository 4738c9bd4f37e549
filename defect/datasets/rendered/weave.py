"""A twill cloth of slate warp and ecru weft."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from defect.datasets.rendered.camera import SHAPE, Maker, Surface, somewhere
from defect.datasets.rendered.damage import blob, distance, log_uniform, wander
from defect.datasets.rendered.noise import Array, clouds, grain, grid, smoothstep, streaks

DEFECTS = ("broken_thread", "pulled_thread", "stain")
PITCH = 12.0
TURN = 2 * np.pi
# Height of the floor seen through the gaps, in units of the pitch.
BARE = -0.75


@dataclass(frozen=True)
class Yarns:
    """Everything random about one piece of cloth; u and v count threads across and down."""

    u: Array
    v: Array
    warp_width: Array
    weft_width: Array
    warp_bulge: Array
    weft_bulge: Array
    warp_tone: Array
    weft_tone: Array
    warp_fibre: Array
    weft_fibre: Array
    mottle: Array
    fluff: Array
    warp_colour: Array
    weft_colour: Array


def weave(rng: np.random.Generator) -> Maker:
    """Return a maker of one piece of cloth, whole or damaged."""
    y, x = grid(*SHAPE)
    angle = np.radians(rng.normal(0, 0.8))
    pitch = PITCH * rng.uniform(0.98, 1.02)
    phase = rng.uniform(0, 4, 2).tolist()
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    u = (x * cos + y * sin) / pitch + phase[0] + 0.10 * clouds(rng, SHAPE, 70)
    v = (y * cos - x * sin) / pitch + phase[1] + 0.10 * clouds(rng, SHAPE, 70)
    fluff = 0.05 * np.maximum(grain(rng, SHAPE, (0.6, 2.2)) - 2.2, 0)
    per_thread = rng.normal(0, 1, (4, 64)).astype(np.float32)
    return partial(
        _cloth,
        Yarns(
            u=u + 0.045 * clouds(rng, SHAPE, (26, 12)),
            v=v + 0.045 * clouds(rng, SHAPE, (12, 26)),
            warp_width=0.90 + 0.035 * per_thread[0],
            weft_width=0.94 + 0.035 * per_thread[1],
            warp_bulge=0.04 * clouds(rng, SHAPE, (40, 8)),
            weft_bulge=0.04 * clouds(rng, SHAPE, (8, 40)),
            warp_tone=1 + 0.045 * per_thread[2],
            weft_tone=1 + 0.045 * per_thread[3],
            warp_fibre=0.5 * streaks(rng, SHAPE, 7, vertical=True),
            weft_fibre=0.5 * streaks(rng, SHAPE, 7),
            mottle=1 + 0.04 * clouds(rng, SHAPE, 60, octaves=2),
            fluff=fluff,
            warp_colour=np.array([0.28, 0.31, 0.34], np.float32)
            * np.float32(rng.uniform(0.97, 1.03)),
            weft_colour=np.array([0.48, 0.45, 0.38], np.float32)
            * np.float32(rng.uniform(0.97, 1.03)),
        ),
    )


def _round(across: Array, width: Array) -> Array:
    """Return the height of a round thread over its axis offset; far below outside it."""
    room = 1.0 - (2.0 * across / np.maximum(width, 1e-3)) ** 2
    return np.where(room > 0, 0.55 * np.sqrt(np.maximum(room, 0)), np.float32(-3.0))


def _cloth(yarns: Yarns, defect: str, hurt: np.random.Generator) -> Surface:
    u, v = yarns.u, yarns.v
    if defect in ("broken_thread", "pulled_thread"):
        row, column = map(int, somewhere(hurt))
        vertical = bool(hurt.random() < 0.5)
        along, across = (v, u) if vertical else (u, v)
        hit = np.floor(across[row, column])
        length = log_uniform(hurt, 4.0, 12.0)
        t = np.abs(along - along[row, column]) / length
        reach = smoothstep(0.5, 0.5 - 0.6 / length, t)
        # A snag draws its neighbours together along the thread; they also lean into a gap.
        off = across - hit - np.float32(0.5)
        slip, spread = (0.35, 1.6) if defect == "pulled_thread" else (0.22, 0.8)
        across = across + slip * np.exp(-((off / spread) ** 2)) * reach * np.tanh(off * 1.5)
        u, v = (across, v) if vertical else (u, across)

    i, j = np.floor(u), np.floor(v)
    fu, fv = u - i - np.float32(0.5), v - j - np.float32(0.5)
    warp_n, weft_n = i.astype(np.int32) % 64, j.astype(np.int32) % 64
    warp_w = yarns.warp_width[warp_n] + yarns.warp_bulge
    weft_w = yarns.weft_width[weft_n] + yarns.weft_bulge
    quarter = np.float32(np.pi / 2)
    warp_lift = 0.42 * np.cos(quarter * (i + v - 1))
    weft_lift = -0.42 * np.cos(quarter * (u + j - 1))
    gone: Array = np.zeros((1, 1), np.float32)
    if defect == "broken_thread":
        fray = clouds(hurt, SHAPE, 5.0)
        struck = np.floor(across) == hit
        gone = np.where(struck, smoothstep(0.25, 0.75, reach + 0.12 * fray * (reach < 1)), 0)
        gone *= smoothstep(0.5, 0.38, np.abs(across - hit - 0.5))
        # What crossed the lost thread sags into its place.
        if vertical:
            warp_w, weft_lift = warp_w * (1 - gone), weft_lift - 0.15 * gone
            weft_w = weft_w * (1 - 0.06 * gone)
        else:
            weft_w, warp_lift = weft_w * (1 - gone), warp_lift - 0.15 * gone
            warp_w = warp_w * (1 - 0.06 * gone)
    elif defect == "pulled_thread":
        loose = np.where(np.floor(across) == hit, reach, 0)
        lift = loose * (0.9 + 0.1 * clouds(hurt, SHAPE, 5.0))
        if vertical:
            warp_lift, warp_w = warp_lift * (1 - loose) + lift, warp_w + 0.25 * loose
        else:
            weft_lift, weft_w = weft_lift * (1 - loose) + lift, weft_w + 0.25 * loose

    warp, weft = _round(fu, warp_w) + warp_lift, _round(fv, weft_w) + weft_lift
    over = warp >= weft
    top = np.maximum(np.maximum(warp, weft), BARE)
    # Twisted fibres: fine lines slanting across each thread.
    twist = np.sin(TURN * np.where(over, 2.6 * fu + 0.9 * v, 2.6 * fv + 0.9 * u))
    fibre = twist + np.where(over, yarns.warp_fibre, yarns.weft_fibre)
    tone = np.where(over, yarns.warp_tone[warp_n], yarns.weft_tone[weft_n])
    tone = tone * (1 + 0.07 * fibre) * yarns.mottle * (1 - 0.22 * gone)
    tone = tone * (0.35 + 0.65 * smoothstep(BARE, 0.55, top))
    albedo = np.where(over[..., None], yarns.warp_colour, yarns.weft_colour) * tone[..., None]
    albedo = np.where((top <= BARE)[..., None], np.float32(0.05), albedo)
    albedo += yarns.fluff[..., None]
    height = 4.2 * top + 0.12 * fibre
    gloss = np.maximum(0.05 + 0.03 * fibre, 0)

    if defect == "broken_thread":
        colour = yarns.warp_colour if vertical else yarns.weft_colour
        ends = np.argwhere(struck & (np.abs(t - 0.5) < 0.06))
        for _ in range(int(hurt.integers(8, 15)) if len(ends) else 0):
            start = ends[hurt.integers(len(ends))]
            heading = (np.pi / 2 if vertical else 0.0) + hurt.normal(0, 0.8)
            path = wander(
                hurt,
                (start[0], start[1]),
                heading + np.pi * hurt.integers(2),
                hurt.uniform(6, 16),
                turn=0.35,
                step=2.0,
            )
            strand = np.exp(-((distance(SHAPE, path, 4.0)[0] / 0.8) ** 2))
            albedo += 0.8 * strand[..., None] * (1.1 * colour - albedo)
            height = height + strand * np.maximum(3.0 - height, 0) * 0.6
    elif defect == "stain":
        albedo, gloss = _stain(albedo, gloss, hurt)
    return Surface(height, albedo, gloss, shininess=10.0, occlusion=0.10)


def _stain(albedo: Array, gloss: Array, hurt: np.random.Generator) -> tuple[Array, Array]:
    radius = log_uniform(hurt, 12, 50)
    spot = blob(
        hurt,
        SHAPE,
        somewhere(hurt),
        radius,
        ragged=0.22,
        edge=0.22,
        stretch=hurt.uniform(1, 1.8),
        angle=hurt.uniform(0, np.pi),
    )
    # Liquids leave a darker rim where they dry last.
    rim = 4 * spot * (1 - spot)
    wet = spot * (0.75 + 0.12 * clouds(hurt, SHAPE, 9.0, octaves=2)) + 0.2 * rim
    ink = np.array([[0.55, 0.75, 1.05], [0.8, 0.8, 0.8], [0.35, 0.65, 0.95]], np.float32)[
        hurt.integers(3)
    ]
    return albedo * np.exp(-hurt.uniform(0.8, 1.4) * wet[..., None] * ink), gloss + 0.04 * spot
