"""From what a network sees in a photo to a calibrated anomaly map and a score.

Two scorings, always named:

`thesis`      E = (x − x̂)² averaged over channels of the normalised photo; score = mean of E.
`calibrated`  Two views of the photo, each measured against what is normal *at that place and for
              that network*, then added: how far the encoder's features lie from their Gaussian
              (Mahalanobis distance, PaDiM, Defard et al. 2021, on the autoencoder's own encoder
              instead of an ImageNet network), and how far the smoothed reconstruction error lies
              above its usual value. The map is in multiples of the *normal limit*, the bound that
              99 of 100 normal photos stay under; the score is the map's highest value. So 1.0 is
              the limit, for every network and category, and a photo is called defective exactly
              when its mask is not empty.

Everything here is fitted on normal photos only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from defect.networks import VAE, Autoencoder

GRID = 32
"""Places a side at which features are compared."""
DIRECTIONS = 40
"""Random directions of the 480 feature channels kept at each place."""
FEATURE_CHANNELS = 480
ERROR_SHARE = 0.2
"""Part of the reconstruction error in the combined map; chosen on rendered defects."""
SMOOTHING = 4.0
"""σ in pixels of a 256×256 map."""
NORMAL_QUANTILE = 0.99


@dataclass(frozen=True)
class Look:
    """What a network sees in a batch of N photos; computed once, asked often."""

    reconstruction: Tensor
    """N×3×256×256, 0..1."""
    error: Tensor
    """N×256×256: the thesis's E, not smoothed."""
    features: Tensor
    """N×1024×480: the four encoder stages, averaged onto one grid of 32×32 places."""


@dataclass(frozen=True)
class Calibration:
    """What is normal for one network and category."""

    projection: Tensor
    """480×40."""
    feature_mean: Tensor
    """1024×40: the projected features' mean at each place."""
    whitening: Tensor
    """1024×40×40: at each place, the lower triangle that makes normal features uncorrelated."""
    error_mean: Tensor
    """256×256: mean of the smoothed E."""
    error_spread: Tensor
    """256×256: its standard deviation, with a floor."""
    feature_limit: float
    error_limit: float
    """The limits that put the two views on one scale."""
    limit: float
    """Normal limit of the combined map; dividing by it gives the map's unit."""
    thesis_limit: float
    normal_scores: list[float]
    """Calibrated scores of the held-out normal photos, in multiples of the limit."""
    normal_thesis_scores: list[float]

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file; of the triangles only what is not zero."""
        tensors = {name: getattr(self, name) for name in _TENSOR_SHAPES}
        rows, columns = torch.tril_indices(DIRECTIONS, DIRECTIONS)
        return tensors | {"whitening": self.whitening[:, rows, columns].contiguous()}

    def numbers(self) -> dict[str, Any]:
        """For a weights file's header."""
        return {name: getattr(self, name) for name in _NUMBERS}


_TRIANGLE = DIRECTIONS * (DIRECTIONS + 1) // 2
_TENSOR_SHAPES = {
    "projection": (FEATURE_CHANNELS, DIRECTIONS),
    "feature_mean": (GRID * GRID, DIRECTIONS),
    "whitening": (GRID * GRID, _TRIANGLE),
    "error_mean": (256, 256),
    "error_spread": (256, 256),
}
_NUMBERS = (
    "feature_limit",
    "error_limit",
    "limit",
    "thesis_limit",
    "normal_scores",
    "normal_thesis_scores",
)


