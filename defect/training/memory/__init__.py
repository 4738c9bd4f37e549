"""Teaches a memory of normal: from somebody's own photos, or from a category of a data folder."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defect.datasets import mvtec, provenance
from defect.detectors.feature_extractors import load_extractor, teaching_extractor
from defect.detectors.memory.detector import MemoryDetector, Outlier, TeachingReport
from defect.detectors.registry import plain_name
from defect.detectors.stream import PhotoSource
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import ImageError, Photo, Source, network_input, read_photo
from defect.inspection import Message, WeightsSource
from defect.training.memory.fit import FittedMemory, fit_memory
from defect.training.memory.outliers import find_outliers
from defect.weights import files
from defect.weights.files import Metadata, Training, save
from defect.weights.index import WEIGHTS_FOLDER, IndexEntry

MODEL = "memory"
MAX_PHOTOS = 300
"""A memory learns little from more."""
KEPT_BYTES = 256 * 1024**2
"""Of photos kept in memory while teaching; the others are read again when needed."""
MAX_STRETCH = 1.15
"""Aspect ratios that differ by more are worth a note."""
FEW_PHOTOS = 10
OWN_EXTRACTOR = "the feature extractor (extractor/shared)"


def teach(
    photos: Iterable[Source | PhotoSource],
    name: str = "my part",
    *,
    without: Sequence[str] = (),
    folder: Path = WEIGHTS_FOLDER,
    wait: float | None = None,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MemoryDetector:
    """Teaches a detector from good photos of one product, in seconds.

    What cannot be used is left out; `MemoryDetector.teaching` says what and why.

    Args:
        photos: paths, bytes, PIL images or arrays, or what `imaging.archives.find_photos` finds in
            folders and archives.
        name: of the product; made plain.
        without: names of photos to leave out, as `TeachingReport.photos` has them.
        folder: where the feature extractor lies.
        wait: seconds a backbone's download is waited for; None: until it is done.
        report_progress: called with (photos done, photos in all).

    Raises:
        ValueError: no photo, too many, or none that can be read; the text says so.
        WeightsError: there is no usable extractor.
    """
    sources = [_as_source(photo, number) for number, photo in enumerate(photos, 1)]
    if not sources:
        raise ValueError(
            Message(
                "teach_no_photos",
                "There are no photos yet. Add 10 to 50 good ones and try again.",
            )
        )
    if len(sources) > MAX_PHOTOS:
        raise ValueError(
            Message(
                "teach_too_many",
                "{count} photos at once; at most {most} are accepted. Ten to fifty are usually "
                "enough: choose those that show how much good parts differ.",
                count=len(sources),
                most=MAX_PHOTOS,
            )
        )
    extractor, sha256, backbone = teaching_extractor(folder, wait)
    photos_read, notes = _read_distinct([s for s in sources if s.name not in without])
    fitted = fit_memory(
        extractor,
        photos_read,
        sha256,
        shapes=photos_read.shapes,
        report_progress=report_progress,
    )
    names = photos_read.names
    if len(names) < FEW_PHOTOS:
        notes.append(_few_photos(len(names)))
    if count := int(fitted.left_out.sum()):
        notes.append(
            Message(
                "teach_outliers_left_out",
                "{count} of the photos differ so much from the others that the detector was "
                "taught without them.",
                count=count,
            )
        )
    through = OWN_EXTRACTOR
    if backbone:
        through = f"the backbone {backbone}"
        notes.append(
            Message(
                "teach_backbone",
                "Taught through {backbone}: the file can be loaded only where that is chosen.",
                backbone=backbone,
            )
        )
    metadata = memory_metadata(
        fitted, plain_name(name), "own photos", "the photos' own", through=through
    )
    data = files.to_bytes({}, fitted.memory.tensors(), metadata)
    source = WeightsSource(
        "taught here",
        f"{metadata.category}.safetensors",
        hashlib.sha256(data).hexdigest(),
        len(data),
    )
    outliers = find_outliers(fitted.images, fitted.scores) if len(names) > 1 else []
    report = TeachingReport(
        photos=names,
        outliers=tuple(Outlier(names[index], reason) for index, reason in outliers),
        notes=tuple(notes),
        seconds=fitted.seconds,
    )
    return MemoryDetector(extractor, fitted.memory, metadata, source, teaching=report)


def teach_and_save(category: str, data: Path, weights: Path, seed: int = 0) -> IndexEntry:
    """Teaches a memory of one category from its training photos and saves it.

    Raises:
        DataError: there are no training photos.
        ValueError: there are too many, or none that can be used.
        WeightsError: the weights folder has no usable extractor.
    """
    samples = mvtec.train_samples(data, category)
    photos, _ = _read_distinct([PhotoFile(s.path, s.path.name) for s in samples])
    extractor, sha256 = load_extractor(weights)
    fitted = fit_memory(extractor, photos, sha256, shapes=photos.shapes, seed=seed)
    origin = provenance.of_category(category)
    metadata = memory_metadata(
        fitted, category, origin.dataset, origin.licence, seed, note=origin.note
    )
    return save(weights, {}, fitted.memory.tensors(), metadata)


def false_alarm_odds(photos: int) -> int:
    """Expect about one false alarm in so many good photos: the limit is set for 1 in 100, and a
    few photos say little about the rest."""
    return round(1 / (0.01 + 0.3 / max(photos, 1)))


def memory_metadata(
    fitted: FittedMemory,
    category: str,
    dataset: str,
    licence: str,
    seed: int = 0,
    note: str = "",
    through: str = OWN_EXTRACTOR,
) -> Metadata:
    """The header of a memory's file."""
    training = Training(
        images_fit=fitted.memory.photos,
        seed=seed,
        device="cpu",
        precision="float32",
        seconds=round(fitted.seconds, 1),
        start=f"{through}, kept as it is",
    )
    return Metadata(
        model=MODEL,
        category=category,
        dataset=dataset,
        licence=licence,
        training=training,
        calibration=fitted.memory.numbers(),
        note=note,
    )


