"""Many photos → a `Batch`: results small enough to keep while a visitor moves the threshold."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from defect.detectors.detector import Detector
from defect.detectors.steel import Classification, SteelClassifier
from defect.detectors.stream import Unreadable, inspect_stream, run_stream
from defect.imaging.archives import PhotoFile, find_photos
from defect.imaging.overlay import draw_cam, draw_overlay
from defect.imaging.photo import ImageError, thumbnail
from defect.inspection import Inspection, Message, check_threshold
from defect.reports.rows import row_of, row_of_error, to_csv
from defect.reports.steel_rows import (
    STEEL_COLUMNS,
    steel_entry_of,
    steel_row_of,
    steel_row_of_error,
)
from defect.reports.writer import About, Entry, ReportWriter, entry_of, to_jpeg
from defect.ui.downloads import download_path, write_download
from defect.ui.gradio_private.server import check_job

MAX_FILES = 200
TILE_SIDE = 256
_FRAME = 6
"""Pixels of a tile's frame."""
_BAD, _GOOD = (200, 30, 30), (21, 128, 61)
_NO_PHOTO = np.zeros((0, 0, 3), np.uint8)


class BatchKind(Protocol):
    """What batches of inspections and of classifications differ in."""

    file: str
    """Name of the downloads, without suffix."""

    def rank(self, result: Any) -> float:
        """Lowest first."""
        ...

    def at(self, result: Any, threshold: float | None) -> Any: ...
    def row(self, result: Any, about: About) -> Any: ...
    def entry(self, result: Any, about: About) -> Entry: ...
    def shrink(self, result: Any) -> Any:
        """The result without what a batch does not show."""
        ...

    def draw(self, photo: np.ndarray, result: Any) -> np.ndarray:
        """The tile of the gallery from the small photo."""
        ...


class _Inspections:
    file = "inspection"

    def rank(self, result: Inspection) -> float:
        return -result.score

    def at(self, result: Inspection, threshold: float | None) -> Inspection:
        return result if threshold is None else result.at(threshold)

    def row(self, result: Inspection | Unreadable, about: About) -> Any:
        if isinstance(result, Unreadable):
            return row_of_error(result.name, result.error, about.model, about.category)
        return row_of(result)

    def entry(self, result: Inspection | Unreadable, about: About) -> Entry:
        return entry_of(result, about)

    def shrink(self, result: Inspection) -> Inspection:
        # The map is copied, as it is a part of its whole chunk's.
        return replace(
            result,
            photo=_NO_PHOTO,
            error_map=None,
            reconstruction=None,
            anomaly_map=result.anomaly_map.copy(),
        )

    def draw(self, photo: np.ndarray, result: Inspection) -> np.ndarray:
        drawn = draw_overlay(photo, result.anomaly_map, result.threshold)
        shape = (drawn.shape[0] + 2 * _FRAME, drawn.shape[1] + 2 * _FRAME, 3)
        framed = np.empty(shape, np.uint8)
        framed[:] = _BAD if result.defective else _GOOD
        framed[_FRAME:-_FRAME, _FRAME:-_FRAME] = drawn
        return framed


class _Classifications:
    file = "steel"

    def rank(self, result: Classification) -> float:
        return result.margin

    def at(self, result: Classification, threshold: float | None) -> Classification:
        return result

    def row(self, result: Classification | Unreadable, about: About) -> Any:
        if isinstance(result, Unreadable):
            return steel_row_of_error(result.name, result.error)
        return steel_row_of(result)

    def entry(self, result: Classification | Unreadable, about: About) -> Entry:
        if isinstance(result, Unreadable):
            return Entry(self.row(result, about), result.name)
        return steel_entry_of(result)

    def shrink(self, result: Classification) -> Classification:
        return replace(result, photo=_NO_PHOTO, cam=result.cam.copy())

    def draw(self, photo: np.ndarray, result: Classification) -> np.ndarray:
        return draw_cam(photo, result.cam)


INSPECTIONS: BatchKind = _Inspections()
CLASSIFICATIONS: BatchKind = _Classifications()


@dataclass(frozen=True)
class Task:
    """What a batch of photos is run through."""

    kind: BatchKind
    about: About
    run: Callable[[Iterable[PhotoFile]], Iterator[Any]]
    """Gives a result or an `Unreadable` a photo, in the photos' order."""


def inspection_task(detector: Detector, threshold: float) -> Task:
    """Inspects photos with a detector.

    Raises:
        ValueError: the threshold is not a number above 0.
    """
    check_threshold(threshold)
    metadata = detector.metadata
    about = About(
        metadata.model,
        detector.category,
        threshold,
        detector.source,
        bit_depth=metadata.bit_depth,
    )
    return Task(INSPECTIONS, about, lambda photos: inspect_stream(detector, photos, threshold))


def steel_task(classifier: SteelClassifier) -> Task:
    """Classifies photos of steel."""
    about = About("cnn", "neu", None, classifier.source, STEEL_COLUMNS)
    return Task(CLASSIFICATIONS, about, lambda photos: run_stream(classifier, photos))


