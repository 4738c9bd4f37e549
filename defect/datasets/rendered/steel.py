"""The six classes of hot-rolled steel surface, after the looks of the NEU benchmark."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from defect.datasets.neu import CLASSES as STEEL_CLASSES
from defect.datasets.rendered.damage import blob, distance, profile, wander
from defect.datasets.rendered.noise import Array, clouds, grain, grid, smoothstep, streaks

SIDE = 200
SHAPE = (SIDE, SIDE)
Rng = np.random.Generator


def _fine(rng: Rng) -> Array:
    """Return the sensor's grain, slightly correlated between neighbours."""
    return grain(rng, SHAPE, 0.5)


def _bands(rng: Rng, scale: float = 40.0) -> Array:
    """Return soft stripes along the rolling direction (vertical)."""
    return clouds(rng, SHAPE, (260.0, scale), octaves=2)


def _tilt(rng: Rng) -> Array:
    """Return a linear gradient in a random direction, -0.5 to 0.5."""
    y, x = grid(*SHAPE)
    angle = rng.uniform(0, 2 * np.pi)
    return ((x - SIDE / 2) * np.cos(angle) + (y - SIDE / 2) * np.sin(angle)) / SIDE


def _crazing(rng: Rng) -> Array:
    rough = grain(rng, SHAPE, 0.62) + 0.5 * clouds(rng, SHAPE, (2.5, 5), octaves=2)
    level = rng.normal(150, 16) + 10 * _bands(rng) + 6 * _bands(rng, 14) + 18 * _tilt(rng)
    picture = level + rng.uniform(13, 19) * rough
    for scale, depth in (((9.0, 24.0), 66.0), ((16.0, 34.0), 54.0)):
        field = clouds(rng, SHAPE, scale, octaves=3, gain=0.4)
        # Cracks run where a stretched noise field crosses zero, in broken pieces.
        line = np.exp(-((field / 0.13) ** 2))
        pieces = smoothstep(0.0, 1.1, clouds(rng, SHAPE, (18, 40), octaves=2))
        picture = picture - rng.uniform(0.7, 1.1) * depth * line * pieces
    if rng.random() < 0.25:
        row, column = rng.uniform(0, SIDE, 2).tolist()
        stain = blob(rng, SHAPE, (row, column), rng.uniform(5, 14), ragged=0.6, edge=0.5)
        picture = picture - 55 * stain
    return picture


def _inclusion(rng: Rng) -> Array:
    level = rng.uniform(150, 190) if rng.random() < 0.15 else rng.uniform(75, 125)
    picture = level * (1 + 0.065 * _bands(rng, 45) + 0.02 * _bands(rng, 10) + 0.16 * _tilt(rng))
    picture = picture + 0.008 * level * clouds(rng, SHAPE, (16, 6), octaves=2)
    depth = rng.uniform(0.22, 0.48) * level
    for _ in range(int(rng.integers(1, 3))):
        column = rng.uniform(0.1, 0.9) * SIDE
        style = rng.random()
        if style < 0.4:
            path = wander(
                rng,
                (rng.uniform(-60, 60), column),
                np.pi / 2 + rng.normal(0, 0.03),
                rng.uniform(120, 280),
                turn=0.03,
                step=8,
            )
            far, along = distance(SHAPE, path, 16)
            width = rng.uniform(2.0, 6.0) * (0.35 + 0.65 * profile(rng, along, roughness=0.6))
            edge = far + 1.0 * clouds(rng, SHAPE, (14, 4), octaves=2)
            mark = smoothstep(1.5, 0.3, edge / width) * smoothstep(0, 0.12, along)
            picture = picture - depth * mark * smoothstep(1, 0.88, along)
            continue
        spread = rng.uniform(3, 12) if style < 0.7 else 45
        for _ in range(int(rng.integers(4, 18))):
            spot = (rng.uniform(0, SIDE), column + rng.normal(0, spread))
            mark = blob(
                rng,
                SHAPE,
                spot,
                rng.uniform(2.2, 5.5),
                ragged=0.16,
                edge=0.5,
                stretch=rng.uniform(3.0, 7.0),
                angle=np.pi / 2 + rng.normal(0, 0.06),
            )
            picture = picture - depth * rng.uniform(0.3, 1.2) * mark
    return picture + rng.uniform(1.4, 2.3) * _fine(rng)


