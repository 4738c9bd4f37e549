"""Measures a trained autoencoder on a category's test photos and notes it in the weights file.

Nothing is chosen here: the network, the calibration and the default threshold were fixed on normal
photos before any test photo is read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defect.datasets import mvtec
from defect.datasets.samples import DataError, load_images, load_masks
from defect.detectors.registry import load
from defect.detectors.stream import BATCH
from defect.evaluation.metrics import Metric, image_metrics, pixel_metrics, to_json
from defect.imaging.photo import NETWORK_SIDE, network_input, read_photo
from defect.inspection import DEFAULT_THRESHOLD, Message
from defect.weights import files as weights
from defect.weights.files import Metadata


def has_test(data: Path, category: str) -> bool:
    """Whether the category has test photos of both kinds, good and defective."""
    return len({sample.defective for sample in mvtec.test_samples(data, category)}) == 2


def evaluate(model: str, category: str, data: Path, folder: Path) -> Metadata:
    """Runs the test photos once through `load(model, category)` and saves the figures in its file.

    Written to the metadata's `test`:

    - `image` and `pixel` (calibrated), `thesis_image` and `thesis_pixel` (the thesis's scoring of
      the same network; a memory has none): `ImageMetrics` and `PixelMetrics` as JSON.
    - `baselines`: what no network is needed for. `all_defective_f1`, the F1 of calling every photo
      defective; `brightness_auroc` of the mean grey alone (far from 0.5, an image figure proves
      little); `mean_image_auroc` of the squared difference from the mean training photo.
    - `scores`: `calibrated`, `thesis` and `kind` of each photo, for curves and histograms.

    Raises:
        DataError: the category has no test photos of both kinds.
        WeightsError: no usable weights.
    """
    if not has_test(data, category):
        raise DataError(
            Message(
                "needs_good_defective_test",
                '"{category}" needs good and defective test photos: '
                "{category}/test/good/ and {category}/test/<defect>/ in the data "
                "folder.",
                category=category,
            )
        )
    samples = mvtec.test_samples(data, category)
    labels = np.array([sample.defective for sample in samples], bool)
    kinds = [sample.kind for sample in samples]
    masks, known = load_masks(samples)
    mean = _mean_training_photo(data, category)
    inspect = load(model, category, folder=folder)
    limit, thesis_limit = DEFAULT_THRESHOLD, None
    maps, errors = np.empty((2, *masks.shape), np.float32)
    scores, thesis_scores, brightness, distance = [], [], [], []
    for start in range(0, len(samples), BATCH):
        photos = [read_photo(sample.path) for sample in samples[start : start + BATCH]]
        for i, (photo, found) in enumerate(zip(photos, inspect(photos), strict=True), start):
            maps[i] = at_mask_size(found.anomaly_map)
            scores.append(found.score)
            if found.thesis_limit is not None and found.thesis_score is not None:
                errors[i] = found.error_map
                thesis_scores.append(found.thesis_score)
                thesis_limit = found.thesis_limit
            brightness.append(float(network_input(photo.pixels).mean()))
            if mean is not None:
                distance.append(float(np.square(network_input(photo.pixels) - mean).mean()))

    no_mean = Metric(None, None, None, "no training photos in the data folder")
    defective = int(labels.sum())
    baselines = {
        "all_defective_f1": round(2 * defective / (len(labels) + defective), 6),
        "brightness_auroc": to_json(image_metrics(brightness, labels, kinds).auroc),
        "mean_image_auroc": to_json(
            image_metrics(distance, labels, kinds).auroc if distance else no_mean
        ),
    }
    test: dict[str, Any] = {
        "image": to_json(image_metrics(scores, labels, kinds, limit)),
        "pixel": to_json(pixel_metrics(maps, masks, known, limit)),
        "baselines": baselines,
        "scores": {
            "calibrated": [round(score, 4) for score in scores],
            "thesis": [round(score, 6) for score in thesis_scores],
            "kind": kinds,
        },
    }
    if thesis_limit is not None:
        test |= {
            "thesis_image": to_json(image_metrics(thesis_scores, labels, kinds, thesis_limit)),
            "thesis_pixel": to_json(pixel_metrics(errors, masks, known, thesis_limit)),
        }
    return rewrite(folder, model, category, test=test)


def at_mask_size(anomaly_map: np.ndarray) -> np.ndarray:
    """h×w float32 → 256×256, the size masks are compared at."""
    if anomaly_map.shape == (NETWORK_SIDE, NETWORK_SIDE):
        return anomaly_map
    image = Image.fromarray(anomaly_map)
    return np.asarray(image.resize((NETWORK_SIDE, NETWORK_SIDE), Image.Resampling.BILINEAR))


def rewrite(folder: Path, model: str, category: str, **changes: Any) -> Metadata:
    """Changes fields of a weights file's metadata and leaves its tensors as they are."""
    content = weights.read(folder, model, category)
    metadata = replace(content.metadata, **changes)
    weights.save(folder, content.network, content.calibration, metadata)
    return metadata


# Kept from one model of a category to the next.
@lru_cache(maxsize=1)
def _mean_training_photo(data: Path, category: str) -> np.ndarray | None:
    """256×256×3 float32 in 0..255; None where there are no training photos."""
    if category not in mvtec.list_categories(data):
        return None
    total = np.zeros((), np.float64)
    samples = mvtec.train_samples(data, category)
    for start in range(0, len(samples), BATCH):
        total = total + load_images(samples[start : start + BATCH]).sum(0, np.float64)
    return (total / len(samples)).astype(np.float32)
