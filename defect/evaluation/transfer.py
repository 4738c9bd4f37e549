"""Transfer: models of one product looking at another they never saw (thesis, on Kolektor surfaces).

Nothing is fitted to the new photos. The thesis ranks them by its score, the mean squared error; the
calibrated score is given beside it, though it measures against another product's normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defect.datasets.samples import DataError, Sample
from defect.detectors.registry import DETECTORS, load
from defect.detectors.stream import BATCH
from defect.evaluation.metrics import ImageMetrics, image_metrics, to_json
from defect.evaluation.protocol import rewrite
from defect.imaging.photo import read_photo
from defect.inspection import DEFAULT_THRESHOLD, Message
from defect.weights.files import read_metadata
from defect.weights.index import read_index, relative_path


@dataclass(frozen=True)
class Transfer:
    """How one model's scores tell the new product's defective photos from its good ones."""

    model: str
    category: str
    """What the model was trained on."""
    thesis: ImageMetrics | None
    """`None` of a memory, which has no thesis score."""
    calibrated: ImageMetrics


def transfer(samples: Sequence[Sample], folder: Path) -> Iterator[Transfer]:
    """Every detector in the folder on the same photos, each photo read once, one at a time.

    Raises:
        DataError: the photos are all good or all defective.
        WeightsError: a weights file must not be used.
    """
    labels = np.array([sample.defective for sample in samples], bool)
    if labels.all() or not labels.any():
        raise DataError(
            Message(
                "transfer_needs_good_defective",
                "Transfer needs good and defective photos; all of these are alike.",
            )
        )
    kinds = [sample.kind for sample in samples]
    photos = [read_photo(sample.path) for sample in samples]
    for entry in read_index(folder):
        if entry.model not in DETECTORS:
            continue
        inspect = load(entry.model, entry.category, folder=folder)
        scores, thesis_scores, limit = [], [], None
        for start in range(0, len(photos), BATCH):
            for found in inspect(photos[start : start + BATCH]):
                scores.append(found.score)
                if found.thesis_limit is not None and found.thesis_score is not None:
                    thesis_scores.append(found.thesis_score)
                    limit = found.thesis_limit
        thesis = image_metrics(thesis_scores, labels, kinds, limit) if limit is not None else None
        calibrated = image_metrics(scores, labels, kinds, DEFAULT_THRESHOLD)
        yield Transfer(entry.model, entry.category, thesis, calibrated)


def save_transfer(result: Transfer, dataset: str, folder: Path) -> None:
    """Notes the figures in the weights file's header, under `transfer[dataset]`.

    Raises:
        WeightsError: a weights file must not be used.
    """
    found = {"image": to_json(result.calibrated)}
    if result.thesis is not None:
        found["thesis_image"] = to_json(result.thesis)
    before = read_metadata(folder / relative_path(result.model, result.category)).transfer
    rewrite(folder, result.model, result.category, transfer={**before, dataset: found})


def transfer_means(results: Sequence[Transfer]) -> list[str]:
    """A line a model: the mean image AUROC over its categories, and the thesis score's."""
    lines = []
    for model in DETECTORS:
        chosen = [result for result in results if result.model == model]
        thesis = [result.thesis for result in chosen if result.thesis is not None]
        if chosen:
            ours = _mean(result.calibrated for result in chosen)
            line = f"{model + ' ':4}mean of {len(chosen):<10}image AUROC {ours}"
            lines.append(line + (f"  thesis score {_mean(thesis)}" if thesis else ""))
    return lines


def _mean(metrics: Iterable[ImageMetrics]) -> str:
    return f"{np.mean([float(each.auroc.value or 0) for each in metrics]):.3f}"


def transfer_line(result: Transfer) -> str:
    """One line: image AUROC with its interval, and the mean squared error's beside it."""
    ours = result.calibrated.auroc
    line = (
        f"{result.model + ' ':4}{result.category:18}image AUROC {ours.value:.3f} "
        f"({ours.low:.3f}–{ours.high:.3f})"
    )
    if result.thesis is None:
        return line
    thesis = result.thesis.auroc
    return line + f"  thesis score {thesis.value:.3f} ({thesis.low:.3f}–{thesis.high:.3f})"