@dataclass(frozen=True)
class Item:
    """One photo of a batch."""

    photo: PhotoFile
    result: Any
    """An `Inspection` or a `Classification`, without its pictures."""
    thumbnail: bytes
    """The photo as JPEG, at most 256 pixels a side."""

    @property
    def size(self) -> int:
        """Bytes held."""
        arrays = (getattr(self.result, name, None) for name in ("anomaly_map", "cam"))
        return len(self.thumbnail) + sum(array.nbytes for array in arrays if array is not None)


@dataclass(frozen=True)
class Batch:
    """The results so far, small enough to keep: 200 photos take about 55 MB."""

    kind: BatchKind
    about: About
    total: int
    """Photos handed in; more than `done` while the batch runs, or if it was stopped."""
    items: Sequence[Item] = ()
    """Ranked: the highest score, or the least certain class, first."""
    unreadable: Sequence[Unreadable] = ()
    skipped: int = 0
    """Files that are not pictures by their names."""

    @property
    def done(self) -> int:
        return len(self.items) + len(self.unreadable)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(item.size for item in self.items)

    @property
    def results(self) -> list[Any]:
        return [item.result for item in self.items]

    def rows(self) -> list[Any]:
        """In the order of the items; what could not be read comes last."""
        return [self.kind.row(result, self.about) for result in (*self.results, *self.unreadable)]

    def at(self, threshold: float | None) -> Batch:
        """The same photos judged by another threshold; no network runs."""
        if threshold is None or self.about.threshold is None:
            return self
        items = [replace(i, result=self.kind.at(i.result, threshold)) for i in self.items]
        return replace(self, items=items, about=replace(self.about, threshold=float(threshold)))


def start_batch(paths: Sequence[str], task: Task) -> tuple[list[PhotoFile], Batch]:
    """The photos of files and archives, and the batch before the first of them.

    Raises:
        ValueError: no photos, more than 200, or an archive that is not opened.
    """
    photos, skipped = find_photos([Path(path) for path in paths])
    if not photos:
        raise ValueError(
            Message("no_pictures", "None of these files is a picture by its name.")
            if skipped
            else Message("no_photos", "There are no photos yet. Add some and try again.")
        )
    if len(photos) > MAX_FILES:
        raise ValueError(
            Message(
                "too_many_photos",
                "{count} photos at once; at most {most} are accepted. Split them, or use "
                "`python -m defect inspect`, which takes any number.",
                count=len(photos),
                most=MAX_FILES,
            )
        )
    return photos, Batch(task.kind, task.about, len(photos), skipped=skipped)


def run_batch(
    photos: Sequence[PhotoFile], batch: Batch, task: Task, report: ReportWriter | None = None
) -> Iterator[Batch]:
    """Gives the growing batch after each photo; one that cannot be read is a row, not a stop.

    Args:
        report: also gets each photo's entry, while its full picture is at hand.
    """
    kind, about = batch.kind, batch.about
    items: list[Item] = []
    unreadable: list[Unreadable] = []
    with closing(task.run(photos)) as results:  # type: ignore[type-var]  # a generator
        for photo, result in zip(photos, results, strict=True):
            check_job()
            if report:
                report.add(kind.entry(result, about))
            if isinstance(result, Unreadable):
                unreadable.append(result)
            else:
                small = to_jpeg(thumbnail(result.photo, TILE_SIDE))
                items.append(Item(photo, kind.shrink(result), small))
            ranked = sorted(items, key=lambda item: kind.rank(item.result))
            yield replace(batch, items=ranked, unreadable=tuple(unreadable))


def run_to_end(
    paths: Sequence[str],
    task: Task,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
    report: Path | None = None,
) -> Batch:
    """Runs a batch of files and archives to its end.

    Args:
        report_progress: called with (photos done, photos in all).
        report: where to write the report's ZIP, if one is wanted.

    Raises:
        ValueError: as `start_batch`.
    """
    photos, batch = start_batch(paths, task)
    with ReportWriter(report, batch.about) if report else nullcontext() as writer:
        for grown in run_batch(photos, batch, task, writer):
            batch = grown
            report_progress(batch.done, batch.total)
    return batch


def write_zip(batch: Batch) -> str:
    """Writes the batch's report as a ZIP at its threshold; returns the file's path.

    The photos are read again, as only small ones were kept; no network runs.
    """
    path = download_path(f"{batch.kind.file}.zip")
    with ReportWriter(path, batch.about) as report:
        for item in batch.items:
            try:
                photo = item.photo.read(batch.about.bit_depth).shown
            except ImageError:
                photo = _decode(item.thumbnail)  # its upload was cleaned up
            report.add(batch.kind.entry(replace(item.result, photo=photo), batch.about))
        for one in batch.unreadable:
            report.add(batch.kind.entry(one, batch.about))
    return str(path)


def write_csv(batch: Batch) -> str:
    """Writes the batch's rows as CSV for download; returns the path."""
    return write_download(f"{batch.kind.file}.csv", to_csv(batch.rows(), batch.about.columns))


def tile(batch: Batch, item: Item) -> bytes:
    """The small photo with the result drawn on it, as JPEG."""
    return to_jpeg(batch.kind.draw(_decode(item.thumbnail), item.result))


def _decode(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)))
