"""Anomaly maps as pictures: arrays in, images out.

The colour scale is fixed, in multiples of the normal limit, and never stretched to a map's own
range: a perfect part looks calm. The threshold moves the contour, not the colours.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from PIL import Image

SCALE_START = 0.6
"""Below this multiple of the normal limit nothing is drawn."""
SCALE_END = 2.0
_STRONGEST_OPACITY = 0.72
_STOPS = np.array([0.6, 1.0, 1.4, 2.0])
_COLOURS = np.array([[255, 225, 80], [255, 170, 0], [235, 60, 20], [150, 0, 60]])
_OPACITY = np.array([0.0, 0.38, 0.6, _STRONGEST_OPACITY])
_LEVELS = np.linspace(SCALE_START, SCALE_END, 256)
_TABLE = np.stack(
    [np.interp(_LEVELS, _STOPS, _COLOURS[:, c]) for c in range(3)]
    + [255 * np.interp(_LEVELS, _STOPS, _OPACITY)],
    axis=1,
).astype(np.uint8)
_MARGIN = 6
"""Pixels of the map around what is drawn: room for its soft edge and the contour."""
_ERROR_END = 1.0
"""Root of E at the top of the error scale: one standard deviation of ImageNet pixels."""


def heat(anomaly_map: np.ndarray) -> np.ndarray:
    """H×W multiples of the normal limit → H×W×4 uint8, transparent where normal."""
    return _coloured(_scale_steps(anomaly_map))


def _scale_steps(anomaly_map: np.ndarray) -> np.ndarray:
    """H×W multiples of the normal limit → H×W uint8 positions on the colour scale."""
    share = (anomaly_map - SCALE_START) * (255 / (SCALE_END - SCALE_START))
    return share.clip(0, 255).astype(np.uint8)


def _coloured(steps: np.ndarray) -> np.ndarray:
    """H×W positions on the scale → H×W×4, looked up as whole pixels."""
    return _TABLE.view(np.uint32)[:, 0][steps][..., None].view(np.uint8)


def draw_overlay(photo: np.ndarray, anomaly_map: np.ndarray, threshold: float = 1.0) -> np.ndarray:
    """The photo with heat where it is unusual and a contour around what exceeds the threshold.

    Args:
        photo: H×W×3 uint8.
        anomaly_map: h×w float in multiples of the normal limit.
        threshold: where the contour runs, in the same unit.

    Returns:
        H×W×3 uint8, a new array.
    """
    drawn = photo.copy()
    _draw_heat(drawn, anomaly_map)
    _draw_contour(drawn, anomaly_map, threshold)
    return drawn


def _window(
    anomaly_map: np.ndarray, level: float, shape: tuple[int, ...]
) -> tuple[slice, slice, tuple[float, float, float, float]] | None:
    """Where the map exceeds `level`, with a margin: rows and columns of a photo of that shape, and
    the same box (left, upper, right, lower) in the map. `None` where it does not."""
    found = anomaly_map >= level
    sides = []
    for axis, length in ((1, shape[0]), (0, shape[1])):
        places = np.flatnonzero(found.any(axis))
        if not len(places):
            return None
        scale = length / found.shape[1 - axis]
        start = max(int((places[0] - _MARGIN) * scale), 0)
        stop = min(math.ceil((places[-1] + 1 + _MARGIN) * scale), length)
        sides.append((slice(start, stop), start / scale, stop / scale))
    (rows, upper, lower), (columns, left, right) = sides
    return rows, columns, (left, upper, right, lower)


def draw_error(error: np.ndarray) -> np.ndarray:
    """H×W thesis error E → H×W×3 uint8, the root of E from black (0) to white (1 and more)."""
    share = np.sqrt(error) / _ERROR_END
    colours: np.ndarray = colormaps["inferno"](share.clip(0, 1), bytes=True)
    return colours[..., :3]


def draw_cam(photo: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 photo under a h×w class activation map in 0..1 → H×W×3 uint8."""
    height, width = photo.shape[:2]
    layer = colormaps["viridis"](cam.clip(0, 1), bytes=True)
    layer[..., 3] = (cam.clip(0, 1) * 255 * 0.6).astype(np.uint8)
    top = Image.fromarray(layer).resize((width, height), Image.Resampling.BILINEAR)
    image = Image.fromarray(photo)
    image.paste(top, mask=top.getchannel("A"))
    return np.array(image)


def _draw_heat(pixels: np.ndarray, anomaly_map: np.ndarray) -> None:
    """Colours in place whatever lies on the scale."""
    window = _window(anomaly_map, SCALE_START, pixels.shape)
    if window is None:
        return
    # Only the part with something to draw is worth any work; `part` is a view into `pixels`.
    rows, columns, box = window
    part = pixels[rows, columns]
    steps = Image.fromarray(_scale_steps(anomaly_map))
    steps = steps.resize((part.shape[1], part.shape[0]), Image.Resampling.BILINEAR, box)
    layer = Image.fromarray(_coloured(np.asarray(steps)))
    # Pillow reads a window of a larger array row by row, and slowly.
    image = Image.fromarray(np.ascontiguousarray(part))
    image.paste(layer, mask=layer.getchannel("A"))
    part[:] = np.asarray(image)


def _draw_contour(pixels: np.ndarray, anomaly_map: np.ndarray, threshold: float) -> None:
    """Draws in place a white line with a dark rim along the map's level `threshold`."""
    window = _window(anomaly_map, threshold, pixels.shape)
    if window is None:
        return
    rows, columns, box = window
    part = pixels[rows, columns]
    size = (part.shape[1], part.shape[0])
    # 8 bits around the level are enough to place a line, and resize in a fraction of the time.
    level = np.clip(128 + (anomaly_map - threshold) * 300, 0, 255).astype(np.uint8)
    inside = np.asarray(Image.fromarray(level).resize(size, Image.Resampling.BILINEAR, box)) >= 128
    if not inside.any():
        # A photo smaller than the map may step over the peak.
        inside = _nearest(anomaly_map >= threshold, size, box)
    half = max(1, round(max(pixels.shape) / 500))
    part[_grown(inside, half) ^ inside] = 20
    part[_grown(~inside, half) & inside] = 255


def _nearest(
    mask: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]
) -> np.ndarray:
    """h×w bool at another size, where every pixel of the mask stays visible."""
    left, upper, right, lower = box
    rows, columns = np.nonzero(mask)
    found = np.zeros((size[1], size[0]), bool)
    y = ((rows + 0.5 - upper) / (lower - upper) * size[1]).astype(int).clip(0, size[1] - 1)
    x = ((columns + 0.5 - left) / (right - left) * size[0]).astype(int).clip(0, size[0] - 1)
    found[y, x] = True
    return found


def _grown(mask: np.ndarray, steps: int) -> np.ndarray:
    """Dilation by a diamond, a few pixels at most."""
    for _ in range(steps):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        grown[:, 1:] |= mask[:, :-1]
        grown[:, :-1] |= mask[:, 1:]
        mask = grown
    return mask
