"""Teaches a memory of normal: from somebody's own photos, or from a category of a data folder."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from defect.datasets import mvtec, provenance
from defect.detectors.feature_extractors import load_extractor, teaching_extractor
from defect.detectors.memory.detector import MemoryDetector, Outlier, TeachingReport
from defect.detectors.registry import plain_name
from defect.detectors.stream import PhotoSource
from defect.imaging.archives import PhotoFile, label
from defect.imaging.bit_depth import FEWEST, MANY_TIMES, check_bit_depth, guess_bit_depth
from defect.imaging.photo import ImageError, Photo, Source, network_input, read_photo
from defect.inspection import Message, WeightsSource
from defect.training.memory.fit import FLAT, FittedMemory, fit_memory
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
LEAST_SIDE = 32
"""Pixels a side under which a photo shows too little to learn from."""
OWN_EXTRACTOR = "the feature extractor (extractor/shared)"


def teach(
    photos: Iterable[Source | PhotoSource],
    name: str = "my part",
    *,
    without: Sequence[str] = (),
    bit_depth: int | None = None,
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
        bit_depth: of the camera (8 to 16), where its values lie unscaled in 16-bit files; guessed
            from the photos by default. The detector reads with it, too.
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
    check_bit_depth(bit_depth)
    chosen = [source for source in sources if source.name not in without]
    photos_read, notes = _read_distinct(chosen, bit_depth)
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
        fitted,
        plain_name(name),
        "own photos",
        "the photos' own",
        through=through,
        bit_depth=photos_read.bit_depth,
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
        fitted,
        category,
        origin.dataset,
        origin.licence,
        seed,
        note=origin.note,
        bit_depth=photos.bit_depth,
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
    bit_depth: int | None = None,
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
        calibration=fitted.memory.numbers() | ({"bit_depth": bit_depth} if bit_depth else {}),
        note=note,
    )


class _Opened:
    """A photo given as bytes, a picture or an array."""

    def __init__(self, source: Source, name: str) -> None:
        self.source, self.name = source, name

    def read(self, bit_depth: int | None = None) -> Photo:
        return read_photo(self.source, self.name, bit_depth)


def _as_source(photo: Source | PhotoSource, number: int) -> PhotoSource:
    if isinstance(photo, (str, os.PathLike)):
        return PhotoFile(Path(photo), label(Path(photo).name))
    if isinstance(photo, Photo):
        return _Opened(photo, photo.name)
    if isinstance(photo, (bytes, Image.Image, np.ndarray)):
        return _Opened(photo, f"photo {number}")
    return photo


class _PhotoSet(Sequence[np.ndarray]):
    """Photos as H×W×3 uint8; those that do not fit into `KEPT_BYTES` are read again when needed."""

    def __init__(self, bit_depth: int | None) -> None:
        self.bit_depth = bit_depth
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
        return self.sources[int(index)].read(self.bit_depth).pixels if kept is None else kept


@dataclass
class _Reading:
    """What reading the photos gave."""

    photos: _PhotoSet
    maxima: list[int] = field(default_factory=list)
    """The highest values of those that do not say their bit depth."""
    unusable: list[Message] = field(default_factory=list)
    copies: int = 0


def _read_distinct(
    sources: Sequence[PhotoSource], bit_depth: int | None = None
) -> tuple[_PhotoSet, list[Message]]:
    """Photos to teach from, and notes: copies and what cannot be used are left out.

    Where nobody says the camera's bit depth, the photos are read once to guess it and, if they
    are less deep than their files, again.

    Raises:
        ValueError: none can be used, or all are the same.
    """
    reading = _read(sources, bit_depth)
    maxima, notes = reading.maxima, []
    if bit_depth is None and len(maxima) >= FEWEST:
        guessed = guess_bit_depth(maxima)
        if guessed < 16:
            reading = _read(sources, guessed)
            notes.append(
                Message(
                    "teach_bit_depth",
                    "The photos' values have {depth} bits: they and what is inspected are read so.",
                    depth=guessed,
                )
            )
        reading.photos.bit_depth = guessed
    elif bit_depth is None and maxima and max(maxima) < 1 << 14:
        unknown = Message(
            "teach_bit_depth_unknown",
            "No value is above {highest} of 65535. If the camera has fewer than 16 bits, give its "
            "bit depth, or at least {fewest} photos to tell it from.",
            highest=max(maxima),
            fewest=FEWEST,
        )
        if not len(reading.photos):
            raise ValueError(unknown)
        notes.append(unknown)
    if maxima and max(maxima) > MANY_TIMES * max(min(maxima), 1):
        notes.append(
            Message(
                "teach_bit_depths_differ",
                "The highest values of the photos differ: {lowest} of one, {highest} of another. "
                "Are they all of one camera and bit depth?",
                lowest=min(maxima),
                highest=max(maxima),
            )
        )
    return reading.photos, _notes(reading) + notes


def _read(sources: Sequence[PhotoSource], bit_depth: int | None) -> _Reading:
    reading, seen = _Reading(_PhotoSet(bit_depth)), set[bytes]()
    for source in sources:
        try:
            photo = source.read(bit_depth)
        except ImageError as error:
            reading.unusable.append(error.args[0])
            continue
        if photo.maximum is not None:
            reading.maxima.append(photo.maximum)
        small = network_input(photo.pixels)
        if (reason := _why_useless(photo, small)) is not None:
            reading.unusable.append(reason)
            continue
        key = hashlib.sha256(small.tobytes()).digest()
        if key in seen:
            reading.copies += 1
            continue
        seen.add(key)
        reading.photos.add(source, photo.pixels)
    return reading


def _why_useless(photo: Photo, small: np.ndarray) -> Message | None:
    """Why a photo that could be read teaches nothing; `small` is what a network sees of it."""
    if photo.damaged:
        return Message("teach_damaged", '"{name}" is damaged.', name=photo.name)
    height, width = photo.size
    if min(height, width) < LEAST_SIDE:
        return Message(
            "teach_too_small",
            '"{name}" is {width}×{height} pixels; teaching takes at least {least} a side.',
            name=photo.name,
            width=width,
            height=height,
            least=LEAST_SIDE,
        )
    if float(small.mean(2).std()) < FLAT:
        return Message(
            "teach_shows_nothing",
            '"{name}" shows nothing: it is black, white or of one colour.',
            name=photo.name,
        )
    return None


def _notes(reading: _Reading) -> list[Message]:
    """What was left out, and what else is worth knowing.

    Raises:
        ValueError: nothing to teach from is left.
    """
    photos, unusable, copies = reading.photos, reading.unusable, reading.copies
    if not len(photos):
        raise ValueError(
            Message("teach_none_usable", "None of the photos can be used. {why}", why=unusable[0])
            if unusable
            else Message("teach_all_left_out", "All photos were left out.")
        )
    if copies and len(photos) == 1:
        raise ValueError(
            Message(
                "photos_all_equal",
                "All photos are the same. Teach from one of them, or add different ones.",
            )
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
    return notes


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
