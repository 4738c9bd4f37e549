"""Whether a photo shows anything like what a classifier was trained on, before its answer counts.

A softmax always answers, and is as sure of a bottle as of steel. Here the mean activation of each
of the network's stages is compared with the Gaussians of the training photos, one mean a kind and
one covariance for all (Lee et al., "A Simple Unified Framework for Detecting Out-of-Distribution
Samples and Adversarial Attacks", NeurIPS 2018). Fitted on photos of the classes alone; no other
photo decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from defect.detectors.thresholds import normal_limit
from defect.networks.steel_cnn import SteelCNN
from defect.weights.quantisation import as_stored

QUANTILE = 0.999
"""Refusing steel costs more than naming a stranger, and strangers lie far away."""
CHANNELS = 480
"""Of the four stages together."""


@dataclass(frozen=True)
class OutOfDistribution:
    """What photos of the K kinds taught look like to the network."""

    means: Tensor
    """K×480, in units of `spread`."""
    spread: Tensor
    """480: standard deviation of each channel within a kind."""
    whitening: Tensor
    """480×480: makes the differences from a kind's mean uncorrelated."""
    limit: float = 1.0
    """The distance that 999 of 1,000 further photos of the classes stay under."""

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file."""
        return {name: getattr(self, name) for name in _NAMES}


_NAMES = ("means", "spread", "whitening")


def restore_out_of_distribution(
    tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> OutOfDistribution | None:
    """What a weights file holds of it; None where it holds nothing.

    Raises:
        ValueError: a part is missing, unknown or of another shape.
    """
    if not tensors and "novelty_limit" not in numbers:
        return None
    if set(tensors) != set(_NAMES) or "novelty_limit" not in numbers:
        raise ValueError("the measure of unknown photos is not complete")
    means, spread, whitening = (tensors[name] for name in _NAMES)
    shapes = (means.shape[1:], spread.shape, whitening.shape)
    if shapes != ((CHANNELS,), (CHANNELS,), (CHANNELS, CHANNELS)):
        raise ValueError("the measure of unknown photos does not fit the network")
    return OutOfDistribution(means, spread, whitening, float(numbers["novelty_limit"]))


def see(network: SteelCNN, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """N×3×256×256 in 0..1 → (N×256×16×16 feature map, N×480 mean activations of the stages)."""
    activations = []
    x = network.normalise(pixels)
    for layer in network.features:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            activations.append(x.mean((2, 3)))
    return x, torch.cat(activations, 1)


def distances(ood_score: OutOfDistribution, activations: Tensor) -> Tensor:
    """N×480 → N distances from the nearest kind, in multiples of the limit."""
    away = (activations / ood_score.spread).unsqueeze(1) - ood_score.means
    white = away @ ood_score.whitening.T
    return white.square().mean(2).sqrt().amin(1) / ood_score.limit


def fit_out_of_distribution(
    activations: Tensor, kinds: np.ndarray, held_out: Sequence[Tensor]
) -> OutOfDistribution:
    """Fits the Gaussians and sets the limit.

    Args:
        activations: N×480 of the photos trained on.
        kinds: N numbers, 0..K−1.
        held_out: M×480 each, of sorts of photos the network was not trained on; the limit holds
            for every sort.
    """
    count = int(kinds.max()) + 1
    means = torch.stack([activations[torch.from_numpy(kinds == k)].mean(0) for k in range(count)])
    within = activations - means[kinds]
    spread = within.std(0).clamp_min(1e-4)
    # Only training needs scikit-learn.
    from sklearn.covariance import LedoitWolf

    # Ledoit and Wolf's shrinkage: from the photos alone, nothing to choose.
    covariance = LedoitWolf(assume_centered=True).fit((within / spread).double().numpy())
    lower = np.linalg.cholesky(covariance.covariance_)
    whitening = torch.from_numpy(np.linalg.inv(lower)).float()
    # Measured as it will be loaded: half precision moves the distances a little.
    stored = as_stored(OutOfDistribution(means / spread, spread, whitening).tensors())
    ood_score = OutOfDistribution(stored["means"], stored["spread"], stored["whitening"])
    limits = [normal_limit(distances(ood_score, photos).tolist(), QUANTILE) for photos in held_out]
    return replace(ood_score, limit=max(limits))


def refused_share(found: np.ndarray) -> float:
    """Share of N held-out photos refused by their distances (of any unit): each half of them is
    judged by a limit set on the other half."""
    halves = found[::2], found[1::2]
    refused = sum(
        int((half > normal_limit(other, QUANTILE)).sum()) for half, other in (halves, halves[::-1])
    )
    return refused / len(found)
