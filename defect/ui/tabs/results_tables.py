"""The Results tab's tables and sentences, made of the numbers in the weights' headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Literal

from defect.detectors.registry import DETECTORS
from defect.evaluation.scorecard import (
    BEST_OF_THREE,
    MASKED,
    TRANSFER,
    Mean,
    RankCorrelation,
    Result,
    Row,
)
from defect.evaluation.scorecard.headers import number_in
from defect.evaluation.thesis import THESIS_NEU_ACCURACY
from defect.ui.i18n import join, name_of, translate, translate_message

_SEPARATES = 0.25
"""A brightness AUROC this far from 0.5 separates good from defective without any network."""


@dataclass(frozen=True)
class Column:
    """One of the scorecard."""

    head: str
    """Its text's key."""
    kind: Literal["str", "number"]
    value: Callable[[Row], Any]
    width: int
    """Pixels."""
    form: str = ""
    """How a value is written: as `format` takes it, or `% of <field>`."""


SCORECARD = (
    Column("card_category", "str", lambda r: r.category, 154),
    Column("card_model", "str", lambda r: r.model.upper(), 82),
    Column("card_auroc", "number", lambda r: r.image_auroc, 100, ".3f"),
    Column("card_interval", "str", lambda r: _interval(r.image_auroc_low, r.image_auroc_high), 104),
    Column("card_pixel", "number", lambda r: r.pixel_auroc, 86, ".3f"),
    Column("card_aupro", "number", lambda r: r.aupro, 86, ".3f"),
    Column("card_alarms", "number", lambda r: r.false_alarm_rate, 100, "% of normal"),
    Column("card_found", "number", lambda r: r.detection_rate, 112, "% of defective"),
    Column("card_f1", "number", lambda r: r.f1, 84, ".3f"),
    Column("card_all", "number", lambda r: r.all_defective_f1, 84, ".3f"),
    Column("card_thesis", "number", lambda r: r.thesis_image_auroc, 88, ".3f"),
    Column("card_brightness", "number", lambda r: r.brightness_auroc, 92, ".3f"),
)
BEST, LOW, INCOMPLETE, UNBUNDLED = "★", "▼", "†", "‡"
_STYLES = {BEST: "font-weight: 700; color: var(--good)", LOW: "color: var(--bad)"}


def scorecard(rows: Sequence[Row]) -> dict[str, Any]:
    """What `gr.Dataframe` shows: numbers to sort by, how they are written, and their style."""
    heads = [column.head for column in SCORECARD]
    auroc = heads.index("card_auroc")
    shown, styles = [], []
    for row in rows:
        cells = [_written(column.value(row), column.form, row) for column in SCORECARD]
        mark = BEST if row.best else LOW if row.below_chance else ""
        cells[auroc] = f"{cells[auroc]} {mark}".rstrip()
        cells[0] = f"{cells[0]} {'' if row.complete else INCOMPLETE}".rstrip()
        cells[1] = f"{cells[1]} {'' if row.bundled else UNBUNDLED}".rstrip()
        shown.append(cells)
        styles.append([_STYLES.get(mark, "") if i == auroc else "" for i in range(len(heads))])
    return {
        "headers": [translate(head) for head in heads],
        "data": [[column.value(row) for column in SCORECARD] for row in rows],
        "metadata": {"display_value": shown, "styling": styles},
    }


def _written(value: Any, form: str, row: Row) -> str:
    if value is None:
        return translate("absent")
    if form.startswith("% of "):
        count = getattr(row, form.removeprefix("% of "))
        return translate("share_of", share=_percent(value), count=count)
    return format(value, form)


