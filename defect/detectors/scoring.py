"""From what a network sees in a photo to a calibrated anomaly map and a score.

Two scorings, always named:

`thesis`      E = (x − x̂)² averaged over channels of the normalised photo; score = mean of E.
`calibrated`  Three views of the photo, each measured against what is normal *at that place and for
              that network*, then added: how far the encoder's features lie from their Gaussian
              (Mahalanobis distance, PaDiM, Defard et al. 2021, on the autoencoder's own encoder
              instead of an ImageNet network), and how far two readings of the reconstruction error
              lie above their usual value: the smoothed square, which sees wrong texture, and the
              length of the smoothed residual, in which noise cancels and what was really rebuilt
              otherwise stays. The map is in multiples of the *normal limit*, the bound that 99 of
              100 normal photos stay under; the score is the map's highest value. So 1.0 is the
              limit, for every network and category, and a photo is called defective exactly when
              its mask is not empty.

A photo lighter or darker than the training photos is first brought to their light, so that
exposure alone is no defect; the thesis's score takes every photo as it is.

Everything here is fitted on normal photos only; the choices were made on held-out normal photos
with defects rendered onto them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.networks.autoencoders import VAE, Autoencoder
from defect.weights.quantisation import Packed

GRID = 32
"""Places a side at which features are compared."""
DIRECTIONS = 100
"""Random directions of the 480 feature channels kept at each place."""
BLOCK = 2
"""Places a side that share one covariance: two hundred photos are too few for one a place."""
FEATURE_CHANNELS = 480
ERROR_SHARE = 0.35
"""Part of the higher of the two error views in the combined map."""
SMOOTHING = 4.0
"""σ of the features' map, in pixels of 256×256."""
ERROR_SIDE = 128
"""The error views are kept at half the photo's side: finer they are smoothed away."""
SQUARE_SMOOTHING, RESIDUAL_SMOOTHING = 2.0, 1.5
"""σ in pixels of 128×128."""
GAIN_RANGE = 0.7, 1.4
"""How far a photo's light is corrected at most."""
LIMIT_RANGE = 1e-6, 1e6
"""Of every limit; one beyond makes all photos normal, or none."""
MAX_SCORES = 10_000
_PIECE = 64


@dataclass(frozen=True)
class Observation:
    """What a network sees in a batch of N photos; computed once, asked often."""

    reconstruction: Tensor
    """N×3×256×256, 0..1."""
    error: Tensor
    """N×256×256: the thesis's E, not smoothed."""
    residual: Tensor
    """N×3×128×128: normalised photo less reconstruction, averaged over 2×2 pixels."""
    features: Tensor
    """N×1024×480: the four encoder stages, averaged onto one grid of 32×32 places."""


@dataclass(frozen=True)
class Calibration:
    """What is normal for one network and category."""

    projection: Tensor
    """480×100."""
    feature_mean: Tensor
    """1024×100: the projected features' mean at each place."""
    whitening: Tensor | Packed
    """256×100×100: for each block of places, the lower triangle that makes normal features
    uncorrelated. In 8 bits where a file has them so: in float32 it were most of a model's bytes."""
    error_mean: Tensor
    """2×128×128: mean of the two error views."""
    error_spread: Tensor
    """2×128×128: their standard deviation, with a floor."""
    feature_limit: float
    error_limits: list[float]
    """The limits that put the three views on one scale."""
    brightness: list[float]
    """Mean grey in 0..1 of nine of ten usual photos: least, middle, greatest."""
    limit: float
    """Normal limit of the combined map; dividing by it gives the map's unit."""
    thesis_limit: float
    normal_scores: list[float]
    """Calibrated scores of the held-out normal photos, in multiples of the limit."""
    normal_thesis_scores: list[float]

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file; of the triangles only what is not zero."""
        tensors = {name: getattr(self, name) for name in _TENSOR_SHAPES}
        return tensors | {"whitening": fold_triangles(self.triangles())}

    def triangles(self) -> Tensor:
        """`whitening` in float32."""
        packed = self.whitening
        return packed.unpacked() if isinstance(packed, Packed) else packed

    def numbers(self) -> dict[str, Any]:
        """For a weights file's header."""
        return {name: getattr(self, name) for name in _NUMBERS}


