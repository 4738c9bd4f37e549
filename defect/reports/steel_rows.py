"""Steel classifications as report rows and entries."""

from __future__ import annotations

from dataclasses import dataclass, fields

from defect.detectors.steel import Classification
from defect.imaging.overlay import draw_cam
from defect.imaging.photo import ImageError
from defect.reports.rows import NOT_READ
from defect.reports.writer import Entry, to_jpeg

UNKNOWN = "unknown"


@dataclass(frozen=True)
class SteelRow:
    """One surface's line of a batch; the fields' names are the CSV's columns."""

    file: str
    verdict: str
    """The class called, `unknown` for none of the six, or `not read`."""
    nearest: str
    """The likeliest of the six."""
    confidence: float | None
    """Its probability, 0..1."""
    second: str
    """The second likeliest class."""
    margin: float | None
    """The lead over it, 0..1."""
    ood_score: float | None
    """How unlike all six; over 1 is unknown."""
    weights_sha256: str
    note: str
    overlay: str = ""
    """The Grad-CAM picture in the same report."""


STEEL_COLUMNS = tuple(field.name for field in fields(SteelRow))


def steel_row_of(result: Classification) -> SteelRow:
    """The classification's line."""
    return SteelRow(
        file=result.name,
        verdict=result.label if result.known else UNKNOWN,
        nearest=result.label,
        confidence=round(result.confidence, 4),
        second=result.second,
        margin=round(result.margin, 4),
        ood_score=None if result.ood_score is None else round(result.ood_score, 4),
        weights_sha256=result.weights.sha256,
        note=" ".join(result.notes),
    )


def steel_row_of_error(name: str, error: ImageError) -> SteelRow:
    """The line of a photo that could not be read."""
    return SteelRow(name, NOT_READ, "", None, "", None, None, "", str(error))


def steel_entry_of(result: Classification) -> Entry:
    """The entry of a classification, its Grad-CAM drawn and encoded."""
    drawn = to_jpeg(draw_cam(result.photo, result.cam))
    return Entry(steel_row_of(result), result.name, drawn)