def restore_calibration(tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Calibration:
    """The calibration of a weights file.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape, or a number is missing.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != _TENSOR_SHAPES:
        names = sorted(
            name
            for name in shapes.keys() | _TENSOR_SHAPES.keys()
            if shapes.get(name) != _TENSOR_SHAPES.get(name)
        )
        raise ValueError(f"the calibration does not fit ({', '.join(names)})")
    absent = [name for name in _NUMBERS if name not in numbers]
    if absent:
        raise ValueError(f"the calibration lacks {', '.join(absent)}")
    triangles = tensors["whitening"].new_zeros(GRID * GRID, DIRECTIONS, DIRECTIONS)
    rows, columns = torch.tril_indices(DIRECTIONS, DIRECTIONS)
    triangles[:, rows, columns] = tensors["whitening"]
    fields: dict[str, Any] = {**tensors, **{name: numbers[name] for name in _NUMBERS}}
    return Calibration(**{**fields, "whitening": triangles})


def to_tensor(images: np.ndarray) -> Tensor:
    """N×256×256×3 uint8 → N×3×256×256 float32 in 0..1, channels_last (no copy of the layout)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def look(network: Autoencoder, pixels: Tensor) -> Look:
    """One pass of the network over N×3×256×256 pixels in 0..1."""
    stages = []
    x = normalised = network.normalise(pixels)
    for layer in network.encoder:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            stages.append(x)
    output = network.decode(network.to_mean(x.flatten(1)) if isinstance(network, VAE) else x)
    error = (normalised - output).square_().mean(1)
    reconstruction = network.denormalise(output).clamp_(0, 1)
    return Look(reconstruction, error, torch.cat([_to_grid(stage) for stage in stages], 2))


def anomaly_maps(calibration: Calibration, seen: Look) -> Tensor:
    """N×256×256 float32, ≥ 0, in multiples of the normal limit."""
    features = feature_distance(calibration, seen.features) / calibration.feature_limit
    smooth = smoothed(seen.error)
    error = ((smooth - calibration.error_mean) / calibration.error_spread).clamp_min_(0)
    return combine(features, error / calibration.error_limit) / calibration.limit


def scores(maps: Tensor) -> Tensor:
    """N×256×256 maps → N image scores, each the map's highest value."""
    return maps.flatten(1).amax(1)


def thesis_scores(error: Tensor) -> Tensor:
    """N×256×256 errors → N image scores, each the mean error."""
    return error.flatten(1).mean(1)


def combine(features: Tensor, error: Tensor) -> Tensor:
    return (1 - ERROR_SHARE) * features + ERROR_SHARE * error


def feature_distance(calibration: Calibration, features: Tensor) -> Tensor:
    """N×1024×480 features → N×256×256 smoothed Mahalanobis distances (1.0 is usual)."""
    projected = project(features, calibration.projection) - calibration.feature_mean
    white = torch.einsum("pij,npj->npi", calibration.whitening, projected)
    distance = white.square().mean(2).sqrt()
    spread = _grid_to_map()
    return spread @ distance.view(-1, GRID, GRID) @ spread.T


def project(features: Tensor, projection: Tensor) -> Tensor:
    """N×1024×480 → N×1024×40."""
    return features @ projection


def smoothed(maps: Tensor) -> Tensor:
    """Gaussian blur of N×256×256 maps (σ 4 pixels), mirrored at the border."""
    blur = _blur()
    return blur @ maps @ blur.T


@lru_cache(maxsize=1)
def _blur() -> Tensor:
    """256×256: the blur of one row. Two products with it take a third of two convolutions."""
    radius = round(3 * SMOOTHING)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / SMOOTHING) ** 2)
    padded = F.pad(torch.eye(256).unsqueeze(1), (radius, radius), mode="reflect")
    return F.conv1d(padded, (kernel / kernel.sum()).view(1, 1, -1)).squeeze(1).T.contiguous()


@lru_cache(maxsize=1)
def _grid_to_map() -> Tensor:
    """256×32: a row of places stretched to pixels bilinearly, then blurred."""
    stretched = F.interpolate(torch.eye(GRID).unsqueeze(1), size=256, mode="linear").squeeze(1)
    return _blur() @ stretched.T


def normal_limit(normal: Iterable[float]) -> float:
    """The score that 99 of 100 further normal photos stay under.

    The larger of the 99th percentile and the upper prediction bound of a log-normal fitted to the
    scores: the percentile of thirty photos is only their maximum, which one in thirty exceeds.
    """
    values = np.asarray(list(normal), np.float64)
    logs = np.log(np.maximum(values, 1e-12))
    n = len(values)
    t = float(stats.t.ppf(NORMAL_QUANTILE, max(n - 1, 1)))
    bound = logs.mean() + t * logs.std(ddof=min(1, n - 1)) * math.sqrt(1 + 1 / n)
    return max(float(np.quantile(values, NORMAL_QUANTILE)), math.exp(bound))


def _to_grid(stage: Tensor) -> Tensor:
    """N×C×S×S → N×1024×C: a stage averaged (the coarsest: interpolated) onto the grid's places."""
    pool = _pool(stage.shape[-1])
    rows = pool @ stage.permute(0, 2, 3, 1).flatten(2)
    return (pool @ rows.view(len(stage), GRID, stage.shape[-1], -1)).flatten(1, 2)


@lru_cache(maxsize=4)
def _pool(side: int) -> Tensor:
    """32×side: what a row of places takes from a row of a stage."""
    # A mean of three first lets a place see across its own border.
    near = F.avg_pool1d(torch.eye(side).unsqueeze(1), 3, 1, 1)
    if side >= GRID:
        return F.adaptive_avg_pool1d(near, GRID).squeeze(1).T.contiguous()
    return F.interpolate(near, GRID, mode="linear").squeeze(1).T.contiguous()