_BLOCKS = GRID // BLOCK
_TRIANGLE = DIRECTIONS * (DIRECTIONS + 1) // 2
_TENSOR_SHAPES = {
    "projection": (FEATURE_CHANNELS, DIRECTIONS),
    "feature_mean": (GRID * GRID, DIRECTIONS),
    "whitening": (_BLOCKS * _BLOCKS, _TRIANGLE),
    "error_mean": (2, ERROR_SIDE, ERROR_SIDE),
    "error_spread": (2, ERROR_SIDE, ERROR_SIDE),
}
_NUMBERS = (
    "feature_limit",
    "error_limits",
    "brightness",
    "limit",
    "thesis_limit",
    "normal_scores",
    "normal_thesis_scores",
)


def restore_calibration(
    tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], packed: Packed | None = None
) -> Calibration:
    """The calibration of a weights file.

    Args:
        packed: the folded triangles as the file keeps them, to be kept so.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape, or a number is missing or out
            of range.
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
    _check_numbers(numbers)
    fields: dict[str, Any] = {**tensors, **{name: numbers[name] for name in _NUMBERS}}
    whitening: Tensor | Packed
    if packed is None:
        whitening = unfold_triangles(tensors["whitening"], DIRECTIONS)
    else:
        codes = unfold_triangles(packed.codes, DIRECTIONS)
        whitening = Packed(codes, packed.scale.unsqueeze(2))
    return Calibration(**{**fields, "whitening": whitening})


def _check_numbers(numbers: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless all numbers are in the range that training gives."""
    least, most = LIMIT_RANGE
    errors = _numbers(numbers["error_limits"], 2, "error_limits")
    for name, value in (
        *((name, numbers[name]) for name in ("feature_limit", "limit", "thesis_limit")),
        *(("error_limits", limit) for limit in errors),
    ):
        if not is_number(value) or not least <= value <= most:
            raise ValueError(f"its {name} is not between {least} and {most:.0f}")
    brightness = _numbers(numbers["brightness"], 3, "brightness")
    if brightness != sorted(brightness) or brightness[0] < 0 or brightness[-1] > 1:
        raise ValueError("its brightness is not three values from 0 to 1")
    for name in ("normal_scores", "normal_thesis_scores"):
        if min(_numbers(numbers[name], None, name), default=0) < 0:
            raise ValueError(f"its {name} are not numbers of 0 or more")


def _numbers(values: object, count: int | None, name: str) -> list[float]:
    if not isinstance(values, (list, tuple)) or len(values) > MAX_SCORES:
        raise ValueError(f"its {name} are not a list")
    if count not in (None, len(values)) or not all(map(is_number, values)):
        raise ValueError(f"its {name} are not {count or 'all'} numbers")
    return list(values)


def is_number(value: object) -> TypeGuard[float]:
    """Whether a header's value is a number that can be computed with: finite, up to 10⁹."""
    # Compared rather than converted, as JSON has integers that no float holds.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e9 <= value <= 1e9


def fold_triangles(matrices: Tensor) -> Tensor:
    """P×D×D lower triangles → P×D(D+1)/2, what is not zero of them."""
    rows, columns = torch.tril_indices(*matrices.shape[1:])
    return matrices[:, rows, columns].contiguous()


def unfold_triangles(folded: Tensor, side: int) -> Tensor:
    """The inverse of `fold_triangles`; `side` is D."""
    matrices = folded.new_zeros(len(folded), side, side)
    rows, columns = torch.tril_indices(side, side)
    matrices[:, rows, columns] = folded
    return matrices


def to_tensor(images: np.ndarray) -> Tensor:
    """N×256×256×3 uint8 → N×3×256×256 float32 in 0..1, channels_last (no copy of the layout)."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32).div_(255)


def observe(network: Autoencoder, pixels: Tensor) -> Observation:
    """One pass of the network over N×3×256×256 pixels in 0..1."""
    stages = []
    x = normalised = network.normalise(pixels)
    for layer in network.encoder:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            stages.append(x)
    output = network.decode(network.to_mean(x.flatten(1)) if isinstance(network, VAE) else x)
    difference = normalised - output
    residual = F.avg_pool2d(difference, 2)
    error = difference.square_().mean(1)
    reconstruction = network.denormalise(output).clamp_(0, 1)
    features = torch.cat([_to_grid(stage) for stage in stages], 2)
    return Observation(reconstruction, error, residual, features)


def brightness_gains(calibration: Calibration, pixels: Tensor) -> Tensor:
    """N×3×256×256 in 0..1 → N factors that bring unusually lit photos to the usual light."""
    least, middle, greatest = calibration.brightness
    light = pixels.mean((1, 2, 3)).clamp_min(1e-3)
    usual = (light >= least) & (light <= greatest)
    return torch.where(usual, 1.0, (middle / light).clamp(*GAIN_RANGE))


def anomaly_maps(calibration: Calibration, seen: Observation) -> Tensor:
    """N×256×256 float32, ≥ 0, in multiples of the normal limit."""
    features = feature_distance(calibration, seen.features) / calibration.feature_limit
    error = (error_views(seen) - calibration.error_mean) / calibration.error_spread
    limits = error.new_tensor(calibration.error_limits).view(2, 1, 1)
    return combine(features, error.clamp_min_(0) / limits) / calibration.limit


def scores(maps: Tensor) -> Tensor:
    """N×256×256 maps → N image scores, each the map's highest value."""
    return maps.flatten(1).amax(1)