class _Opened:
    """A photo given as bytes, a picture or an array."""

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name

    def read(self) -> Photo:
        return read_photo(self.source, self.name)


def _as_source(photo: Source | PhotoSource, number: int) -> PhotoSource:
    if isinstance(photo, (str, os.PathLike)):
        return PhotoFile(Path(photo), Path(photo).name)
    if isinstance(photo, Photo):
        return _Opened(photo, photo.name)
    if isinstance(photo, (bytes, Image.Image, np.ndarray)):
        return _Opened(photo, f"photo {number}")
    return photo


class _PhotoSet(Sequence[np.ndarray]):
    """Photos as H×W×3 uint8; those that do not fit into `KEPT_BYTES` are read again when needed."""

    def __init__(self) -> None:
        self.sources: list[PhotoSource] = []
        self.shapes: list[tuple[int, ...]] = []
        self._kept: dict[int, np.ndarray] = {}
        self._bytes = 0

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(source.name for source in self.sources)

    def add(self, source: PhotoSource, pixels: np.ndarray) -> None:
        if self._bytes + pixels.nbytes <= KEPT_BYTES:
            self._kept[len(self.sources)] = pixels
            self._bytes += pixels.nbytes
        self.sources.append(source)
        self.shapes.append(pixels.shape)

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: Any) -> Any:
        if index >= len(self.sources):
            raise IndexError(index)
        kept = self._kept.get(int(index))
        return self.sources[int(index)].read().pixels if kept is None else kept


def _read_distinct(sources: Sequence[PhotoSource]) -> tuple[_PhotoSet, list[Message]]:
    """Photos to teach from, and notes: copies, damaged and unreadable photos are left out."""
    photos, seen, unusable, copies = _PhotoSet(), set[bytes](), [], 0
    for source in sources:
        try:
            photo = source.read()
        except ImageError as error:
            unusable.append(error.args[0])
            continue
        if photo.damaged:
            text = '"{name}" is damaged.'
            unusable.append(Message("teach_damaged", text, name=photo.name))
            continue
        key = hashlib.sha256(network_input(photo.pixels).tobytes()).digest()
        if key in seen:
            copies += 1
            continue
        seen.add(key)
        photos.add(source, photo.pixels)
    if not len(photos):
        raise ValueError(
            Message("teach_none_usable", "None of the photos can be used. {why}", why=unusable[0])
            if unusable
            else Message("teach_all_left_out", "All photos were left out.")
        )
    notes: list[Message] = []
    if copies == 1:
        notes.append(Message("teach_copy", "1 photo is a copy of another and was ignored."))
    elif copies:
        notes.append(
            Message(
                "teach_copies",
                "{count} photos are copies of others and were ignored.",
                count=copies,
            )
        )
    notes += [Message("teach_left_out", "Left out: {why}", why=why) for why in unusable[:3]]
    if len(unusable) > 3:
        notes.append(
            Message(
                "teach_left_out_more", "Left out: {count} more photos.", count=len(unusable) - 3
            )
        )
    ratios = [math.log(shape[1] / shape[0]) for shape in photos.shapes]
    if max(ratios) - min(ratios) > math.log(MAX_STRETCH):
        notes.append(
            Message(
                "teach_shapes",
                "The photos have different aspect ratios; all are stretched to the median one.",
            )
        )
    return photos, notes


def _few_photos(count: int) -> Message:
    if count == 1:
        return Message(
            "teach_one_photo",
            "One photo shows little of how good parts differ: expect wrong verdicts. Add more.",
        )
    return Message(
        "teach_few_photos",
        "{count} photos show little of how good parts differ: expect wrong verdicts. Add more.",
        count=count,
    )
