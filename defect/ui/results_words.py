"""The Results tab's tables and sentences, made of the numbers in the weights' headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from defect.evaluation.thesis import THESIS_NEU_ACCURACY
from defect.networks import DETECTORS, MODELS
from defect.results import (
    BEST_OF_THREE,
    MASKED,
    TRANSFER,
    Mean,
    RankCorrelation,
    Result,
    Row,
)
from defect.results.headers import number_in
from defect.ui.html_table import ABSENT, hint, number, table

_TELLING = 0.25
"""A brightness AUROC this far from 0.5 tells good from defective without any network."""


@dataclass(frozen=True)
class Column:
    """One of the scorecard."""

    head: str
    kind: Literal["str", "number"]
    value: Callable[[Row], Any]
    width: int
    """Pixels."""
    form: str = ""
    """How a value is written: as `format` takes it, or `% of <field>`."""


SCORECARD = (
    Column("Category", "str", lambda r: r.category, 154),
    Column("Model", "str", lambda r: r.model.upper(), 82),
    Column("Image AUROC", "number", lambda r: r.image_auroc, 100, ".3f"),
    Column("95 %", "str", lambda r: _interval(r.image_auroc_low, r.image_auroc_high), 104),
    Column("Pixel AUROC", "number", lambda r: r.pixel_auroc, 86, ".3f"),
    Column("AUPRO", "number", lambda r: r.aupro, 86, ".3f"),
    Column("False alarms", "number", lambda r: r.false_alarm_rate, 100, "% of normal"),
    Column("Found", "number", lambda r: r.detection_rate, 112, "% of defective"),
    Column("F1", "number", lambda r: r.f1, 84, ".3f"),
    Column("F1 if all", "number", lambda r: r.all_defective_f1, 84, ".3f"),
    Column("Thesis score", "number", lambda r: r.thesis_image_auroc, 88, ".3f"),
    Column("Bright-ness", "number", lambda r: r.brightness_auroc, 92, ".3f"),
)
BEST, LOW, INCOMPLETE, UNBUNDLED = "★", "▼", "†", "‡"
_STYLES = {BEST: "font-weight: 700; color: var(--good)", LOW: "color: var(--bad)"}


def scorecard(rows: Sequence[Row]) -> dict[str, Any]:
    """What `gr.Dataframe` shows: numbers to sort by, how they are written, and their style."""
    heads = [column.head for column in SCORECARD]
    shown, styles = [], []
    for row in rows:
        told = [_written(column.value(row), column.form, row) for column in SCORECARD]
        mark = BEST if row.best else LOW if row.below_chance else ""
        auroc = heads.index("Image AUROC")
        told[auroc] = f"{told[auroc]} {mark}".rstrip()
        told[0] = f"{told[0]} {'' if row.complete else INCOMPLETE}".rstrip()
        told[1] = f"{told[1]} {'' if row.bundled else UNBUNDLED}".rstrip()
        shown.append(told)
        styles.append([_STYLES.get(mark, "") if i == auroc else "" for i in range(len(heads))])
    return {
        "headers": heads,
        "data": [[column.value(row) for column in SCORECARD] for row in rows],
        "metadata": {"display_value": shown, "styling": styles},
    }


def _written(value: Any, form: str, row: Row) -> str:
    if value is None:
        return ABSENT
    if form.startswith("% of "):
        return f"{_percent(value)} of {getattr(row, form.removeprefix('% of '))}"
    return format(value, form)


def reading(rows: Sequence[Row]) -> str:
    """How to read the scorecard, its traps and what is incomplete, as Markdown."""
    signs = [f"{BEST} best of its category"]
    if any(row.below_chance for row in rows):
        signs.append(f"{LOW} below chance")
    if any(not row.complete for row in rows):
        signs.append(f"{INCOMPLETE} incomplete category")
    if any(not row.bundled for row in rows):
        signs.append(f"{UNBUNDLED} measured, but too large to be bundled")
    lines = [
        " · ".join(signs),
        "**Image AUROC** and its 95 % interval rank whole photos, **pixel AUROC** and **AUPRO** "
        "places in them. **False alarms**, **found** and **F1** hold at the default threshold, "
        "which good photos alone have set. **Thesis score** is the image AUROC of the same "
        "network by mean squared error.",
    ]
    bright = {
        row.category: max(row.brightness_auroc, 1 - row.brightness_auroc)
        for row in rows
        if row.brightness_auroc is not None and abs(row.brightness_auroc - 0.5) >= _TELLING
    }
    if bright:
        told = _listed([f"{value:.2f} on {name}" for name, value in bright.items()])
        lines.append(
            f"**Brightness** alone, with no network, reaches {told}: a high figure there need "
            f"not mean that a defect was seen."
        )
    every = [row.all_defective_f1 for row in rows if row.all_defective_f1 is not None]
    if every:
        span = " to ".join(sorted({f"{min(every):.2f}", f"{max(every):.2f}"}))
        lines.append(
            f"**F1 if all**: calling every photo defective already reaches an F1 of {span}. "
            f"Read F1 against it."
        )
    notes = {row.category: row.note for row in rows if row.note}
    lines += [f"{INCOMPLETE} **{name}**: {note}" for name, note in notes.items()]
    return "\n\n".join(lines)


def means_table(means: Sequence[Mean]) -> str:
    """Means over the categories with masks, a row a model."""
    if not means:
        return hint("No MVTec AD category with masks has been measured yet.")
    return table(
        ["", "Categories", "Image AUROC", "Thesis score", "Pixel AUROC"],
        [
            [
                escape(mean.who.upper() if mean.who in DETECTORS else mean.who.capitalize()),
                f"{mean.categories} of {len(MASKED)}",
                *(
                    number(value)
                    for value in (mean.image_auroc, mean.thesis_image_auroc, mean.pixel_auroc)
                ),
            ]
            for mean in means
        ],
        strong_last=means[-1].who == BEST_OF_THREE,
    )


def kinds_table(result: Result) -> str:
    """A row a kind of defect: photos, share found at the default threshold, image AUROC."""
    image = result.test.get("image", {})
    found, ranked = image.get("per_kind", {}), image.get("per_kind_auroc", {})
    if not found:
        return hint("No defective test photo was measured for this model and category.")
    count = Counter(result.test.get("scores", {}).get("kind", []))
    return table(
        ["Defect", "Photos", "Found", "Image AUROC"],
        [
            [
                escape(kind.replace("_", " ")),
                str(count[kind]) if count[kind] else ABSENT,
                _percent(share),
                number(ranked.get(kind)),
            ]
            for kind, share in found.items()
        ],
    )


def transfer_table(results: Sequence[Result], means: Sequence[Mean]) -> str:
    """Image AUROC on KolektorSDD, calibrated and by the thesis's score, with intervals."""
    by = {(r.category, r.model): r.transfer.get(TRANSFER) for r in results if r.model in DETECTORS}
    measured = {key: figures for key, figures in by.items() if figures}
    if not measured:
        return hint("Not measured yet: `python -m defect transfer --data DIR` does it.")
    models = [model for model in DETECTORS if any(key[1] == model for key in measured)]
    of = {mean.who: mean for mean in means}
    lines = [
        [escape(name)]
        + [
            _with_interval(measured.get((name, model)), scoring)
            for model in models
            for scoring in ("image", "thesis_image")
        ]
        for name in dict.fromkeys(key[0] for key in measured)
    ]
    foot = ["Mean"] + [
        number(value)
        for model in models
        for value in (
            (of[model].image_auroc, of[model].thesis_image_auroc) if model in of else (None, None)
        )
    ]
    return table(
        ["Trained on", *["Calibrated", "Thesis score"] * len(models)],
        [*lines, foot],
        groups=[(model.upper(), 2) for model in models],
        strong_last=True,
    )