def thesis_scores(error: Tensor) -> Tensor:
    """N×256×256 errors → N image scores, each the mean error."""
    return error.flatten(1).mean(1)


def combine(features: Tensor, errors: Tensor) -> Tensor:
    """N×256×256 and N×2×128×128, each in multiples of its own limit → N×256×256."""
    stretch = _stretch()
    error = stretch @ errors.amax(1) @ stretch.T
    return (1 - ERROR_SHARE) * features + ERROR_SHARE * error


def error_views(seen: Observation) -> Tensor:
    """N×2×128×128: the smoothed square of the error, and the length of the smoothed residual."""
    square, residual = blur(ERROR_SIDE, SQUARE_SMOOTHING), blur(ERROR_SIDE, RESIDUAL_SMOOTHING)
    squared = square @ F.avg_pool2d(seen.error, 2) @ square.T
    length = (residual @ seen.residual @ residual.T).square_().sum(1).sqrt_()
    return torch.stack([squared, length], 1)


def feature_distance(calibration: Calibration, features: Tensor) -> Tensor:
    """N×1024×480 features → N×256×256 smoothed Mahalanobis distances (1.0 is usual)."""
    centred = project(features, calibration.projection) - calibration.feature_mean
    white = _whitened(calibration.whitening, by_block(centred))
    distance = by_place(white.square().mean(2).sqrt())
    spread = grid_to_map()
    return spread @ distance @ spread.T


def _whitened(whitening: Tensor | Packed, blocks: Tensor) -> Tensor:
    """256×100×100 triangles, 256×PN×100 features → 256×PN×100."""
    if isinstance(whitening, Tensor):
        return blocks @ whitening.transpose(1, 2)
    # In pieces: unpacked at once, they would be the largest thing a photo asks memory for.
    pieces = (part.split(_PIECE) for part in (blocks, whitening.codes, whitening.scale))
    return torch.cat(
        [
            some @ Packed(*packed).unpacked().transpose(1, 2)
            for some, *packed in zip(*pieces, strict=True)
        ]
    )


def by_block(projected: Tensor, block: int = BLOCK) -> Tensor:
    """N×1024×C at places → B×PN×C: what the photos hold in each block of `block`² = P places."""
    side = GRID // block
    places = projected.view(-1, side, block, side, block, projected.shape[-1])
    return places.permute(1, 3, 0, 2, 4, 5).reshape(side * side, -1, projected.shape[-1])


def by_place(blocks: Tensor, block: int = BLOCK) -> Tensor:
    """B×PN → N×32×32: the inverse of `by_block`, for one number a place."""
    side = GRID // block
    places = blocks.view(side, side, -1, block, block).permute(2, 0, 3, 1, 4)
    return places.reshape(-1, GRID, GRID)


def project(features: Tensor, projection: Tensor) -> Tensor:
    """N×1024×480 → N×1024×100."""
    return features @ projection


@lru_cache(maxsize=3)
def blur(side: int, sigma: float) -> Tensor:
    """S×S: Gaussian blur of one row, mirrored at its ends. Two products take a third of the time
    of two convolutions."""
    radius = round(3 * sigma)
    kernel = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma) ** 2)
    padded = F.pad(torch.eye(side).unsqueeze(1), (radius, radius), mode="reflect")
    return F.conv1d(padded, (kernel / kernel.sum()).view(1, 1, -1)).squeeze(1).T.contiguous()


@lru_cache(maxsize=1)
def _stretch() -> Tensor:
    """256×128: a row of an error view stretched to pixels bilinearly."""
    rows = F.interpolate(torch.eye(ERROR_SIDE).unsqueeze(1), size=256, mode="linear")
    return rows.squeeze(1).T.contiguous()


@lru_cache(maxsize=1)
def grid_to_map() -> Tensor:
    """256×32: a row of places stretched to pixels bilinearly, then blurred."""
    stretched = F.interpolate(torch.eye(GRID).unsqueeze(1), size=256, mode="linear").squeeze(1)
    return blur(256, SMOOTHING) @ stretched.T


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
