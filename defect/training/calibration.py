"""Calibrates a trained network: the statistics of normal photos that `scoring` compares with.

The feature Gaussian is fitted on the photos the network was trained on. Every limit comes from the
held-out normal photos, each scored with statistics it is not part of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from defect.detectors import scoring
from defect.detectors.scoring import (
    DIRECTIONS,
    ERROR_SIDE,
    FEATURE_CHANNELS,
    Calibration,
    Observation,
    restore_calibration,
)
from defect.detectors.thresholds import normal_limit
from defect.networks.autoencoders import Autoencoder
from defect.training.corruption import BRIGHTNESS_JITTER
from defect.weights.quantisation import as_stored

_BATCH = 16
_DIAGONAL_SHARE = 0.1
"""Part of each block's covariance replaced by its diagonal: there are few photos."""
_SHARED_SHARE = 0.05
_SPREAD_FLOOR = 0.5
_CHANNEL_PHOTOS = 64
_LEAST_VARIANCE = 0.003
"""A direction with less variance is treated as noise; channels have variance 1."""
_BRIGHTNESS_QUANTILES = 0.05, 0.5, 0.95
_ERROR_SHAPE = (2, ERROR_SIDE, ERROR_SIDE)


@torch.inference_mode()
def fit_calibration(
    network: Autoencoder, fit: np.ndarray, held_out: np.ndarray, *, seed: int = 0
) -> Calibration:
    """Fits the calibration on normal photos only.

    Args:
        network: in evaluation mode, with the weights as they will be stored.
        fit: N×256×256×3 uint8 normal photos.
        held_out: M×256×256×3 uint8 normal photos the network was not fitted on.
        seed: of the random projection.
    """
    brightness = np.quantile(fit.mean((1, 2, 3)) / 255, _BRIGHTNESS_QUANTILES).round(4).tolist()
    projection = _projection(network, fit, seed)
    both = np.concatenate([fit, _with_varied_brightness(fit, seed)])
    projected = torch.cat(
        [scoring.project(batch.features, projection) for batch in _observe(network, both)]
    )
    mean = projected.mean(0)
    whitening = _whitening(projected - mean)

    pixels = scoring.to_tensor(held_out)
    thesis_scores = torch.cat(
        [scoring.thesis_scores(batch.error) for batch in _observe(network, held_out)]
    )
    calibration = Calibration(
        projection=projection,
        feature_mean=mean,
        whitening=whitening,
        error_mean=torch.zeros(_ERROR_SHAPE),
        error_spread=torch.ones(_ERROR_SHAPE),
        feature_limit=1.0,
        error_limits=[1.0, 1.0],
        brightness=brightness,
        limit=1.0,
        thesis_limit=normal_limit(thesis_scores.tolist()),
        normal_scores=[],
        normal_thesis_scores=[round(v, 6) for v in thesis_scores.tolist()],
    )
    pixels = (pixels * scoring.brightness_gains(calibration, pixels).view(-1, 1, 1, 1)).clamp_(0, 1)
    observations = [
        scoring.observe(network, pixels[i : i + _BATCH]) for i in range(0, len(pixels), _BATCH)
    ]
    views = torch.cat([scoring.error_views(batch) for batch in observations])
    # Identical photos have no spread at all.
    floor = (_SPREAD_FLOOR * views.std(0).mean((1, 2), keepdim=True)).clamp_min(1e-6)
    calibration = replace(
        calibration, error_mean=views.mean(0), error_spread=torch.maximum(views.std(0), floor)
    )
    calibration = restore_calibration(as_stored(calibration.tensors()), calibration.numbers())

    features = torch.cat(
        [scoring.feature_distance(calibration, batch.features) for batch in observations]
    )
    standardised = _standardise_without_itself(views, floor)
    feature_limit = normal_limit(scoring.scores(features).tolist())
    error_limits = [normal_limit(scoring.scores(standardised[:, i]).tolist()) for i in (0, 1)]
    errors = standardised / torch.tensor(error_limits).view(2, 1, 1)
    scores = scoring.scores(scoring.combine(features / feature_limit, errors))
    limit = normal_limit(scores.tolist())
    return replace(
        calibration,
        feature_limit=feature_limit,
        error_limits=error_limits,
        limit=limit,
        normal_scores=[round(v, 4) for v in (scores / limit).tolist()],
    )


def _with_varied_brightness(images: np.ndarray, seed: int) -> np.ndarray:
    """Each photo a little brighter or darker: varying light is not a defect."""
    draw = np.random.default_rng(seed)
    gains = 1 + BRIGHTNESS_JITTER * draw.uniform(-1, 1, (len(images), 1, 1, 1))
    varied: np.ndarray = (images * gains).clip(0, 255).astype(np.uint8)
    return varied


def _observe(network: Autoencoder, images: np.ndarray) -> Iterator[Observation]:
    for start in range(0, len(images), _BATCH):
        yield scoring.observe(network, scoring.to_tensor(images[start : start + _BATCH]))


def _projection(network: Autoencoder, images: np.ndarray, seed: int) -> Tensor:
    """480×100: random directions of the decorrelated channels.

    A random direction of the raw channels is dominated by the few that vary most; what a defect
    changes is often small and would be lost in them.
    """
    sample = images[:: max(1, len(images) // _CHANNEL_PHOTOS)]
    features = torch.cat([batch.features for batch in _observe(network, sample)])
    centred = (features - features.mean(0)).flatten(0, 1)
    spread = centred.square().mean(0).sqrt().clamp_min(1e-4)
    centred = centred / spread
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    uncorrelated = vectors / (values.clamp_min(0) + _LEAST_VARIANCE).sqrt() @ vectors.T
    draw = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(FEATURE_CHANNELS, DIRECTIONS, generator=draw))[0]
    # Rounded now, so that the Gaussian is fitted in the space a stored file will project to.
    return as_stored({"": uncorrelated @ directions / spread.unsqueeze(1)})[""]


def _whitening(centred: Tensor) -> Tensor:
    """N×1024×100 → 256×100×100 lower triangles L⁻¹ with L·Lᵀ the block's regularised covariance."""
    blocks = scoring.by_block(centred)
    covariance = blocks.transpose(1, 2) @ blocks / blocks.shape[1]
    diagonal = torch.diagonal(covariance, dim1=1, dim2=2)
    covariance = (1 - _DIAGONAL_SHARE) * covariance + _DIAGONAL_SHARE * torch.diag_embed(diagonal)
    floor = _SHARED_SHARE * diagonal.mean(0) + 1e-4
    covariance = covariance + torch.diag(floor)
    lower = torch.linalg.cholesky(covariance)
    identity = torch.eye(DIRECTIONS).expand(len(lower), -1, -1)
    return torch.linalg.solve_triangular(lower, identity, upper=False)


def _standardise_without_itself(smooth: Tensor, floor: Tensor) -> Tensor:
    """Each held-out photo's error views standardised by the mean and spread of the others."""
    n = len(smooth)
    total, squares = smooth.sum(0), smooth.square().sum(0)
    mean = (total - smooth) / (n - 1)
    variance = ((squares - smooth.square()) - (n - 1) * mean.square()) / max(n - 2, 1)
    spread = torch.maximum(variance.clamp_min(0).sqrt(), floor)
    return ((smooth - mean) / spread).clamp_min(0)