def thesis_table(rows: Sequence[Row], pixel: bool = False) -> str:
    """The thesis's figures beside ours, a row a category, for images or for pixels."""
    shared = [
        row for row in rows if (_published(row, pixel), row.published_image_auroc) != (None, None)
    ]
    models = [
        model
        for model in MODELS
        if any(row.model == model and _published(row, pixel) is not None for row in shared)
    ]
    if not models:
        return hint("None of the categories here was measured by the thesis.")
    by = {(row.category, row.model): row for row in shared}
    lines = []
    for name in dict.fromkeys(row.category for row in shared):
        line = [escape(name)]
        for model in models:
            row = by.get((name, model))
            if row is None:
                line += [ABSENT] * 3
                continue
            ours = row.pixel_auroc if pixel else row.image_auroc
            same = row.thesis_pixel_auroc if pixel else row.thesis_image_auroc
            line += [number(_published(row, pixel)), number(same), number(ours)]
        lines.append(line)
    return table(
        ["", *["Thesis", "Ours, its score", "Ours"] * len(models)],
        lines,
        groups=[(model.upper(), 3) for model in models],
    )


def ranking(correlations: Sequence[RankCorrelation]) -> str:
    """Whether the same categories are hard for the thesis and here, by its own score."""
    told = [
        f"{c.model.upper()} {c.value:.2f} over {c.categories} categories"
        for c in correlations
        if c.value is not None
    ]
    if not told:
        return ""
    return (
        "Do the same categories come out easy and hard by the thesis's score? Spearman's rank "
        f"correlation with its published figures: {_listed(told)}."
    )


def steel_summary(result: Result) -> str:
    """How many held-out steel photos are named right, as Markdown."""
    accuracy = number_in(result.test, "accuracy")
    if accuracy is None:
        return "Not measured."
    text = (
        f"**{_percent(accuracy, 2)}** of {result.test['count']} held-out NEU photos named right "
        f"(thesis: {_percent(THESIS_NEU_ACCURACY, 1)}); macro F1 {result.test['macro_f1']:.4f}."
    )
    return f"{text} {result.note}".strip()


def steel_table(result: Result) -> str:
    """Precision, recall and F1 a class."""
    classes = result.test.get("per_class")
    if not classes:
        return hint("Not measured.")
    return table(
        ["Class", "Photos", "Precision", "Recall", "F1"],
        [
            [escape(name.replace("_", " ")), str(of["count"])]
            + [number(of[figure]) for figure in ("precision", "recall", "f1")]
            for name, of in classes.items()
        ],
    )


def unknown_table(result: Result) -> str:
    """How many photos are refused as none of the classes: of the classes, and of other things."""
    noted = result.test.get("unknown")
    if not isinstance(noted, Mapping) or not noted:
        return hint("Not measured: what it does with photos of other things.")
    lines = [["NEU, held out", str(noted["neu_photos"]), _percent(noted["neu_refused"], 1)]]
    lines += [[escape(name), "", _percent(share, 1)] for name, share in noted["others"].items()]
    if noted["others_refused"] is not None:
        every = ["other products", str(noted["other_photos"]), _percent(noted["others_refused"], 1)]
        lines.insert(1, every)
    return table(["Refused as none of the six", "Photos", "Refused"], lines)


def _published(row: Row, pixel: bool) -> float | None:
    return row.published_pixel_auroc if pixel else row.published_image_auroc


def _with_interval(figures: Mapping[str, Any] | None, scoring: str) -> str:
    value, low, high = (number_in(figures, scoring, "auroc", e) for e in ("value", "low", "high"))
    interval = _interval(low, high)
    return number(value) + (f' <span class="interval">{interval}</span>' if interval else "")


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f}–{high:.2f}"


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
