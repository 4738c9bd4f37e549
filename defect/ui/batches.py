"""What the Batch tab and `predict_batch` do: many photos → a `Batch` that can be judged anew."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from defect.detectors import catalogue
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile, find_photos
from defect.imaging.overlay import draw_overlay
from defect.imaging.photo import ImageError, thumbnail
from defect.inspection import Inspection, check_threshold
from defect.reports.rows import Row, row_of, row_of_error, to_csv
from defect.reports.writer import About, Entry, ReportWriter, entry_of, to_jpeg
from defect.ui.downloads import download_path, write_download

MAX_FILES = 200
TILE_SIDE = 256
_EMPTY = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Observation:
    """One photo of a batch: an inspection without its pictures, and a small one."""

    given: PhotoFile
    inspection: Inspection
    tile: bytes
    """The photo as JPEG, at most 256 pixels a side."""

    @property
    def size(self) -> int:
        """Bytes held."""
        return self.inspection.anomaly_map.nbytes + len(self.tile)


@dataclass(frozen=True)
class Batch:
    """The looks of a batch, small enough to keep while a visitor moves the threshold."""

    looks: Sequence[Observation]
    """Highest score first."""
    unread: Sequence[Row]
    total: int
    """Photos handed in; more than those looked at while it runs, or if it was stopped."""
    about: About
    skipped: int = 0
    """Files that are no pictures by their name."""

    @property
    def done(self) -> int:
        return len(self.looks) + len(self.unread)

    @property
    def size(self) -> int:
        """Bytes held."""
        return sum(look.size for look in self.looks)

    @property
    def inspections(self) -> list[Inspection]:
        return [look.inspection for look in self.looks]

    def rows(self) -> list[Row]:
        """In the order of the looks, what could not be read at the end."""
        return [row_of(look.inspection) for look in self.looks] + list(self.unread)

    def at(self, limit: float) -> Batch:
        """The same looks judged by another threshold; no network runs."""
        looks = [replace(look, inspection=look.inspection.at(limit)) for look in self.looks]
        return replace(self, looks=looks, about=replace(self.about, threshold=float(limit)))


def start_batch(
    paths: Sequence[str], model: str, category: str, limit: float
) -> tuple[list[PhotoFile], Batch]:
    """The photos of files and archives, and the batch before the first was looked at.

    Raises:
        ValueError: no photos, more than 200, a senseless limit, or an archive that is not opened.
        WeightsError: no weights for the model and category.
    """
    check_threshold(limit)
    photos, skipped = find_photos([Path(path) for path in paths])
    if not photos:
        raise ValueError(
            "None of these files is a picture by its name."
            if skipped
            else "There are no photos yet. Add some and try again."
        )
    if len(photos) > MAX_FILES:
        raise ValueError(
            f"{len(photos)} photos at once; at most {MAX_FILES} are taken. Split them, or use "
            f"`python -m defect inspect`, which takes any number."
        )
    source = catalogue.inspector(model, category).source
    return photos, Batch([], [], len(photos), About(model, category, limit, source), skipped)


def run_batch(
    photos: Sequence[PhotoFile], batch: Batch, report: ReportWriter | None = None
) -> Iterator[Batch]:
    """Looks at the photos and gives the growing batch after each; one that cannot be read becomes
    a line, not a stop.

    Args:
        report: also gets each photo's entry, while its full picture is at hand.

    Raises:
        WeightsError: no weights for the model and category.
    """
    about = batch.about
    assert about.threshold is not None
    looks: list[Observation] = []
    unread: list[Row] = []
    inspect = catalogue.inspector(about.model, about.category)
    for given, result in inspect_stream(inspect, photos):
        if isinstance(result, Unreadable):
            row = row_of_error(given.name, result.error, about.model, about.category)
            unread.append(row)
            entry = Entry(row, given.name)
        else:
            result = result.at(about.threshold)
            looks.append(_look(given, result))
            entry = entry_of(result) if report else Entry(None, "")
        if report:
            report.add(entry)
        ranked = sorted(looks, key=lambda look: -look.inspection.score)
        yield replace(batch, looks=ranked, unread=tuple(unread))


def inspect_files(
    paths: Sequence[str],
    model: str,
    category: str,
    limit: float,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
    report: Path | None = None,
) -> Batch:
    """Inspects many files and archives to the end.

    Args:
        tell: called with (photos done, photos in all).
        report: where to write the report's ZIP, if one is wanted.

    Raises:
        ValueError, WeightsError: as `start_batch`.
    """
    photos, batch = start_batch(paths, model, category, limit)
    with ReportWriter(report, batch.about) if report else nullcontext() as writer:
        for grown in run_batch(photos, batch, writer):
            batch = grown
            report_progress(batch.done, batch.total)
    return batch


def write_zip(batch: Batch) -> str:
    """Writes the batch's report as a ZIP at its threshold; returns the file's path.

    The photos are read again, as only small ones were kept; no network runs.
    """
    path = download_path("inspection.zip")
    with ReportWriter(path, batch.about) as report:
        for look in batch.looks:
            try:
                photo = look.given.read().shown
            except ImageError:
                photo = np.asarray(Image.open(io.BytesIO(look.tile)))  # its upload was cleaned up
            report.add(entry_of(replace(look.inspection, photo=photo)))
        for row in batch.unread:
            report.add(Entry(row, row.file))
    return str(path)


def write_csv(batch: Batch) -> str:
    """Writes the batch's rows as CSV for download; returns the path."""
    return write_download("inspection.csv", to_csv(batch.rows()))


def tile(look: Observation) -> bytes:
    """The small photo with heat and contour in a frame of the verdict's colour, as JPEG."""
    photo = np.asarray(Image.open(io.BytesIO(look.tile)))
    inspection = look.inspection
    drawn = draw_overlay(photo, inspection.anomaly_map, inspection.limit)
    frame = np.empty((drawn.shape[0] + 12, drawn.shape[1] + 12, 3), np.uint8)
    frame[:] = (200, 30, 30) if inspection.defective else (21, 128, 61)
    frame[6:-6, 6:-6] = drawn
    return to_jpeg(frame)


def _look(given: PhotoFile, inspection: Inspection) -> Observation:
    """Without what a batch does not show: 200 photos take about 55 MB."""
    small = to_jpeg(thumbnail(inspection.photo, TILE_SIDE))
    light = replace(
        inspection,
        photo=_EMPTY.astype(np.uint8),
        error_map=None,
        reconstruction=None,
        # A copy, as the map is a part of its whole chunk's.
        anomaly_map=inspection.anomaly_map.copy(),
    )
    return Observation(given, light, small)


def counts(batch: Batch) -> tuple[int, int, int]:
    """(defective, normal, not read)."""
    defective = sum(look.inspection.defective for look in batch.looks)
    return defective, len(batch.looks) - defective, len(batch.unread)
