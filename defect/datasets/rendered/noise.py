"""Random fields the renderers are built from; all float32, zero mean and unit deviation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray


@lru_cache(maxsize=8)
def grid(height: int, width: int) -> tuple[Array, Array]:
    """Return read-only (height, width) float32 row and column coordinates, in pixels."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y.flags.writeable = False
    x.flags.writeable = False
    return y, x


def unit(field: Array) -> Array:
    """Return `field` shifted and scaled to zero mean and unit deviation."""
    spread = float(field.std())
    return (field - field.mean()) / max(spread, 1e-6)


def smoothstep(low: float, high: float, value: Array) -> Array:
    """Return 0 below `low`, 1 above `high` and a smooth ramp between (also for low > high)."""
    t = np.clip((value - low) / (high - low), 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def resize(
    field: Array, shape: tuple[int, int], box: tuple[float, float, float, float] | None = None
) -> Array:
    """Return `field` (2-D float) resampled bicubically to `shape` (rows, columns).

    `box` = (left, top, right, bottom) takes only that part of it, in cells.
    """
    image = Image.fromarray(np.ascontiguousarray(field, dtype=np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box))


def clouds(
    rng: np.random.Generator,
    shape: tuple[int, int],
    scale: float | tuple[float, float],
    octaves: int = 1,
    gain: float = 0.5,
) -> Array:
    """Return smooth noise of `shape` whose features span about `scale` pixels.

    `scale` is one length or (vertical, horizontal). Every further octave halves the scale
    and multiplies the amplitude by `gain`.
    """
    down, across = scale if isinstance(scale, tuple) else (scale, scale)
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        step_y, step_x = max(down / 2**octave, 1.0), max(across / 2**octave, 1.0)
        tall, wide = shape[0] / step_y, shape[1] / step_x
        cells = rng.standard_normal((int(tall) + 5, int(wide) + 5), dtype=np.float32)
        # Two spare cells a side keep the resampler's borders out of the picture.
        total += gain**octave * resize(cells, shape, (2, 2, 2 + wide, 2 + tall))
    return unit(total)


def grain(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float] = 0.0
) -> Array:
    """Return white noise blurred by a Gaussian of `sigma` pixels (one value or per axis)."""
    field = rng.standard_normal(shape, dtype=np.float32)
    if np.any(np.asarray(sigma) > 0):
        field = ndimage.gaussian_filter(field, sigma, mode="wrap", truncate=3.0)
    return unit(field)


def streaks(
    rng: np.random.Generator,
    shape: tuple[int, int],
    length: int,
    *,
    vertical: bool = False,
    thickness: float = 0.0,
) -> Array:
    """Return noise drawn out into parallel strokes of about `length` pixels."""
    field = rng.standard_normal(shape, dtype=np.float32)
    axis = 0 if vertical else 1
    for _ in range(2):
        field = ndimage.uniform_filter1d(field, length, axis=axis, mode="wrap")
    if thickness > 0:
        field = ndimage.gaussian_filter1d(field, thickness, axis=1 - axis, mode="wrap")
    return unit(field)
