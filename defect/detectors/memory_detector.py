"""Photos → inspections by a memory of normal, and memories as files that may come from anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from defect.detectors import memory as normal
from defect.detectors.autoencoder import Inspection, light_note
from defect.detectors.memory import LIGHT_WORTH_A_NOTE, Memory, restore_memory
from defect.detectors.scoring import scores, to_tensor
from defect.detectors.stream import in_passes
from defect.imaging.photo import Prepared, Source
from defect.networks.autoencoders import MEMORY
from defect.networks.backbone import Backbone, chosen, load_backbone
from defect.networks.extractor import Extractor, fold
from defect.weights import files as weights
from defect.weights import resolution as sources
from defect.weights.files import (
    WEIGHTS_FOLDER,
    Metadata,
    NotAvailable,
    WeightsError,
    WeightsSource,
    read_index,
)

EXTRACTOR = ("extractor", "shared")
Features = Extractor | Backbone
MAX_MEMORY_BYTES = 8 * 1024**2
"""A memory's file is 1.1 MB; a larger one is something else."""
NOT_A_MEMORY = "is not a detector this app can load"
ANOTHER = "it was taught through another feature extractor than the one here"


class MemoryInspector:
    """Looks at photos through the extractor and compares them with a memory of normal."""

    def __init__(
        self, extractor: Features, memory: Memory, metadata: Metadata, source: WeightsSource
    ) -> None:
        self.extractor = extractor
        self.memory = memory
        self.metadata = metadata
        self.source = source

    @overload
    def __call__(self, photos: Source | Prepared) -> Inspection: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Inspection]: ...
    def __call__(self, photos: Source | Prepared | list[Any]) -> Inspection | list[Inspection]:
        """Inspects one photo, or a list of them in batched passes.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        found: Inspection | list[Inspection] = in_passes(self._inspect, photos)
        return found

    @torch.inference_mode()
    def _inspect(self, photos: Sequence[Prepared]) -> list[Inspection]:
        pixels = to_tensor(np.stack([photo.seen for photo in photos]))
        relit, gains = normal.relight(pixels, self.memory.light)
        maps = normal.anomaly_maps(self.memory, normal.describe(self.extractor, relit))
        found = scores(maps).tolist()
        return [
            Inspection(
                photo=photo.shown,
                name=photo.name,
                notes=photo.notes + _light(float(gains[i])),
                anomaly_map=maps[i].numpy(),
                error_map=None,
                reconstruction=None,
                score=found[i],
                thesis_score=None,
                thesis_limit=None,
                model=self.metadata.model,
                category=self.metadata.category,
                weights=self.source,
            )
            for i, photo in enumerate(photos)
        ]


def _light(gain: float) -> tuple[str, ...]:
    # Every photo is brought to the same light; only what a person would notice is worth a note.
    return light_note(gain if abs(gain - 1) > LIGHT_WORTH_A_NOTE else 1.0)


def load_extractor(folder: Path = WEIGHTS_FOLDER) -> tuple[Extractor, str]:
    """The extractor every memory of the folder looks through, and its SHA-256; kept once loaded.

    Raises:
        NotAvailable: the folder has none.
        WeightsError: the file must not be used.
    """
    relative = weights.relative_path(*EXTRACTOR)
    entry = next((e for e in read_index(folder) if e.file == relative), None)
    return _extractor(folder, entry.sha256 if entry else "")


@lru_cache(maxsize=2)
def _extractor(folder: Path, sha256: str) -> tuple[Extractor, str]:
    if not sha256:
        raise NotAvailable(
            "There is no feature extractor here, and without one nothing can be taught. Restore "
            "weights/extractor/, or make it: `python -m defect train extractor --data DIR "
            "--teacher FILE`."
        )
    content = weights.read(folder, *EXTRACTOR)
    heads = [content.network.get(f"{name}_terms.bias") for name in ("fine", "coarse")]
    first = content.network.get("stem.0.0.weight")
    if first is None or heads[0] is None or heads[1] is None:
        raise WeightsError(f"weights/{content.source.file} is not an extractor. Fetch it again.")
    extractor = Extractor((len(heads[0]), len(heads[1])), len(first))
    weights.load_into(extractor, content)
    return fold(extractor), content.source.sha256


def teaching_extractor(
    folder: Path = WEIGHTS_FOLDER, wait: float | None = None
) -> tuple[Features, str, str]:
    """What a new product is taught through, its SHA-256, and its name where it is a backbone.

    Args:
        wait: seconds until an error says how far a backbone's download is; None: until it is done.

    Raises:
        NotAvailable: the folder has no extractor, or the backbone is not here (yet).
        WeightsError: it must not be used.
    """
    backbone = chosen()
    if not backbone:
        return *load_extractor(folder), ""
    return *load_backbone(backbone, wait), backbone


def load_memory(category: str, folder: Path = WEIGHTS_FOLDER) -> MemoryInspector:
    """The memory of one category.

    Raises:
        NotAvailable: no memory of the category here, or no extractor.
        WeightsError: a file must not be used; the text says why.
    """
    content = sources.read(folder, MEMORY, category)
    extractor, sha256 = load_extractor(folder)
    try:
        memory = _memory_of(content)
        if memory.extractor != sha256:
            raise ValueError(ANOTHER)
    except ValueError as error:
        raise WeightsError(
            f"weights/{content.source.file} cannot be used: {error}. Teach it again."
        ) from error
    return MemoryInspector(extractor, memory, content.metadata, content.source)


def from_bytes(
    data: bytes, name: str, folder: Path = WEIGHTS_FOLDER, wait: float | None = None
) -> MemoryInspector:
    """A detector somebody downloaded earlier. Nothing in the file is trusted.

    Args:
        data: the file's content.
        name: how to call the file in messages.
        wait: seconds a backbone's download is waited for; None: until it is done.

    Raises:
        WeightsError: it is not a memory, is damaged or too large, or fits another extractor; or
            what it was taught through cannot be had.
    """
    if len(data) > MAX_MEMORY_BYTES:
        raise WeightsError(f'"{name}" is {len(data) / 1e6:.0f} MB; a taught detector has under 2.')
    source = WeightsSource("uploaded", name, hashlib.sha256(data).hexdigest(), len(data))
    try:
        content = weights.parse(data, source)
        if content.metadata.model != MEMORY:
            raise ValueError("it is of another model")
        memory = _memory_of(content)
        metadata = replace(
            content.metadata,
            category=plain_name(str(content.metadata.category)),
            test={},
            transfer={},
            note="",
        )
    except (WeightsError, ValueError, TypeError, KeyError, AttributeError) as error:
        why = str(error) if type(error) is ValueError else "it is no file of this app, or damaged"
        raise WeightsError(f'"{name}" {NOT_A_MEMORY}: {why}.') from error
    extractor = _extractor_of(memory, folder, wait)
    if extractor is None or len(memory.centre) != extractor.channels:
        raise WeightsError(f'"{name}" {NOT_A_MEMORY}: {ANOTHER}.')
    return MemoryInspector(extractor, memory, metadata, source)


def plain_name(text: str) -> str:
    """A product's name as it may stand in a file name and a table: letters, digits, - and _."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in text.strip())
    return kept[:40].strip("_") or "product"


def _memory_of(content: weights.Weights) -> Memory:
    """Raises ValueError with what is wrong."""
    if content.network:
        raise ValueError("it holds a network, and a memory has none")
    return restore_memory(content.calibration, content.metadata.calibration)


def _extractor_of(memory: Memory, folder: Path, wait: float | None) -> Features | None:
    """What a memory was taught through, if it is the folder's extractor or the backbone chosen.

    Raises:
        WeightsError: the one asked for cannot be had, or must not be used.
    """
    if backbone := chosen():
        with suppress(NotAvailable):
            extractor, sha256 = load_extractor(folder)
            if memory.extractor == sha256:
                return extractor
        other, sha256 = load_backbone(backbone, wait)
        return other if memory.extractor == sha256 else None
    extractor, sha256 = load_extractor(folder)
    return extractor if memory.extractor == sha256 else None
