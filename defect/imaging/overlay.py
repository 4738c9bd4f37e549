"""Annotators: a photo and a map in, a picture out.

The colour scale is fixed, in multiples of the normal limit, and never stretched to a map's own
range: a good part looks calm. The threshold moves the contour, not the colours. Maps may have any
h×w and photos any size.
"""

from __future__ import annotations

import math

import numpy as np
from matplotlib import colormaps
from PIL import Image
from scipy import ndimage

from defect.imaging.colours import SCALE_END, SCALE_START, apply_table, heat, scale_levels

__all__ = ["SCALE_END", "SCALE_START", "draw_cam", "draw_overlay", "heat"]

_MARGIN = 6
"""Map pixels around what is drawn: room for its soft edge and the contour."""
_CAM_OPACITY = 0.6


def draw_overlay(photo: np.ndarray, anomaly_map: np.ndarray, threshold: float = 1.0) -> np.ndarray:
    """Colours what is anomalous and outlines what reaches the threshold.

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


def draw_cam(photo: np.ndarray, cam: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 photo under an h×w class activation map in 0..1 → H×W×3 uint8."""
    height, width = photo.shape[:2]
    layer = colormaps["viridis"](cam.clip(0, 1), bytes=True)
    layer[..., 3] = (cam.clip(0, 1) * 255 * _CAM_OPACITY).astype(np.uint8)
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
    levels = Image.fromarray(scale_levels(anomaly_map))
    levels = levels.resize((part.shape[1], part.shape[0]), Image.Resampling.BILINEAR, box)
    layer = Image.fromarray(apply_table(np.asarray(levels)))
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
    width = _line_width(pixels.shape)
    part[_dilate(inside, width) ^ inside] = 20
    part[_dilate(~inside, width) & inside] = 255


def _line_width(shape: tuple[int, ...]) -> int:
    """Of each of the contour's two lines, in pixels of a photo of that shape."""
    return max(1, round(max(shape) / 500))


def _window(
    anomaly_map: np.ndarray, level: float, shape: tuple[int, ...]
) -> tuple[slice, slice, tuple[float, float, float, float]] | None:
    """Where the map reaches `level`, with a margin: rows and columns of a photo of that shape, and
    the same box (left, upper, right, lower) in the map. `None` where it does not."""
    found = anomaly_map >= level
    sides = []
    for axis, length in ((1, shape[0]), (0, shape[1])):
        indices = np.flatnonzero(found.any(axis))
        if not len(indices):
            return None
        scale = length / found.shape[1 - axis]
        margin = max(_MARGIN, (_line_width(shape) + 1) / scale)
        start = max(int((indices[0] - margin) * scale), 0)
        stop = min(math.ceil((indices[-1] + 1 + margin) * scale), length)
        sides.append((slice(start, stop), start / scale, stop / scale))
    (rows, upper, lower), (columns, left, right) = sides
    return rows, columns, (left, upper, right, lower)


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


def _dilate(mask: np.ndarray, steps: int) -> np.ndarray:
    """Grows a mask by that many pixels, in a diamond."""
    grown: np.ndarray = ndimage.binary_dilation(mask, iterations=steps)
    return grown
