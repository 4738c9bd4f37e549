"""What the endpoints answer, as types: their JSON schema is shown to programs and agents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import gradio as gr
from pydantic import Field, TypeAdapter

from defect.detectors.detector import Detector
from defect.detectors.memory.detector import TeachingReport
from defect.detectors.steel import Classification
from defect.inspection import Inspection, describe
from defect.reports.rows import DEFECTIVE, NOT_READ, Row
from defect.training.memory import false_alarm_odds
from defect.weights.resolution import Kind

Multiple = Annotated[float, Field(description="in multiples of the normal limit")]
Fraction = Annotated[float, Field(description="0 to 1")]


@dataclass(frozen=True)
class Weights:
    """The weights file that was used."""

    source: str
    file: str
    sha256: str
    size: Annotated[int, Field(description="bytes")]


@dataclass(frozen=True)
class Region:
    """One connected region over the threshold; positions are fractions of the photo, 0 to 1."""

    where: str
    row: Fraction
    column: Fraction
    area: Annotated[float, Field(description="fraction of the photo, 0 to 1")]
    peak: Multiple
    box: Annotated[list[float], Field(description="left, upper, right, lower; 0 to 1")]
    box_px: Annotated[
        list[int], Field(description="left, top, right, bottom in pixels of the photo, upright")
    ]
    centre_px: Annotated[list[float], Field(description="x, y in pixels of the photo")]
    area_px: Annotated[int, Field(description="pixels of the photo")]


@dataclass(frozen=True)
class Inspected:
    """One photo inspected by one detector."""

    model: str
    category: str
    defective: Annotated[bool, Field(description="whether the score reaches the threshold")]
    score: Annotated[float, Field(description="highest anomaly; 1.0 is the normal limit")]
    threshold: Multiple
    thesis_score: Annotated[
        float | None, Field(description="mean squared error; null: nothing is reconstructed")
    ]
    thesis_limit: Annotated[
        float | None, Field(description="99 of 100 normal photos stay below it")
    ]
    area: Annotated[float, Field(description="fraction of the photo over the threshold, 0 to 1")]
    summary: Annotated[str, Field(description="the reason for the verdict in a sentence")]
    regions: Annotated[list[Region], Field(description="largest first")]
    notes: Annotated[list[str], Field(description="what was changed when the photo was read")]
    weights: Weights


@dataclass(frozen=True)
class Compared:
    """One photo inspected by several detectors."""

    category: str
    results: Annotated[list[Inspected], Field(description="one per model, the recommended first")]


@dataclass(frozen=True)
class Steel:
    """One steel surface, classified."""

    known: Annotated[bool, Field(description="false: not one of these six")]
    ood_score: Annotated[
        float | None, Field(description="how unlike all six; over 1: not one of them")
    ]
    label: Annotated[str, Field(description="the likeliest of the six classes")]
    confidence: Annotated[float, Field(description="its probability, 0 to 1")]
    margin: Annotated[float, Field(description="its lead over the second likeliest, 0 to 1")]
    probabilities: Annotated[dict[str, float], Field(description="class to 0..1")]
    notes: list[str]
    weights: Weights


@dataclass(frozen=True)
class BatchCounts:
    """How many photos of a batch got which verdict."""

    photos: int
    defective: int
    normal: int
    not_read: int


@dataclass(frozen=True)
class BatchInspected:
    """Many photos inspected by one detector."""

    counts: BatchCounts
    rows: Annotated[list[Row], Field(description="one per photo, highest score first")]


@dataclass(frozen=True)
class Model:
    """One weights file."""

    model: str
    category: str
    file: str
    sha256: str
    size: Annotated[int, Field(description="bytes")]
    expects: Annotated[str, Field(description="what a photo should show")]
    where: Annotated[
        Kind, Field(description="hub: downloaded when first used; hub cache: downloaded already")
    ]


@dataclass(frozen=True)
class Outlier:
    """A photo to check before the detector is trusted."""

    photo: str
    reason: str


@dataclass(frozen=True)
class DetectorSummary:
    """A detector that was taught or loaded."""

    name: str
    photos: Annotated[int, Field(description="how many it was taught from")]
    expect_one_false_alarm_in: Annotated[int, Field(description="good photos")]
    seconds: Annotated[float | None, Field(description="null: loaded from a file")]
    outliers: list[Outlier]
    notes: list[str]


@dataclass(frozen=True)
class Health:
    """That the app answers."""

    status: str
    version: str
    weights: Annotated[int, Field(description="how many weights files there are")]


def typed_json(kind: Any, label: str) -> gr.JSON:
    """A `gr.JSON` output whose schema is the type's own."""
    component = gr.JSON(label=label)
    schema = TypeAdapter(kind).json_schema()
    component.api_info = lambda: schema  # type: ignore[method-assign]
    return component


def inspected(result: Inspection) -> dict[str, Any]:
    """An inspection as `Inspected`."""
    found = [
        Region(
            where=region.where,
            row=round(region.row, 4),
            column=round(region.column, 4),
            area=round(region.area, 6),
            peak=round(region.peak, 4),
            box=[round(side, 4) for side in region.box],
            box_px=list(pixels.box),
            centre_px=list(pixels.centre),
            area_px=pixels.area,
        )
        for region, pixels in zip(result.regions, result.pixel_regions, strict=True)
    ]
    return asdict(
        Inspected(
            model=result.model,
            category=result.category,
            defective=result.defective,
            score=result.score,
            threshold=result.threshold,
            thesis_score=result.thesis_score,
            thesis_limit=result.thesis_limit,
            area=float(result.mask.mean()),
            summary=describe(result),
            regions=found,
            notes=list(result.notes),
            weights=Weights(**asdict(result.weights)),
        )
    )


def steel(result: Classification) -> dict[str, Any]:
    """A classification as `Steel`."""
    return asdict(
        Steel(
            known=result.known,
            ood_score=result.ood_score,
            label=result.label,
            confidence=result.confidence,
            margin=result.margin,
            probabilities=result.probabilities,
            notes=list(result.notes),
            weights=Weights(**asdict(result.weights)),
        )
    )


def batch_inspected(rows: list[Row]) -> dict[str, Any]:
    """A batch's rows as `BatchInspected`."""
    verdicts = [row.verdict for row in rows]
    defective, not_read = verdicts.count(DEFECTIVE), verdicts.count(NOT_READ)
    counts = BatchCounts(len(rows), defective, len(rows) - defective - not_read, not_read)
    return asdict(BatchInspected(counts, rows))


def detector(loaded: Detector, report: TeachingReport | None) -> dict[str, Any]:
    """A taught (or, without a report, loaded) detector as `DetectorSummary`."""
    photos = loaded.metadata.training.images_fit
    outliers = report.outliers if report else ()
    return asdict(
        DetectorSummary(
            name=loaded.category,
            photos=photos,
            expect_one_false_alarm_in=false_alarm_odds(photos),
            seconds=round(report.seconds, 1) if report else None,
            outliers=[Outlier(outlier.photo, str(outlier.reason)) for outlier in outliers],
            notes=list(report.notes) if report else [],
        )
    )
