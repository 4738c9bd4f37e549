"""One extractor for all: which of the products here a photo shows.

Every memory keeps the mean of what the extractor sees in its product's photos; a photo belongs to
the product whose mean lies nearest to its own. Nothing is trained for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from defect.detectors.feature_extractors import load_extractor
from defect.detectors.memory.features import describe, to_pixels
from defect.detectors.memory.working_size import SIDE
from defect.detectors.stream import BATCH
from defect.imaging.photo import Source, read_photo, resize
from defect.inspection import Message
from defect.weights import files
from defect.weights.errors import NotAvailable
from defect.weights.index import WEIGHTS_FOLDER, read_index

CENTRE = "level0.view1.channel_centre"
"""The mean features of a memory's photos, in its weights file."""
CLEARLY = 0.8
"""The nearest product is named without doubt if it is this much nearer than the second."""


@dataclass(frozen=True)
class Recognised:
    """The product a photo most likely shows."""

    category: str
    sure: bool
    """False where a second product lies about as near, or nothing lies near."""


class Recogniser:
    """Names the product of a photo, among those there are memories of."""

    def __init__(self, folder: Path = WEIGHTS_FOLDER) -> None:
        """Raises `NotAvailable` where there is no extractor or no memory."""
        self.extractor, _ = load_extractor(folder)
        self.categories = [e.category for e in read_index(folder) if e.model == "memory"]
        if not self.categories:
            raise NotAvailable(
                Message(
                    "memories_here_recognise_product",
                    "There are no memories here to recognise a product by.",
                )
            )
        contents = [files.read(folder, "memory", name) for name in self.categories]
        self.centres = torch.stack([content.calibration[CENTRE] for content in contents])

    @torch.inference_mode()
    def __call__(self, photos: Sequence[Source]) -> list[Recognised]:
        """The likeliest product of each photo.

        Raises:
            ImageError: a photo cannot be used.
        """
        found: list[Recognised] = []
        for start in range(0, len(photos), BATCH):
            chunk = photos[start : start + BATCH]
            images = np.stack([resize(read_photo(photo).pixels, (SIDE, SIDE)) for photo in chunk])
            sharp = describe(self.extractor, to_pixels(images))[1]
            found += self._nearest(sharp.mean((1, 2)))
        return found

    def _nearest(self, means: Tensor) -> list[Recognised]:
        distances = torch.cdist(means, self.centres)
        order = distances.argsort(1)
        found = []
        for row, ranked in zip(distances, order, strict=True):
            first = int(ranked[0])
            second = float(row[ranked[1]]) if len(ranked) > 1 else float("inf")
            found.append(Recognised(self.categories[first], float(row[first]) < CLEARLY * second))
        return found