def reading(rows: Sequence[Row]) -> str:
    """How to read the scorecard, its traps and what is incomplete, as Markdown."""
    signs = [translate("sign_best", sign=BEST)]
    if any(row.below_chance for row in rows):
        signs.append(translate("sign_low", sign=LOW))
    if any(not row.complete for row in rows):
        signs.append(translate("sign_incomplete", sign=INCOMPLETE))
    if any(not row.bundled for row in rows):
        signs.append(translate("sign_unbundled", sign=UNBUNDLED))
    lines = [" · ".join(signs), translate("reading")]
    bright = {
        row.category: max(row.brightness_auroc, 1 - row.brightness_auroc)
        for row in rows
        if row.brightness_auroc is not None and abs(row.brightness_auroc - 0.5) >= _SEPARATES
    }
    if bright:
        figures = [
            translate("bright_on", value=f"{value:.2f}", category=name)
            for name, value in bright.items()
        ]
        lines.append(translate("reading_bright", figures=join(figures, "and")))
    every = [row.all_defective_f1 for row in rows if row.all_defective_f1 is not None]
    if every:
        low, high = f"{min(every):.2f}", f"{max(every):.2f}"
        span = low if low == high else translate("span", low=low, high=high)
        lines.append(translate("reading_all", span=span))
    notes = {row.category: row.note for row in rows if row.note}
    lines += [
        translate("note_of", sign=INCOMPLETE, category=name, note=translate_message(note))
        for name, note in notes.items()
    ]
    return "\n\n".join(lines)


