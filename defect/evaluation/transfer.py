"""Transfer: models of one product looking at another they never saw (thesis, on Kolektor surfaces).

Nothing is fitted to the new photos. The thesis ranks them by its score, the mean squared error; the
calibrated score is given beside it, though it measures against another product's normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defect import load
from defect.datasets.samples import DataError, Sample
from defect.evaluation.metrics import ImageMetrics, image_metrics
from defect.images import prepare
from defect.networks import MODELS
from defect.weights import read_index


@dataclass(frozen=True)
class Transfer:
    """How one model's scores tell the new product's defective photos from its good ones."""

    model: str
    category: str
    """What the model was trained on."""
    thesis: ImageMetrics
    calibrated: ImageMetrics


def transfer(samples: Sequence[Sample], folder: Path) -> list[Transfer]:
    """Every autoencoder in the folder on the same photos, each photo read once.

    Raises:
        DataError: the photos are all good or all defective.
        WeightsError: a weights file must not be used.
    """
    labels = np.array([sample.defective for sample in samples], bool)
    if labels.all() or not labels.any():
        raise DataError("Transfer needs good and defective photos; all of these are alike.")
    kinds = [sample.kind for sample in samples]
    photos = [prepare(sample.path) for sample in samples]
    found = []
    for entry in read_index(folder):
        if entry.model not in MODELS:
            continue
        inspections = load(entry.model, entry.category, folder=folder)(photos)
        thesis, calibrated = (
            image_metrics(scores, labels, kinds, limit)
            for scores, limit in (
                ([i.thesis_score for i in inspections], inspections[0].thesis_limit),
                ([i.score for i in inspections], 1.0),
            )
        )
        found.append(Transfer(entry.model, entry.category, thesis, calibrated))
    return found


def transfer_line(result: Transfer) -> str:
    """One line: image AUROC with its interval, and the mean squared error's beside it."""
    ours, thesis = result.calibrated.auroc, result.thesis.auroc
    return (
        f"{result.model:4}{result.category:18}image AUROC {ours.value:.3f} "
        f"({ours.low:.3f}–{ours.high:.3f})  thesis score {thesis.value:.3f} "
        f"({thesis.low:.3f}–{thesis.high:.3f})"
    )
