"""From pixels to what stands at each cell of a grid, 8 pixels apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.weights.quantisation import as_stored

CELL = 8
"""Pixels a side of a cell."""
DIRECTIONS = 96, 256
"""Principal directions kept of either description's 256 channels."""
VARIANCE_FLOOR = 0.003
"""Added to a direction's variance, in parts of a channel's."""
GAIN_RANGE = 0.7, 1.4
"""How far a photo's brightness is corrected at most."""


def to_pixels(images: np.ndarray) -> Tensor:
    """N×h×w×3 uint8 → N×3×h×w float32 in 0..1."""
    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float().div_(255)


def brightness_gains(pixels: Tensor, brightness: float) -> Tensor:
    """N factors that bring N×3×h×w photos in 0..1 to a mean grey, within `GAIN_RANGE`."""
    return (brightness / pixels.mean((1, 2, 3)).clamp_min(1e-3)).clamp(*GAIN_RANGE)


def normalise_brightness(pixels: Tensor, brightness: float) -> Tensor:
    """Scales N×3×h×w photos in 0..1 to a mean grey, within `GAIN_RANGE`."""
    gains = brightness_gains(pixels, brightness)
    return (pixels * gains.view(-1, 1, 1, 1)).clamp_(0, 1)


def describe(extractor: nn.Module, pixels: Tensor) -> list[Tensor]:
    """N×3×h×w in 0..1 → two descriptions of N×h/8×w/8×C features.

    The extractor's maps are brought to one grid: in the first description each cell with its
    neighbours (robust to how a part lies), in the second each cell alone (sharp).
    """
    size = pixels.shape[-2] // CELL, pixels.shape[-1] // CELL
    around, sharp = [], []
    for maps in extractor(pixels):
        if maps.shape[-1] > size[1]:
            maps = F.adaptive_avg_pool2d(maps, size)
        around.append(_to_grid(_around(maps), size))
        sharp.append(_to_grid(maps, size))
    return [torch.cat(maps, 1).permute(0, 2, 3, 1) for maps in (around, sharp)]


def _to_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    if maps.shape[-2:] == size:
        return maps
    return F.interpolate(maps, size=size, mode="bilinear")


def _around(maps: Tensor) -> Tensor:
    """Mean over 3×3 cells: parts never lie exactly alike."""
    return F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False)


@dataclass(frozen=True)
class Basis:
    """The principal directions of a product's features."""

    centre: Tensor
    """C."""
    directions: Tensor
    """C×D; after it all directions vary alike over photos and places."""

    def reduce(self, features: Tensor) -> Tensor:
        """…×C → …×D."""
        return (features.float() - self.centre) @ self.directions


def fit_basis(features: Tensor, most: int) -> Basis:
    """Principal component analysis of N×h×w×C features, every channel brought to one variance;
    at most so many directions are kept."""
    sample = features.flatten(0, 2)[:: 1 + len(features) // 8].float()
    centre = sample.mean(0)
    sample = sample - centre
    spread = sample.square().mean(0).sqrt().clamp_min(1e-4)
    sample /= spread
    # In single precision the solver may give up on dead channels.
    values, vectors = torch.linalg.eigh((sample.T @ sample / len(sample)).double())
    kept = min(most, len(values))
    scale = (values[-kept:].clamp_min(0) + VARIANCE_FLOOR).rsqrt()
    directions = (vectors[:, -kept:] * scale).float() / spread.unsqueeze(1)
    # A common factor changes no distance; a file keeps half precision.
    directions *= min(1.0, 3e4 / float(directions.abs().max()))
    stored = as_stored({"centre": centre, "directions": directions})
    return Basis(stored["centre"], stored["directions"])
