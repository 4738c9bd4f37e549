"""A sheet of brushed steel."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from defect.datasets.rendered.camera import SHAPE, SIZE, Maker, Surface, somewhere
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
from defect.datasets.rendered.noise import clouds, grid, smoothstep, streaks

DEFECTS = ("scratch", "dent", "corrosion")


def brushed(rng: np.random.Generator) -> Maker:
    """Return a maker of one sheet brushed along the rows, whole or damaged."""
    y, x = grid(*SHAPE)
    lines = (
        0.9 * streaks(rng, SHAPE, 160)
        + 0.7 * streaks(rng, SHAPE, 60, thickness=0.5)
        + 0.6 * streaks(rng, SHAPE, 24)
        + 0.5 * streaks(rng, SHAPE, 90, thickness=2.0)
    ) / 1.4
    broad = clouds(rng, SHAPE, (50, 150), octaves=2)
    middle = SIZE * rng.uniform(0.35, 0.65)
    # Brushing spreads a lamp's reflection into a band across the strokes.
    band = np.exp(-(((x - middle - 0.15 * (y - SIZE / 2)) / rng.uniform(105, 140)) ** 2))
    tint = np.array([0.97, 0.99, 1.0], np.float32)
    tint *= (1 + rng.normal(0, 0.006, 3)).astype(np.float32)
    base = (0.18 + 0.34 * band) * (1 + 0.12 * lines + 0.03 * broad)
    base = np.maximum(base + 0.06 * band * np.maximum(lines - 1.6, 0), 0.02)
    sheet = Surface(0.10 * lines, base[..., None] * tint, shininess=30.0, ambient=0.25)
    return partial(_damaged, sheet)


def _damaged(sheet: Surface, defect: str, hurt: np.random.Generator) -> Surface:
    if defect == "scratch":
        return _scratched(sheet, hurt)
    if defect == "dent":
        return _dented(sheet, hurt)
    if defect == "corrosion":
        spread = blob(
            hurt,
            SHAPE,
            somewhere(hurt),
            log_uniform(hurt, 15, 44),
            ragged=0.32,
            edge=0.55,
            stretch=hurt.uniform(1, 1.6),
        )
        return rusted(sheet, spread, hurt)
    return sheet


def _scratched(sheet: Surface, hurt: np.random.Generator) -> Surface:
    height, albedo = sheet.height, sheet.albedo
    row, column = somewhere(hurt)
    # Along the brushing a scratch would hide, so it runs across.
    heading = np.radians(hurt.uniform(20, 160)) + np.pi * hurt.integers(2)
    for stroke in range(int(hurt.integers(1, 4))):
        start = (row + hurt.normal(0, 9) * stroke, column + hurt.normal(0, 9) * stroke)
        path = wander(
            hurt,
            start,
            heading + hurt.normal(0, 0.06),
            log_uniform(hurt, 70, 230) * 0.75**stroke,
            turn=0.025,
        )
        far, along = distance(SHAPE, path)
        strength = profile(hurt, along) * 0.7**stroke
        width = hurt.uniform(0.7, 1.3)
        height = height + groove(far, strength, width, hurt.uniform(0.35, 0.8))
        albedo = bared(albedo, far, strength, width)
    return replace(sheet, height=height, albedo=albedo)


def _dented(sheet: Surface, hurt: np.random.Generator) -> Surface:
    y, x = grid(*SHAPE)
    row, column = somewhere(hurt)
    radius = log_uniform(hurt, 8, 25)
    stretch, turn = hurt.uniform(1, 1.6), hurt.uniform(0, np.pi)
    cos, sin = float(np.cos(turn)), float(np.sin(turn))
    dy, dx = y - row, x - column
    major, minor = dx * cos + dy * sin, dy * cos - dx * sin
    reach = (major**2 / stretch + minor**2 * stretch) / radius**2
    reach = reach * (1 + 0.10 * clouds(hurt, SHAPE, radius + 4))
    bowl = np.exp(-(np.maximum(reach, 0) ** 1.4))
    crush = smoothstep(0.55, 1.0, bowl)
    worn = 1 - 0.12 * crush * (1 + 0.4 * clouds(hurt, SHAPE, 4))
    return replace(
        sheet,
        height=sheet.height - hurt.uniform(0.42, 0.65) * radius * bowl,
        albedo=sheet.albedo * worn[..., None],
    )
