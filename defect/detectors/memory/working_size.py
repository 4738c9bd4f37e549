"""The size photos are inspected at: their aspect ratio, a fixed area, sides the network takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

MULTIPLE = 32
"""Of sides: a block of 4×4 cells of 8 pixels, and twice the extractor's stride."""
SIDE = 384
"""Geometric mean of height and width."""
MOST_STRETCHED = 6.0
"""Aspect ratios beyond are squeezed to it."""


def working_size(shapes: Sequence[tuple[int, ...]], side: int = SIDE) -> tuple[int, int]:
    """(height, width) for photos of these shapes, by their median aspect ratio."""
    ratio = float(np.exp(np.median([math.log(shape[0] / shape[1]) for shape in shapes])))
    ratio = min(max(ratio, 1 / MOST_STRETCHED), MOST_STRETCHED)
    height, width = side * math.sqrt(ratio), side / math.sqrt(ratio)
    return (
        max(MULTIPLE, round(height / MULTIPLE) * MULTIPLE),
        max(MULTIPLE, round(width / MULTIPLE) * MULTIPLE),
    )
