"""Inspections as words, table rows and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

from defect.images import ImageError
from defect.inspector import Inspection
from defect.verdict import reason, unfamiliar

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
        thesis_score=round(inspection.thesis_score, 6),
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
    text = reason(inspection)
    text = text[0].upper() + text[1:]
    if unfamiliar(inspection):
        text += " Is this a photo of the kind the model was trained on?"
    return text


def _harmless(value: object) -> object:
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value
