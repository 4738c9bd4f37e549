"""Photos → inspections by a memory of normal."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.detectors.autoencoder import brightness_note
from defect.detectors.feature_extractors import FeatureExtractor, extractor_for
from defect.detectors.memory.memory import (
    Memory,
    anomaly_map,
    map_of_levels,
    restore_memory,
)
from defect.detectors.stream import run_batched
from defect.imaging.photo import Photo, Source
from defect.inspection import Inspection, Message, WeightsSource
from defect.weights import files
from defect.weights.files import Metadata, Weights
from defect.weights.index import WEIGHTS_FOLDER

GAIN_WORTH_A_NOTE = 0.1
STRETCH_WORTH_A_NOTE = 1.15
"""Aspect ratios that differ by this factor."""
ANOTHER_EXTRACTOR = "it was taught through another feature extractor than the one here"


@dataclass(frozen=True)
class TeachingReport:
    """What was noticed while a detector was taught."""

    photos: tuple[str, ...]
    """Names of the photos it was taught from."""
    outliers: tuple[Outlier, ...] = ()
    notes: tuple[str, ...] = ()
    """What was left out and why, as sentences."""
    seconds: float = 0.0


@dataclass(frozen=True)
class Outlier:
    """One photo worth a second look."""

    photo: str
    reason: Message
    """The end of a sentence, such as `looks blurred beside the others`."""


class MemoryDetector:
    """Compares photos with a memory of normal, through a feature extractor."""

    def __init__(
        self,
        extractor: FeatureExtractor,
        memory: Memory,
        metadata: Metadata,
        source: WeightsSource,
        *,
        device: str | None = None,
        teaching: TeachingReport | None = None,
    ) -> None:
        """
        Args:
            extractor: in evaluation mode.
            teaching: of a detector that was just taught.
        """
        self.device = torch.device(device or "cpu")
        # The extractor is shared with the other memories, which stay where they are.
        on_cpu = self.device.type == "cpu"
        self.extractor = extractor if on_cpu else copy.deepcopy(extractor).to(self.device)
        self.memory = memory
        self.metadata = metadata
        self.source = source
        self.teaching = teaching

    @property
    def name(self) -> str:
        return self.metadata.model

    @property
    def category(self) -> str:
        return self.metadata.category

    @overload
    def __call__(self, photos: Source) -> Inspection: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Inspection]: ...
    def __call__(self, photos: Source | list[Any]) -> Inspection | list[Inspection]:
        """Inspects one photo, or a list of them in batched passes.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        return run_batched(self._inspect, photos, self.metadata.bit_depth)

    def save(self, path: Path) -> None:
        """Writes the detector as safetensors; `load(path)` restores it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.to_bytes())

    def to_bytes(self) -> bytes:
        """The detector as a weights file."""
        return files.to_bytes({}, self.memory.tensors(), self.metadata)

    def to_module(self) -> nn.Module:
        """The detector as one function of tensors, for export."""
        return _MemoryModule(self)

    def _inspect(self, photos: Sequence[Photo]) -> list[Inspection]:
        return [self._inspect_one(photo) for photo in photos]

    def _inspect_one(self, photo: Photo) -> Inspection:
        found, gain = anomaly_map(self.memory, self.extractor, photo.pixels, self.device)
        return Inspection(
            photo=photo.shown,
            photo_size=photo.size,
            name=photo.name,
            notes=photo.notes + self._notes(photo, gain),
            anomaly_map=found.numpy(),
            error_map=None,
            reconstruction=None,
            score=float(found.max()),
            thesis_score=None,
            thesis_limit=None,
            model=self.metadata.model,
            category=self.metadata.category,
            weights=self.source,
        )

    def _notes(self, photo: Photo, gain: float) -> tuple[str, ...]:
        # Every photo is brought to the same brightness; only what a person would notice is noted.
        notes = brightness_note(gain) if abs(gain - 1) > GAIN_WORTH_A_NOTE else ()
        height, width = self.memory.levels[0].size
        ratio = photo.pixels.shape[1] / photo.pixels.shape[0] * height / width
        if max(ratio, 1 / ratio) > STRETCH_WORTH_A_NOTE:
            text = "Not the aspect ratio of the photos taught from: stretched to theirs."
            notes += (Message("stretched", text),)
        return notes


class _MemoryModule(nn.Module):
    """`MemoryDetector` on pixels, without notes."""

    def __init__(self, detector: MemoryDetector) -> None:
        super().__init__()
        self.extractor = detector.extractor
        self.memory = detector.memory
        self.input_size = detector.memory.levels[-1].size

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """N×h×w×3 uint8 → N scores and N maps, in multiples of the normal limit."""
        pixels = photo.permute(0, 3, 1, 2).to(torch.float32)
        levels = [
            pixels / 255
            if level.size == self.input_size
            else F.interpolate(pixels, level.size, mode="bilinear", antialias=True).round() / 255
            for level in self.memory.levels
        ]
        maps, _ = map_of_levels(self.memory, self.extractor, levels)
        return maps.flatten(1).amax(1), maps


def restore(
    content: Weights,
    folder: Path = WEIGHTS_FOLDER,
    *,
    device: str | None = None,
    wait: float | None = None,
) -> MemoryDetector:
    """The detector in a weights file's content.

    Raises:
        NotAvailable: the feature extractor it needs is not here (yet).
        ValueError: the content does not fit.
    """
    if content.network:
        raise ValueError("it holds a network, and a memory has none")
    memory = restore_memory(content.calibration, content.metadata.calibration)
    extractor = extractor_for(memory.extractor, folder, wait)
    if extractor is None or any(
        len(view.basis.centre) != extractor.channels
        for level in memory.levels
        for view in level.views
    ):
        raise ValueError(ANOTHER_EXTRACTOR)
    return MemoryDetector(extractor, memory, content.metadata, content.source, device=device)
