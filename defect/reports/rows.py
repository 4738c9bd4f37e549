"""Inspections as table rows and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from defect.imaging.photo import ImageError
from defect.inspection import Inspection

DEFECTIVE, NORMAL, NOT_READ = "defective", "normal", "not read"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One photo's line of a batch; the fields' names are the CSV's columns."""

    file: str
    verdict: str
    """`defective`, `normal` or `not read`."""
    score: float | None
    """Multiple of the normal limit."""
    threshold: float | None
    """In the same unit."""
    thesis_score: float | None
    area_percent: float | None
    """Share of the photo inside the mask."""
    regions: int | None
    """Connected regions of the mask."""
    largest_percent: float | None
    """Share of the photo inside the largest of them."""
    model: str
    category: str
    weights_sha256: str
    note: str
    """What was changed when the photo was read, or why it could not be."""
    largest_box: str = ""
    """The largest region's left, top, right, bottom in pixels of the photo, as `10,20,35,60`."""
    overlay: str = ""
    """The photo's picture in the same report, such as `overlays/0001_cap.jpg`."""


BYTE_ORDER_MARK = "\ufeff"
"""Starts every CSV file: without it Excel takes UTF-8 for something else."""
COLUMNS = tuple(field.name for field in fields(Row))


def row_of(inspection: Inspection) -> Row:
    """The inspection's line."""
    found = inspection.regions
    return Row(
        file=inspection.name,
        verdict=DEFECTIVE if inspection.defective else NORMAL,
        score=round(inspection.score, 4),
        threshold=round(inspection.threshold, 4),
        thesis_score=None if inspection.thesis_score is None else round(inspection.thesis_score, 6),
        area_percent=round(100 * float(inspection.mask.mean()), 2),
        regions=len(found),
        largest_percent=round(100 * found[0].area, 2) if found else 0.0,
        model=inspection.model,
        category=inspection.category,
        weights_sha256=inspection.weights.sha256,
        note=" ".join(inspection.notes),
        largest_box=_largest_box(inspection),
    )


def _largest_box(inspection: Inspection) -> str:
    # A batch of the page keeps no pictures; of one without a size, pixels mean nothing.
    if not inspection.regions or 0 in inspection.size:
        return ""
    return ",".join(map(str, inspection.pixel_regions[0].box))


def row_of_error(name: str, error: ImageError, model: str, category: str) -> Row:
    """The line of a photo that could not be read."""
    absent = (None,) * 6
    return Row(name, NOT_READ, *absent, model, category, "", str(error))


def to_csv(rows: Iterable[Any], columns: Sequence[str] = COLUMNS) -> str:
    """Rows (dataclasses with these columns as fields) → CSV text with a header."""
    return csv_line(columns) + "".join(
        csv_line([getattr(row, name) for name in columns]) for row in rows
    )


def csv_line(values: Iterable[object]) -> str:
    """One line of CSV. A file name cannot smuggle a formula into a spreadsheet."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([_harmless(value) for value in values])
    return text.getvalue()


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
