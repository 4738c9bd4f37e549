"""NEU steel-surface defects (Song & Yan, 2013): one folder a class, 300 photos of 200×200 each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from defect.datasets.samples import DataError, Sample, list_images
from defect.inspection import Message

CLASSES = (
    "crazing",
    "inclusion",
    "patches",
    "pitted_surface",
    "rolled-in_scale",
    "scratches",
)
LICENCE = "research use, Song & Yan 2013"
HELD_OUT_SHARE = 0.2


def samples(root: Path) -> list[Sample]:
    """Every photo with its class as `kind`, ordered by class and name.

    Raises:
        DataError: a class folder is absent or empty.
    """
    found = []
    for name in CLASSES:
        paths = list_images(root / name)
        if not paths:
            raise DataError(
                Message(
                    "neu_no_photos",
                    'No photos of the class "{name}": expected a folder {name}/ with photos in the '
                    "data folder, and one for each of {classes}.",
                    name=name,
                    classes=", ".join(CLASSES),
                )
            )
        found += [Sample(path, name) for path in paths]
    return found


def split(photos: Sequence[Sample], seed: int = 0) -> tuple[list[Sample], list[Sample]]:
    """Seeded, stratified split into 80 % to train and 20 % held out (NEU: 1,440 and 360)."""
    draw = np.random.default_rng(seed)
    train, held_out = [], []
    for name in CLASSES:
        of_class = [photo for photo in photos if photo.kind == name]
        order = draw.permutation(len(of_class))
        count = round(len(of_class) * HELD_OUT_SHARE)
        held_out += [of_class[i] for i in sorted(order[:count])]
        train += [of_class[i] for i in sorted(order[count:])]
    return train, held_out
