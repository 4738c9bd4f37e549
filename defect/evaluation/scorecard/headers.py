"""The scorecard's rows, read from the weights' own headers; nothing is evaluated here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from defect.detectors.registry import DETECTORS
from defect.evaluation.thesis import THESIS
from defect.weights import unbundled
from defect.weights.files import Metadata, read_metadata
from defect.weights.index import WEIGHTS_FOLDER, read_index

TRANSFER = "kolektor_sdd"
_CHANCE = 0.5


@dataclass(frozen=True)
class Result(Metadata):
    """A weights file's header, and whether the file is in the weights folder."""

    bundled: bool = True
    """False: trained and evaluated, but too large to be bundled."""


@dataclass(frozen=True)
class Row:
    """One detector on one category. Fractions in 0..1, None where there is no figure."""

    model: str
    category: str
    dataset: str
    bundled: bool
    complete: bool
    """False where the copy of the data set is incomplete; `note` says what is missing."""
    note: str
    epochs_run: int | None
    """None where a model is not trained by epochs."""
    normal: int | None
    """Good test photos."""
    defective: int | None
    image_auroc: float | None
    image_auroc_low: float | None
    """95 % interval."""
    image_auroc_high: float | None
    average_precision: float | None
    precision: float | None
    """Precision, recall, F1 and both rates are at the default threshold."""
    recall: float | None
    f1: float | None
    f1_max: float | None
    """At the best threshold for the test labels: an upper bound."""
    all_defective_f1: float | None
    """F1 of calling every photo defective."""
    false_alarm_rate: float | None
    detection_rate: float | None
    pixel_auroc: float | None
    aupro: float | None
    iou: float | None
    dice: float | None
    pixel_reason: str
    """Why there are no pixel figures; empty where there are."""
    thesis_image_auroc: float | None
    """By the thesis's score of the same network."""
    thesis_pixel_auroc: float | None
    brightness_auroc: float | None
    """Of mean brightness alone."""
    mean_image_auroc: float | None
    """Of the difference from the mean training photo."""
    kolektor_auroc: float | None
    """On KolektorSDD, unseen in training."""
    kolektor_thesis_auroc: float | None
    published_image_auroc: float | None
    """Published in the thesis for its own network."""
    published_pixel_auroc: float | None
    best: bool = False
    """The highest image AUROC among the category's models."""
    below_chance: bool = False
    """An image AUROC under 0.5."""


def read_results(folder: Path = WEIGHTS_FOLDER) -> list[Result]:
    """All headers of a weights folder, including those of files that are not bundled.

    Sorted by category, with the rendered ones last, then by model.

    Raises:
        WeightsError: the index, the list of unbundled files or a header is damaged.
    """
    entries = read_index(folder)
    found = [_result(read_metadata(folder / entry.file), bundled=True) for entry in entries]
    listed = {(entry.model, entry.category) for entry in entries}
    found += [
        _result(header, bundled=False)
        for header in unbundled.read(folder)
        if (header.model, header.category) not in listed
    ]
    return sorted(found, key=_sort_key)


def results_of(headers: Sequence[Metadata]) -> list[Result]:
    """Headers that the caller has read already, in the scorecard's order, taken as bundled."""
    return sorted((_result(header, bundled=True) for header in headers), key=_sort_key)


def rows(results: Sequence[Result]) -> list[Row]:
    """The scorecard: one row per detector, in the order of `results`."""
    found = [
        row_of(result, bundled=result.bundled) for result in results if result.model in DETECTORS
    ]
    best: dict[str, float] = {}
    for row in found:
        if row.image_auroc is not None:
            best[row.category] = max(row.image_auroc, best.get(row.category, 0.0))
    return [
        replace(
            row,
            best=row.image_auroc == best.get(row.category) and row.image_auroc is not None,
            below_chance=row.image_auroc is not None and row.image_auroc < _CHANCE,
        )
        for row in found
    ]


def steel_of(results: Sequence[Result]) -> Result | None:
    """The steel classifier's header."""
    return next((result for result in results if result.model == "cnn"), None)


def number_in(document: object, *path: str) -> float | None:
    """The number under `path` in nested JSON, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, Mapping) else None
    numeric = isinstance(document, (int, float)) and not isinstance(document, bool)
    return document if numeric else None  # type: ignore[return-value]


def _sort_key(result: Metadata) -> tuple[bool, bool, str, int]:
    """The classifier last, rendered categories before it, models in the registry's order."""
    detector = result.model in DETECTORS
    number = DETECTORS.index(result.model) if detector else 0
    return not detector, result.category.startswith("rendered_"), result.category, number


def _result(metadata: Metadata, bundled: bool) -> Result:
    own = {field.name: getattr(metadata, field.name) for field in fields(Metadata)}
    return Result(**own, bundled=bundled)


def row_of(result: Metadata, *, bundled: bool = True) -> Row:
    """The row of one header, not yet compared with the category's other models."""

    def figure(*path: str) -> Any:
        return number_in(result.test, *path)

    published = THESIS.get(result.category, {}).get(result.model)
    pixel = result.test.get("pixel")
    reason = pixel.get("reason", "") if isinstance(pixel, Mapping) else "not measured"
    auroc = {end: figure("image", "auroc", end) for end in ("value", "low", "high")}
    return Row(
        model=result.model,
        category=result.category,
        dataset=result.dataset,
        bundled=bundled,
        complete=not result.note,
        note=result.note,
        epochs_run=result.training.epochs_run,
        normal=figure("image", "normal"),
        defective=figure("image", "defective"),
        image_auroc=auroc["value"],
        image_auroc_low=auroc["low"],
        image_auroc_high=auroc["high"],
        average_precision=figure("image", "average_precision", "value"),
        precision=figure("image", "precision", "value"),
        recall=figure("image", "recall", "value"),
        f1=figure("image", "f1", "value"),
        f1_max=figure("image", "f1_max", "value"),
        all_defective_f1=figure("baselines", "all_defective_f1"),
        false_alarm_rate=figure("image", "false_alarm_rate"),
        detection_rate=figure("image", "detection_rate"),
        pixel_auroc=figure("pixel", "auroc"),
        aupro=figure("pixel", "aupro"),
        iou=figure("pixel", "iou"),
        dice=figure("pixel", "dice"),
        pixel_reason=reason,
        thesis_image_auroc=figure("thesis_image", "auroc", "value"),
        thesis_pixel_auroc=figure("thesis_pixel", "auroc"),
        brightness_auroc=figure("baselines", "brightness_auroc", "value"),
        mean_image_auroc=figure("baselines", "mean_image_auroc", "value"),
        kolektor_auroc=number_in(result.transfer, TRANSFER, "image", "auroc", "value"),
        kolektor_thesis_auroc=number_in(
            result.transfer, TRANSFER, "thesis_image", "auroc", "value"
        ),
        published_image_auroc=published.image_auroc if published else None,
        published_pixel_auroc=published.pixel_auroc if published else None,
    )
