"""Inspections as words, table rows and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import numpy as np
from scipy import ndimage

from defect.images import ImageError
from defect.inspector import Inspection

DEFECTIVE, NORMAL, NOT_READ = "defective", "normal", "not read"
_MOST_OF_THE_PHOTO = 0.5
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One photo's line of a batch; the fields' names are the CSV's columns."""

    file: str
    verdict: str
    """`defective`, `normal` or `not read`."""
    score: float | None
    """Multiple of the normal limit."""
    limit: float | None
    """Threshold in use, same unit."""
    thesis_score: float | None
    area_percent: float | None
    """Share of the photo inside the mask."""
    model: str
    category: str
    weights_sha256: str
    note: str


COLUMNS = tuple(field.name for field in fields(Row))


def row_of(inspection: Inspection) -> Row:
    """The inspection's line."""
    return Row(
        file=inspection.name,
        verdict=DEFECTIVE if inspection.defective else NORMAL,
        score=round(inspection.score, 4),
        limit=round(inspection.limit, 4),
        thesis_score=None if inspection.thesis_score is None else round(inspection.thesis_score, 6),
        area_percent=round(100 * float(inspection.mask.mean()), 2),
        model=inspection.model,
        category=inspection.category,
        weights_sha256=inspection.weights.sha256,
        note=" ".join(inspection.notes),
    )


def row_of_error(name: str, error: ImageError, model: str, category: str) -> Row:
    """The line of a photo that could not be read."""
    return Row(name, NOT_READ, None, None, None, None, model, category, "", str(error))


def to_csv(rows: Iterable[Row]) -> str:
    """Rows → CSV text with a header. A file name cannot smuggle a formula into a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_harmless(value) for value in astuple(row)])
    return text.getvalue()


def describe(inspection: Inspection) -> str:
    """The verdict's reason in one or two sentences."""
    over = f"{inspection.score:.2f} × the normal limit"
    if not inspection.defective:
        if inspection.limit > 1 and inspection.score >= 1:
            return f"Its strangest place reaches {over}, under your threshold."
        return f"Its strangest place reaches {over}, under it."
    places, share, where = _places(inspection)
    if share > _MOST_OF_THE_PHOTO:
        return (
            f"Almost everything looks unusual ({over} at its highest). Is this a photo of the kind "
            f"the model was trained on?"
        )
    count = "One place stands" if places == 1 else f"{places} places stand"
    area = f"{100 * share:.1f} %" if share >= 0.001 else "under 0.1 %"
    return f"{count} out, the strongest {where}: {over}. Marked: {area} of the photo."


def _places(inspection: Inspection) -> tuple[int, float, str]:
    """(connected places, share of the photo, position of the strongest in words)."""
    mask = inspection.mask
    count = int(ndimage.label(mask, np.ones((3, 3)))[1])
    row, column = np.unravel_index(int(inspection.anomaly_map.argmax()), mask.shape)
    thirds = 3 * row // mask.shape[0], 3 * column // mask.shape[1]
    vertical = ("top", "", "bottom")[thirds[0]]
    horizontal = ("left", "", "right")[thirds[1]]
    words = " ".join(word for word in (vertical, horizontal) if word)
    return count, float(mask.mean()), f"at the {words}" if words else "in the middle"


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
