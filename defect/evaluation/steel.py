"""Measures the steel classifier: on NEU's held-out fifth, and on photos that show no steel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from defect.datasets import neu
from defect.datasets.samples import Sample
from defect.detectors.out_of_distribution import refused_share
from defect.detectors.steel import load_steel_classifier
from defect.evaluation.metrics import classification_metrics, to_json
from defect.evaluation.protocol import rewrite
from defect.weights.files import Metadata


def evaluate_classifier(
    data: Path, folder: Path, others: Mapping[str, Sequence[Sample]] = {}
) -> Metadata:
    """Classifies the held-out photos, and those of other things, and notes the figures in the file.

    Written to the metadata's `test`: `Classification` as JSON, and `unknown`: what share of NEU's
    held-out photos is refused as none of the six (each half by a limit set on the other half) and,
    by name, what share of the other photos, which decided nothing.

    Args:
        data: folder of NEU classes.
        others: photos without steel, by what they show.

    Raises:
        DataError: a class folder is absent, or a photo cannot be read.
        WeightsError: no usable weights.
    """
    classify = load_steel_classifier(folder)
    held_out = neu.split(neu.samples(data), classify.metadata.training.seed)[1]
    results = classify([sample.path for sample in held_out])
    metrics = classification_metrics(
        [result.label for result in results], [sample.kind for sample in held_out], neu.CLASSES
    )
    test: dict[str, Any] = to_json(metrics)
    if classify.ood is not None:
        unlike = np.array([result.ood_score for result in results])
        refused = {
            name: [not r.known for r in classify([sample.path for sample in samples])]
            for name, samples in others.items()
        }
        test["unknown"] = {
            "neu_photos": len(held_out),
            "neu_refused": round(refused_share(unlike), 4),
            "other_photos": sum(map(len, refused.values())),
            "others_refused": _share([one for each in refused.values() for one in each]),
            "others": {name: _share(each) for name, each in refused.items()},
        }
    return rewrite(folder, "cnn", "neu", test=test)


def _share(refused: list[bool]) -> float | None:
    return round(float(np.mean(refused)), 4) if refused else None
