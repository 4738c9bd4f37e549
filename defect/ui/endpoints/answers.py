"""What the endpoints answer, as types: their JSON schema is shown to programs and agents."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import gradio as gr
from pydantic import Field, TypeAdapter

from defect.detectors.steel import Classification
from defect.inspection import Inspection
from defect.reports.rows import DEFECTIVE, NOT_READ, Row, describe
from defect.weights.resolution import Kind

Multiple = Annotated[float, Field(description="in multiples of the normal limit")]
Share = Annotated[float, Field(description="0 to 1")]


@dataclass(frozen=True)
class Weights:
    """The weights file that was used."""

    source: str
    file: str
    sha256: str
    size: Annotated[int, Field(description="bytes")]


@dataclass(frozen=True)
class Region:
    """One connected place over the threshold; positions are shares of the photo, 0 to 1."""

    where: str
    row: Share
    column: Share
    area: Annotated[float, Field(description="share of the photo, 0 to 1")]
    peak: Multiple
    box: Annotated[list[float], Field(description="left, upper, right, lower; 0 to 1")]


@dataclass(frozen=True)
class Inspected:
    """One photo inspected by one detector."""

    model: str
    category: str
    defective: Annotated[bool, Field(description="whether the score reaches the threshold")]
    score: Annotated[float, Field(description="highest anomaly; 1.0 is the normal limit")]
    threshold: Multiple
    thesis_score: Annotated[
        float | None, Field(description="mean squared reconstruction error; null: rebuilds nothing")
    ]
    thesis_limit: Annotated[
        float | None, Field(description="99 of 100 normal photos stay under it")
    ]
    area: Annotated[float, Field(description="share of the photo over the threshold, 0 to 1")]
    summary: Annotated[str, Field(description="the verdict's reason in a sentence")]
    regions: Annotated[list[Region], Field(description="largest first")]
    notes: Annotated[list[str], Field(description="what was changed as the photo was read")]
    weights: Weights


@dataclass(frozen=True)
class Compared:
    """One photo inspected by every detector of its category."""

    category: str
    results: Annotated[list[Inspected], Field(description="one a model, the recommended first")]


@dataclass(frozen=True)
class Steel:
    """One steel surface, classified."""

    known: Annotated[bool, Field(description="false: not one of these six")]
    ood_score: Annotated[
        float | None, Field(description="how unlike all six; over 1 is not one of them")
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
    """Many photos of one category."""

    counts: BatchCounts
    rows: Annotated[list[Row], Field(description="one a photo, highest score first")]


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
        Kind, Field(description="hub: fetched when first asked for; hub cache: fetched already")
    ]


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
        )
        for region in regions.regions(result)
    ]
    return asdict(
        Inspected(
            model=result.model,
            category=result.category,
            defective=result.defective,
            score=result.score,
            threshold=result.limit,
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
