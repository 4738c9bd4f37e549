"""The cases of `page_cases.json` as the library's own values. Scores there are whole steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from defect.detectors.thresholds import false_alarm_percents
from defect.inspection import Inspection, WeightsSource
from defect.ui.payload import STEPS
from defect.weights.files import Metadata, Training

CASES: dict[str, list[Any]] = json.loads(
    Path(__file__).with_name("page_cases.json").read_text(encoding="utf-8")
)

for _case in CASES["costs"]:
    _case["bounds"] = false_alarm_percents(len(_case["held_out"]) + len(_case["good"]))


def build_map(case: dict[str, Any]) -> np.ndarray:
    """h×w multiples of the normal limit: `boxes` of (top, left, bottom, right, steps)."""
    values = np.zeros(case["shape"], np.float64)
    for top, left, bottom, right, steps in case["boxes"]:
        values[top:bottom, left:right] = steps / STEPS
    return values


def inspection_of(anomaly_map: np.ndarray, **fields: Any) -> Inspection:
    """An inspection with this map, by a detector that reconstructs nothing."""
    values: dict[str, Any] = {
        "photo": np.zeros((32, 32, 3), np.uint8),
        "name": "part.jpg",
        "notes": (),
        "anomaly_map": anomaly_map,
        "error_map": None,
        "reconstruction": None,
        "score": float(anomaly_map.max()),
        "thesis_score": None,
        "thesis_limit": None,
        "model": "memory",
        "category": "part",
        "weights": WeightsSource("taught here", "part.safetensors", "0" * 64, 1),
    }
    return Inspection(**{**values, **fields})


def metadata_of(scores: dict[str, list[int]]) -> Metadata:
    """A header that stores these scores."""
    test = [(steps, "good") for steps in scores["good"]]
    test += [(steps, "crack") for steps in scores["defective"]]
    return Metadata(
        model="memory",
        category="part",
        dataset="own photos",
        licence="",
        training=Training(images_fit=9, seed=0, device="cpu", precision="float32", seconds=1.0),
        calibration={
            "normal_scores": [steps / STEPS for steps in scores["held_out"]],
            "known_sensitivity": {"spot": scores.get("drawn", [0, 0])},
        },
        test={
            "scores": {
                "calibrated": [steps / STEPS for steps, _ in test],
                "kind": [kind for _, kind in test],
            }
        },
    )
