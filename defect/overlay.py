"""Anomaly maps as pictures: arrays in, images out.

The colour scale is fixed, in multiples of the normal limit, and never stretched to a map's own
range: a perfect part looks calm. The threshold moves the contour, not the colours.
"""

from __future__ import annotations

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
_ERROR_END = 1.0
"""Root of E at the top of the error scale: one standard deviation of ImageNet pixels."""


def heat(anomaly_map: np.ndarray) -> np.ndarray:
    """H×W multiples of the normal limit → H×W×4 uint8, transparent where normal."""
    share = (anomaly_map - SCALE_START) / (SCALE_END - SCALE_START)
    return _TABLE[(share.clip(0, 1) * 255).astype(np.uint8)]


def draw_overlay(photo: np.ndarray, anomaly_map: np.ndarray, threshold: float = 1.0) -> np.ndarray:
    """The photo with heat where it is unusual and a contour around what exceeds the threshold.

    Args:
        photo: H×W×3 uint8.
        anomaly_map: h×w float in multiples of the normal limit.
        threshold: where the contour runs, in the same unit.

    Returns:
        H×W×3 uint8, a new array.
    """
    height, width = photo.shape[:2]
    image = Image.fromarray(photo)
    if anomaly_map.max() > SCALE_START:
        layer = Image.fromarray(heat(anomaly_map))
        layer = layer.resize((width, height), Image.Resampling.BILINEAR)
        image.paste(layer, mask=layer.getchannel("A"))
    drawn = np.array(image)
    if anomaly_map.max() >= threshold:
        _draw_contour(drawn, anomaly_map, threshold)
    return drawn


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


def colour_scale(width: int = 280, height: int = 14) -> np.ndarray:
    """The legend of `heat` on light grey: height×width×3 uint8, from 0.6 to 2.0 limits."""
    row = heat(np.linspace(SCALE_START, SCALE_END, width)[None])
    picture = Image.new("RGB", (width, 1), (222, 222, 222))
    layer = Image.fromarray(row)
    picture.paste(layer, mask=layer.getchannel("A"))
    return np.array(picture.resize((width, height)))


def _draw_contour(pixels: np.ndarray, anomaly_map: np.ndarray, threshold: float) -> None:
    """Draws in place a white line with a dark rim along the map's level `threshold`."""
    height, width = pixels.shape[:2]
    # 8 bits around the level are enough to place a line, and resize in a fraction of the time.
    level = np.clip(128 + (anomaly_map - threshold) * 300, 0, 255).astype(np.uint8)
    smooth = Image.fromarray(level).resize((width, height), Image.Resampling.BILINEAR)
    inside = np.asarray(smooth) >= 128
    half = max(1, round(max(height, width) / 500))
    outer = _grown(inside, half) ^ inside
    inner = _grown(~inside, half) & inside
    pixels[outer] = (20, 20, 20)
    pixels[inner] = (255, 255, 255)


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