def means_table(means: Sequence[Mean]) -> str:
    """Means over the categories with masks, a row a model."""
    if not means:
        return hint(translate("means_none"))
    return table(
        ["", *_texts("means_categories", "card_auroc", "card_thesis", "card_pixel")],
        [
            [
                mean.who.upper() if mean.who in DETECTORS else translate("means_best"),
                translate("of_all", count=mean.categories, total=len(MASKED)),
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
        return hint(translate("kinds_none"))
    count = Counter(result.test.get("scores", {}).get("kind", []))
    return table(
        _texts("kinds_defect", "photos", "card_found", "card_auroc"),
        [
            [
                escape(name_of(kind).replace("_", " ")),
                str(count[kind]) if count[kind] else translate("absent"),
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
        return hint(translate("transfer_none"))
    models = [model for model in DETECTORS if any(key[1] == model for key in measured)]
    # A detector that reconstructs nothing has no thesis score.
    scorings = {
        model: [
            scoring
            for scoring in ("image", "thesis_image")
            if any(key[1] == model and scoring in figures for key, figures in measured.items())
        ]
        for model in models
    }
    columns = [(model, scoring) for model in models for scoring in scorings[model]]
    of = {mean.who: mean for mean in means}
    lines = [
        [escape(name)]
        + [_with_interval(measured.get((name, m)), scoring) for m, scoring in columns]
        for name in dict.fromkeys(key[0] for key in measured)
    ]
    foot = [translate("mean")] + [
        number(getattr(of[m], f"{scoring}_auroc") if m in of else None) for m, scoring in columns
    ]
    calibrated, thesis = _texts("transfer_calibrated", "card_thesis")
    return table(
        [
            translate("transfer_trained"),
            *(calibrated if s == "image" else thesis for _, s in columns),
        ],
        [*lines, foot],
        groups=[(model.upper(), len(scorings[model])) for model in models],
        strong_last=True,
    )


def thesis_table(rows: Sequence[Row], pixel: bool = False) -> str:
    """The thesis's figures beside ours, a row a category, for images or for pixels."""
    shared = [
        row for row in rows if (_published(row, pixel), row.published_image_auroc) != (None, None)
    ]
    models = [
        model
        for model in DETECTORS
        if any(row.model == model and _published(row, pixel) is not None for row in shared)
    ]
    if not models:
        return hint(translate("thesis_none"))
    by = {(row.category, row.model): row for row in shared}
    lines = []
    for name in dict.fromkeys(row.category for row in shared):
        line = [escape(name)]
        for model in models:
            row = by.get((name, model))
            if row is None:
                line += [translate("absent")] * 3
                continue
            ours = row.pixel_auroc if pixel else row.image_auroc
            same = row.thesis_pixel_auroc if pixel else row.thesis_image_auroc
            line += [number(_published(row, pixel)), number(same), number(ours)]
        lines.append(line)
    return table(
        ["", *_texts("thesis_thesis", "thesis_same", "thesis_ours") * len(models)],
        lines,
        groups=[(model.upper(), 3) for model in models],
    )


def ranking(correlations: Sequence[RankCorrelation]) -> str:
    """Whether the same categories are hard for the thesis and here, by its own score."""
    figures = [
        translate("ranking_one", model=c.model.upper(), value=f"{c.value:.2f}", count=c.categories)
        for c in correlations
        if c.value is not None
    ]
    if not figures:
        return ""
    return translate("ranking", figures=join(figures, "and"))


def steel_summary(result: Result) -> str:
    """How many held-out steel photos are classified correctly, as Markdown."""
    accuracy = number_in(result.test, "accuracy")
    if accuracy is None:
        return translate("not_measured")
    text = translate(
        "steel_named",
        share=_percent(accuracy, 2),
        count=result.test["count"],
        thesis=_percent(THESIS_NEU_ACCURACY, 1),
        f1=f"{result.test['macro_f1']:.4f}",
    )
    return f"{text} {translate_message(result.note)}".strip()


def steel_table(result: Result) -> str:
    """Precision, recall and F1 a class."""
    classes = result.test.get("per_class")
    if not classes:
        return hint(translate("not_measured"))
    return table(
        _texts("head_class", "photos", "steel_precision", "steel_recall", "card_f1"),
        [
            [escape(name_of(name).replace("_", " ")), str(of["count"])]
            + [number(of[figure]) for figure in ("precision", "recall", "f1")]
            for name, of in classes.items()
        ],
    )


def unknown_table(result: Result) -> str:
    """How many photos are rejected as none of the classes: of the classes, and of other things."""
    noted = result.test.get("unknown")
    if not isinstance(noted, Mapping) or not noted:
        return hint(translate("rejected_none"))
    neu = translate("rejected_neu")
    lines = [[neu, str(noted["neu_photos"]), _percent(noted["neu_refused"], 1)]]
    lines += [[escape(name), "", _percent(share, 1)] for name, share in noted["others"].items()]
    if noted["others_refused"] is not None:
        others = translate("rejected_others")
        every = [others, str(noted["other_photos"]), _percent(noted["others_refused"], 1)]
        lines.insert(1, every)
    return table(_texts("rejected_head", "photos", "rejected"), lines)


def _texts(*keys: str) -> list[str]:
    return [translate(key) for key in keys]


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


def table(
    heads: Sequence[str],
    lines: Sequence[Sequence[str]],
    groups: Sequence[tuple[str, int]] = (),
    strong_last: bool = False,
) -> str:
    """An HTML table, its first column the rows' names. Cells are HTML and escaped by the caller.

    Args:
        groups: (name, columns) over the heads, from the second column on.
        strong_last: the last line sums up.
    """
    above = ""
    if groups:
        cells = "".join(f'<th colspan="{count}">{escape(name)}</th>' for name, count in groups)
        above = f'<tr class="groups"><td></td>{cells}</tr>'
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for i, line in enumerate(lines):
        last = ' class="sum"' if strong_last and i == len(lines) - 1 else ""
        rest = "".join(f"<td>{cell}</td>" for cell in line[1:])
        body += f'<tr{last}><th scope="row">{line[0]}</th>{rest}</tr>'
    return (
        f'<div class="numbers" tabindex="0"><table><thead>{above}<tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def number(value: float | None) -> str:
    """Three digits; marked where an AUROC is below chance, `n/a` where there is none."""
    if value is None:
        return f'<span class="absent">{translate("absent")}</span>'
    return f'<span class="low">{value:.3f}</span>' if value < 0.5 else f"{value:.3f}"


def hint(text: str) -> str:
    """A subdued line in a table's place."""
    return f'<p class="absent">{escape(text)}</p>'
