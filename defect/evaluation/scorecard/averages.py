"""Means of the scorecard over categories, and its rank correlation with the thesis's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from defect.detectors.registry import DETECTORS
from defect.evaluation.scorecard.headers import TRANSFER, Result, Row, number_in
from defect.networks.autoencoders import AUTOENCODERS

MASKED = ("bottle", "capsule", "grid", "metal_nut", "pill", "screw", "toothbrush")
"""The MVTec AD categories that have masks here; means are taken over them."""
BEST_OF_THREE = "best of the three"


@dataclass(frozen=True)
class Mean:
    """Means over the evaluated categories among `MASKED`."""

    who: str
    """A model, or `BEST_OF_THREE`: each figure's highest value in each category."""
    categories: int
    image_auroc: float | None
    thesis_image_auroc: float | None
    pixel_auroc: float | None
    published_image_auroc: float | None
    """Published in the thesis, over the same categories."""


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's ρ between our image AUROC by the thesis's score and the published one."""

    model: str
    categories: int
    value: float | None
    reason: str = ""


def means(found: Sequence[Row]) -> list[Mean]:
    """One mean per model with an evaluated category, and one of the best in each category."""
    evaluated = [row for row in found if row.category in MASKED and row.image_auroc is not None]
    groups: dict[str, list[Row]] = {
        model: [row for row in evaluated if row.model == model] for model in DETECTORS
    }
    groups[BEST_OF_THREE] = [row for row in evaluated if row.model in AUTOENCODERS]
    return [
        Mean(
            who,
            len({row.category for row in group}),
            *(
                _mean_of_best(group, figure)
                for figure in (
                    "image_auroc",
                    "thesis_image_auroc",
                    "pixel_auroc",
                    "published_image_auroc",
                )
            ),
        )
        for who, group in groups.items()
        if group
    ]


def rank_correlations(found: Sequence[Row]) -> list[RankCorrelation]:
    """Whether categories hard for the thesis's CAE and DAE are hard for ours, by the same score."""
    correlations = []
    for model in ("cae", "dae"):
        pairs = [
            (row.thesis_image_auroc, row.published_image_auroc)
            for row in found
            if row.model == model
            and row.thesis_image_auroc is not None
            and row.published_image_auroc is not None
        ]
        ours, published = {pair[0] for pair in pairs}, {pair[1] for pair in pairs}
        if len(pairs) < 3 or len(ours) < 2 or len(published) < 2:
            reason = "fewer than three shared categories to rank"
            correlations.append(RankCorrelation(model, len(pairs), None, reason))
            continue
        value = float(stats.spearmanr(*zip(*pairs, strict=True)).statistic)
        correlations.append(RankCorrelation(model, len(pairs), round(value, 6)))
    return correlations


def transfer_means(results: Sequence[Result], dataset: str = TRANSFER) -> list[Mean]:
    """One mean per model over all its categories, on the data set's photos; no pixel figures."""
    found = []
    for model in DETECTORS:
        chosen = [
            r.transfer[dataset] for r in results if r.model == model and dataset in r.transfer
        ]
        ours, thesis = (
            [value for value in column if value is not None]
            for column in (
                [number_in(t, "image", "auroc", "value") for t in chosen],
                [number_in(t, "thesis_image", "auroc", "value") for t in chosen],
            )
        )
        if ours:
            of_thesis = sum(thesis) / len(thesis) if thesis else None
            averages = sum(ours) / len(ours), of_thesis
            found.append(Mean(model, len(ours), *averages, None, None))
    return found


def _mean_of_best(group: Sequence[Row], figure: str) -> float | None:
    """Mean over categories of the highest value in each; for one model, simply its mean."""
    best: dict[str, float] = {}
    for row in group:
        value = getattr(row, figure)
        if value is not None:
            best[row.category] = max(value, best.get(row.category, 0.0))
    return round(sum(best.values()) / len(best), 6) if best else None
