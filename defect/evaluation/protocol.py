"""Measures a trained autoencoder on a category's test photos and notes it in the weights file.

Nothing is chosen here: the network, the calibration and the default threshold were fixed on normal
photos before any test photo is read.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from defect import load, weights
from defect.datasets import mvtec
from defect.datasets.samples import DataError, load_images, load_masks
from defect.evaluation.metrics import image_metrics, pixel_metrics, to_json
from defect.inspector import DEFAULT_LIMIT
from defect.networks import ModelName
from defect.weights import Metadata


def evaluate(model: ModelName, category: str, data: Path, folder: Path) -> Metadata:
    """Runs the test photos through `load(model, category)` and saves the figures in its file.

    Written to the metadata's `test`: `image` and `pixel` (calibrated), `thesis_image` and
    `thesis_pixel` (the thesis's scoring of the same network), and `brightness_auroc`, what mean
    brightness alone would score: where it is far from 0.5 an image figure proves little.

    Raises:
        DataError: the category has no test photos of both kinds.
        WeightsError: no usable weights.
    """
    samples = mvtec.test_samples(data, category)
    labels = np.array([sample.defective for sample in samples], bool)
    if labels.all() or not labels.any():
        raise DataError(
            f'"{category}" needs good and defective test photos: {category}/test/good/ and '
            f"{category}/test/<defect>/ in the data folder."
        )
    kinds = [sample.kind for sample in samples]
    masks, known = load_masks(samples)
    inspections = load(model, category, folder=folder)([sample.path for sample in samples])
    maps = np.stack([i.anomaly_map for i in inspections])
    errors = np.stack([i.error_map for i in inspections])
    scores = [i.score for i in inspections]
    thesis_scores = [i.thesis_score for i in inspections]
    thesis_limit = inspections[0].thesis_limit
    brightness = load_images(samples).mean((1, 2, 3))

    test: dict[str, Any] = {
        "image": to_json(image_metrics(scores, labels, kinds, DEFAULT_LIMIT)),
        "pixel": to_json(pixel_metrics(maps, masks, known, DEFAULT_LIMIT)),
        "thesis_image": to_json(image_metrics(thesis_scores, labels, kinds, thesis_limit)),
        "thesis_pixel": to_json(pixel_metrics(errors, masks, known, thesis_limit)),
        "brightness_auroc": to_json(image_metrics(brightness, labels, kinds, 0.0).auroc)["value"],
    }
    content = weights.read(folder, model, category)
    metadata = replace(content.metadata, test=test)
    weights.save(folder, content.network, content.calibration, metadata)
    return metadata


def summary(metadata: Metadata) -> str:
    """One line: what was measured, calibrated and, in brackets, with the thesis's score."""
    name = f"{metadata.model:4}{metadata.category:18}"
    test = metadata.test
    if not test:
        return f"{name}not measured"
    image, thesis = test["image"], test["thesis_image"]
    pixel, thesis_pixel = test["pixel"]["auroc"], test["thesis_pixel"]["auroc"]
    place = f"pixel {pixel:.3f} ({thesis_pixel:.3f})" if pixel is not None else "pixel –"
    return (
        f"{name}image AUROC {image['auroc']['value']:.3f} ({thesis['auroc']['value']:.3f})  {place}"
        f"  false alarms {100 * image['false_alarm_rate']:.0f} % of {image['normal']}"
        f"  found {100 * image['detection_rate']:.0f} % of {image['defective']}"
        f"  brightness alone {test['brightness_auroc']:.3f}"
    )


def steel_summary(metadata: Metadata) -> str:
    """One line on the classifier."""
    test = metadata.test
    if not test:
        return "cnn neu: not measured"
    return (
        f"cnn neu  accuracy {100 * test['accuracy']:.2f} % of {test['count']} held-out "
        f"photos, macro F1 {test['macro_f1']:.4f}"
    )
