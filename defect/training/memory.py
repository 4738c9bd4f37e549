"""Teaches a memory of normal: from somebody's own photos, or from a category of a data folder."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from defect.datasets import mvtec, provenance
from defect.datasets.samples import load_images
from defect.detectors.feature_extractors import load_extractor, teaching_extractor
from defect.detectors.memory_detector import MemoryDetector, Outlier, TeachingReport
from defect.detectors.registry import plain_name
from defect.detectors.stream import PhotoSource
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import ImageError, Photo, Source, network_input, read_photo
from defect.inspection import Message, WeightsSource
from defect.training.memory_fit import FittedMemory, fit_memory
from defect.training.outliers import find_outliers
from defect.weights import files
from defect.weights.files import Metadata, Training, save
from defect.weights.index import WEIGHTS_FOLDER, IndexEntry

MODEL = "memory"
MAX_PHOTOS = 300
"""60 MB while teaching; a memory learns little from more."""
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
    images, names, notes = _read_distinct(sources, without)
    fitted = fit_memory(extractor, images, sha256, report_progress=report_progress)
    if len(images) < FEW_PHOTOS:
        notes.append(_few_photos(len(images)))
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
    outliers = find_outliers(images, fitted.scores) if len(images) > 1 else []
    report = TeachingReport(
        photos=names,
        outliers=tuple(Outlier(names[index], reason) for index, reason in outliers),
        notes=tuple(notes),
        seconds=fitted.seconds,
    )
    return MemoryDetector(extractor, fitted.memory, metadata, source, teaching=report)


def teach_and_save(
    category: str, data: Path, weights: Path, seed: int = 0, images: np.ndarray | None = None
) -> IndexEntry:
    """Teaches a memory of one category from its training photos and saves it.

    Args:
        images: N×256×256×3 uint8, the training photos where they were read before.

    Raises:
        DataError: there are no training photos.
        ValueError: there are too many.
        WeightsError: the weights folder has no usable extractor.
    """
    if images is None:
        images = load_images(mvtec.train_samples(data, category))
    extractor, sha256 = load_extractor(weights)
    fitted = fit_memory(extractor, images, sha256, seed=seed)
    origin = provenance.of_memory(category)
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


def _read_distinct(
    sources: Sequence[PhotoSource], without: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...], list[Message]]:
    """(N×256×256×3, names, notes): copies and unreadable photos are left out."""
    seen: set[bytes] = set()
    images, names, unreadable, copies = [], [], [], 0
    shapes = set()
    for source in sources:
        if source.name in without:
            continue
        try:
            photo = source.read()
        except ImageError as error:
            unreadable.append(error.args[0])
            continue
        image = network_input(photo.pixels)
        key = hashlib.sha256(image.tobytes()).digest()
        if key in seen:
            copies += 1
            continue
        seen.add(key)
        images.append(image)
        names.append(photo.name)
        shapes.add(round(photo.pixels.shape[1] / photo.pixels.shape[0], 1))
    if not images:
        raise ValueError(
            Message("teach_none_usable", "None of the photos can be used. {why}", why=unreadable[0])
            if unreadable
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
    notes += [Message("teach_left_out", "Left out: {why}", why=why) for why in unreadable[:3]]
    if len(unreadable) > 3:
        notes.append(
            Message(
                "teach_left_out_more", "Left out: {count} more photos.", count=len(unreadable) - 3
            )
        )
    if len(shapes) > 1:
        notes.append(
            Message(
                "teach_shapes",
                "The photos have different shapes; all are scaled to the same square.",
            )
        )
    return np.stack(images), tuple(names), notes


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
