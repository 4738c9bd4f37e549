"""Where a category's photos come from, and what is missing of them here."""

from __future__ import annotations

from dataclasses import dataclass

from defect.datasets import mvtec, rendered


@dataclass(frozen=True)
class Provenance:
    """As a weights file's header states it."""

    dataset: str
    licence: str
    note: str = ""
    """What is missing of the data set; empty where it is complete."""


RENDERED = Provenance("rendered by this project", "Apache-2.0")
INCOMPLETE = {
    "capsule": "8 of 23 good test photos are missing.",
    "hazelnut": "Trained on 50 of 391 photos; test: 25 of 40 good, only cracks, no masks.",
    "cable": "Taught from 20 good test photos: the training photos are not to be had here.",
    "leather": "Taught from 12 good test photos: the training photos are not to be had here.",
    "tile": "Taught from 12 good test photos: the training photos are not to be had here.",
    "toothbrush": "11 of 12 good test photos are missing; 12 training photos stand in.",
    "transistor": "No masks: image-level figures only.",
}
"""Where the copy of MVTec AD the bundled weights were made with is not complete."""


def of_category(category: str) -> Provenance:
    """Of a category's own photos."""
    if category in rendered.CATEGORIES:
        return RENDERED
    if category in mvtec.CATEGORIES:
        return Provenance("MVTec AD", mvtec.LICENCE, INCOMPLETE.get(category, ""))
    return Provenance("own photos", "the photos' own")