def _patches(rng: Rng) -> Array:
    dark = rng.random() < 0.25
    level = rng.uniform(60, 95) if dark else rng.uniform(170, 225)
    rough = (
        grain(rng, SHAPE, 0.62)
        + 0.5 * streaks(rng, SHAPE, 6, vertical=True)
        + 0.4 * clouds(rng, SHAPE, (7, 4), octaves=2)
    )
    noise = (9.0 if dark else rng.uniform(12, 18)) * rough
    picture = level * (1 + 0.10 * _bands(rng, 60) + 0.25 * _tilt(rng))
    picture = picture + 0.08 * level * clouds(rng, SHAPE, 28, octaves=3)
    cover: Array = np.zeros(SHAPE, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        column, row = rng.uniform(0.1, 0.9) * SIDE, rng.uniform(-0.1, 0.6) * SIDE
        for _ in range(int(rng.integers(2, 5))):
            spot = blob(
                rng,
                SHAPE,
                (row, column + rng.normal(0, 8)),
                rng.uniform(18, 38),
                ragged=0.24,
                edge=0.38,
                stretch=rng.uniform(1.0, 2.2),
                angle=np.pi / 2,
            )
            cover = np.maximum(cover, spot * rng.uniform(0.8, 1.0))
            row += rng.uniform(30, 60)
    inner = 1 + 0.10 * clouds(rng, SHAPE, 14, octaves=3)
    picture = picture * (1 - rng.uniform(0.55, 0.75) * cover * inner)
    picture = picture + noise * (1 - 0.6 * cover)
    if rng.random() < 0.5:
        field = clouds(rng, SHAPE, 9, octaves=3, gain=0.7)
        where = smoothstep(0.4, 1.2, clouds(rng, SHAPE, 70))
        picture = picture - 110 * smoothstep(1.1, 1.6, field) * where
    return picture


def _pitted(rng: Rng) -> Array:
    level = rng.uniform(145, 225) if rng.random() < 0.87 else rng.uniform(95, 140)
    picture = level * (1 + 0.42 * _tilt(rng) + 0.05 * _bands(rng, 60))
    fine = smoothstep(0.2, 1.7, grain(rng, SHAPE, (1.9, 1.4)))
    style = rng.random()
    if style < 0.35:
        pits = fine
        depth = rng.uniform(0.14, 0.28)
    else:
        # Round pits: sharpened peaks of noise, of two sizes.
        size = rng.uniform(5.0, 8.5)
        cut = rng.uniform(0.8, 1.6)
        pits = smoothstep(cut, cut + 0.7, grain(rng, SHAPE, (size * 0.5, size * 0.38)))
        small = grain(rng, SHAPE, (size * 0.3, size * 0.25))
        pits = np.maximum(pits, 0.7 * smoothstep(cut + 0.2, cut + 1.0, small))
        depth = rng.uniform(0.22, 0.5)
    if rng.random() < 0.45:
        column = SIDE * rng.uniform(0.3, 0.7)
        _, x = grid(*SHAPE)
        side = 1 if rng.random() < 0.5 else -1
        zone = smoothstep(-2.0, 2.0, side * (x - column - 7 * clouds(rng, SHAPE, (80, 250))))
        pits = pits * zone
        picture = picture * (1 - 0.10 * fine * (1 - zone)) + side * zone * rng.uniform(-12, 18)
    else:
        pits = pits * smoothstep(-1.4, 0.2, clouds(rng, SHAPE, (150, 60)))
        picture = picture * (1 - rng.uniform(0.0, 0.06) * fine)
    picture = picture * (1 - depth * pits * (1 + 0.2 * clouds(rng, SHAPE, 14)))
    return picture + rng.uniform(2.0, 3.6) * _fine(rng)


def _rolled(rng: Rng) -> Array:
    level = rng.uniform(72, 95) if rng.random() < 0.25 else rng.uniform(105, 152)
    contrast = level / 130
    picture = level + contrast * (
        14 * _tilt(rng) + 7 * _bands(rng) + 7 * clouds(rng, SHAPE, (22, 40), octaves=3)
    )
    texture = streaks(rng, SHAPE, 5, thickness=0.4) + 0.5 * streaks(rng, SHAPE, 13, thickness=0.8)
    # The texture leans a little off the rolling direction.
    lean = (rng.normal(0, 0.15) * np.arange(SIDE)).astype(int)
    y, _ = grid(*SHAPE)
    texture = texture[(y.astype(int) + lean) % SIDE, np.arange(SIDE)]
    picture = picture + contrast * (rng.uniform(4.5, 6.5) * texture + 4.5 * _fine(rng))
    zone = smoothstep(-0.6, 1.0, clouds(rng, SHAPE, 60, octaves=2))
    field = clouds(rng, SHAPE, (4.0, 8.5), octaves=2) + 0.25 * texture
    flake = smoothstep(1.0, 2.4, field) * zone
    # Each flake throws a small shadow above and catches light below.
    relief = np.roll(flake, 2, axis=0) - np.roll(flake, -1, axis=0)
    return picture - contrast * 58 * flake + contrast * 26 * relief


def _scratches(rng: Rng) -> Array:
    level = rng.uniform(50, 130)
    picture = level + 9 * _bands(rng, 35) + 3 * _bands(rng, 8) + 14 * _tilt(rng)
    if rng.random() < 0.35:
        picture = picture - 12 * smoothstep(0.5, 2.0, clouds(rng, SHAPE, (130, 14), octaves=3))
    heading = np.pi / 2 if rng.random() < 0.6 else 0.0
    rough = clouds(rng, SHAPE, (12, 3) if heading else (3, 12), octaves=2)
    across = rng.uniform(0.1, 0.9) * SIDE
    together = rng.random() < 0.3
    for number in range(int(rng.integers(4, 9)) if together else int(rng.integers(1, 4))):
        turn = rng.normal(0, 0.012)
        if number == 1 and rng.random() < 0.25:
            turn = rng.uniform(0.2, 0.5)
        across = across + rng.normal(0, 6) if together else rng.uniform(0.08, 0.92) * SIDE
        begin = rng.uniform(-60, 80)
        start = (begin, across) if heading else (across, begin)
        path = wander(rng, start, heading + turn, rng.uniform(90, 290), turn=0.004, step=10)
        far, along = distance(SHAPE, path)
        width = rng.uniform(1.0, 3.6)
        core = np.exp(-(((far + 0.5 * rough) / width) ** 2))
        core = core * profile(rng, along, knots=8, roughness=0.5, taper=0.2) * (1 + 0.2 * rough)
        glow = np.exp(-far / 4) * smoothstep(0, 0.1, along) * smoothstep(1, 0.9, along)
        picture = picture + rng.uniform(60, 145) * core + 5 * glow
    return picture + rng.uniform(1.8, 3.0) * _fine(rng)


_DRAW: dict[str, Callable[[Rng], Array]] = dict(
    zip(STEEL_CLASSES, (_crazing, _inclusion, _patches, _pitted, _rolled, _scratches), strict=True)
)


def draw_steel(class_name: str, rng: Rng) -> Array:
    """Return a 200x200x3 uint8 grey picture of one of STEEL_CLASSES."""
    picture = _DRAW[class_name](rng)
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)
