"""The scorecard for people: Markdown for the documentation, lines for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from defect.evaluation.scorecard.averages import (
    MASKED,
    Mean,
    means,
    rank_correlations,
    transfer_means,
)
from defect.evaluation.scorecard.headers import Result, Row, number_in, row_of, rows, steel_of
from defect.inspection import Message
from defect.weights.files import Metadata

START, END = "<!-- scorecard -->", "<!-- /scorecard -->"
_HEAD = (
    *("category", "model", "image AUROC, 95 % interval (thesis score)", "pixel AUROC", "AUPRO"),
    *("false alarms", "detected", "F1 (all-defective F1)", "brightness alone"),
)


def number(value: float | None, reason: str = "not measured") -> str:
    """Three digits, or `n/a` and the reason."""
    return f"{value:.3f}" if value is not None else f"n/a ({reason})"


def with_reference(value: float | None, other: float | None) -> str:
    """`0.988 (0.610)`: a figure and, in brackets, the one it compares with."""
    if value is None:
        return number(None)
    return f"{value:.3f} ({f'{other:.3f}' if other is not None else 'n/a'})"


def summary(metadata: Metadata) -> str:
    """One line about one detector."""
    return _line(row_of(metadata))


def to_markdown(found: Sequence[Row], steel: Metadata | None, transfer: Sequence[Mean] = ()) -> str:
    """The scorecard as Markdown: legend, one line per row, means and notes.

    Args:
        found: the scorecard's rows.
        steel: the steel classifier's header, where there is one.
        transfer: means on KolektorSDD, from `transfer_means`.
    """
    paragraphs = [
        "Test photos; *false alarms*, *detected* and F1 at the default threshold, which is set on "
        "normal photos only. *Thesis score*: the mean squared error of the same network; a memory "
        "reconstructs nothing and has none. *All-defective F1*: the F1 of calling every photo "
        "defective. *Brightness alone*: the AUROC of mean grey; where it is far from 0.5, an image "
        "figure proves little. **Bold**: the highest image AUROC of the category. † the copy of "
        "the category is incomplete. ‡ below chance.",
        _table(_HEAD, [_cells(row) for row in found]),
    ]
    averages = means(found)
    if averages:
        paragraphs += [
            f"Means over the MVTec AD categories with masks ({', '.join(MASKED)}); *best of the "
            "three* takes the highest figure in each category, which is a choice made on test "
            "photos:",
            _table(
                (
                    "",
                    "categories",
                    "image AUROC (thesis score)",
                    "pixel AUROC",
                    "published in the thesis",
                ),
                [
                    (
                        _who(mean),
                        f"{mean.categories} of {len(MASKED)}",
                        with_reference(mean.image_auroc, mean.thesis_image_auroc),
                        number(mean.pixel_auroc),
                        number(mean.published_image_auroc, "not in the thesis"),
                    )
                    for mean in averages
                ],
            ),
        ]
    paragraphs.append(
        "\n".join([*_sentences(found, transfer), *steel_lines(steel), *_notes(found)])
    )
    return "\n\n".join(paragraphs)


def put_scorecard(text: str, scorecard: str) -> str:
    """The text with everything between the two marks replaced.

    Raises:
        ValueError: the marks are absent, or in the wrong order.
    """
    start, end = text.find(START), text.find(END)
    if start < 0 or end < start:
        raise ValueError(
            Message(
                "no_scorecard_marks",
                "The file has no lines {start} and {end}, in this order, to put the scorecard "
                "between.",
                start=START,
                end=END,
            )
        )
    return f"{text[: start + len(START)]}\n\n{scorecard}\n\n{text[end:]}"


def to_text(results: Sequence[Result]) -> str:
    """One line per model and category, then means and the classifier."""
    found = rows(results)
    lines = [_line(row) for row in found]
    for mean in means(found):
        lines.append(
            f"mean of {mean.categories} of {len(MASKED)} with masks, {_who(mean)}: image AUROC "
            f"{with_reference(mean.image_auroc, mean.thesis_image_auroc)}  "
            f"pixel {number(mean.pixel_auroc)}"
            f"  published in the thesis {number(mean.published_image_auroc)}"
        )
    sentences = _sentences(found, transfer_means(results))
    return "\n".join([*lines, *sentences, *steel_lines(steel_of(results))])


def share(rate: float | None, count: int | None) -> str:
    """`3 of 20` from a rate and its denominator."""
    if rate is None or count is None:
        return "n/a"
    return f"{round(rate * count)} of {count}"


def _line(row: Row) -> str:
    name = f"{row.model + ' ':4}{row.category:18}"
    if row.image_auroc is None:
        return f"{name}not measured"
    pixel = number(row.pixel_auroc, row.pixel_reason)
    marks = f"{'  best' if row.best else ''}{'  below chance' if row.below_chance else ''}"
    return (
        f"{name}image AUROC {with_reference(row.image_auroc, row.thesis_image_auroc)}  "
        f"pixel {pixel}  false alarms {share(row.false_alarm_rate, row.normal)}  "
        f"detected {share(row.detection_rate, row.defective)}  "
        f"F1 {with_reference(row.f1, row.all_defective_f1)}  "
        f"brightness alone {number(row.brightness_auroc)}{marks}"
        f"{'' if row.complete else '  (category incomplete)'}"
        f"{'' if row.bundled else '  (not bundled)'}"
    )


def _cells(row: Row) -> tuple[str, ...]:
    image = number(row.image_auroc)
    if row.image_auroc is not None:
        image = f"**{image}**" if row.best else image
        image += " ‡" if row.below_chance else ""
        if row.image_auroc_low is not None and row.image_auroc_high is not None:
            image += f" {row.image_auroc_low:.2f}–{row.image_auroc_high:.2f}"
        thesis = row.thesis_image_auroc
        image += f" ({'n/a' if thesis is None else number(thesis)})"
    return (
        row.category + ("" if row.complete else " †"),
        row.model.upper(),
        image,
        number(row.pixel_auroc, row.pixel_reason or "not measured"),
        number(row.aupro, row.pixel_reason or "not measured"),
        share(row.false_alarm_rate, row.normal),
        share(row.detection_rate, row.defective),
        with_reference(row.f1, row.all_defective_f1),
        number(row.brightness_auroc),
    )


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _who(mean: Mean) -> str:
    return mean.who if " " in mean.who else mean.who.upper()


def _sentences(found: Sequence[Row], transfer: Sequence[Mean]) -> list[str]:
    lines = []
    for one in rank_correlations(found):
        if one.categories:
            value = f"{one.value:.2f}" if one.value is not None else f"n/a ({one.reason})"
            lines.append(
                f"- {one.model.upper()}: image AUROC by the thesis score against the published "
                f"one, ranked over {one.categories} categories: Spearman's ρ {value}."
            )
    if transfer:
        described = [
            f"{_who(mean)} {with_reference(mean.image_auroc, mean.thesis_image_auroc)} "
            f"of {mean.categories}"
            for mean in transfer
        ]
        lines.append(
            f"- KolektorSDD, unseen in training, mean image AUROC (thesis score) over the models "
            f"of all categories: {', '.join(described)}."
        )
    return lines


def steel_lines(steel: Metadata | None) -> list[str]:
    """The classifier's figures as list items; none where it was not evaluated."""
    accuracy = number_in(steel.test, "accuracy") if steel else None
    if steel is None or accuracy is None:
        return []
    count, macro = number_in(steel.test, "count"), number_in(steel.test, "macro_f1")
    lines = [
        f"- CNN, six NEU steel classes: {100 * accuracy:.2f} % of {count} held-out photos "
        f"classified correctly, macro F1 {number(macro)}."
    ]
    refused, others = (
        number_in(steel.test, "unknown", f"{source}_refused") for source in ("neu", "others")
    )
    if refused is not None and others is not None:
        photos = number_in(steel.test, "unknown", "other_photos")
        lines.append(
            f"- CNN, refused as none of the six classes: {100 * refused:.1f} % of the held-out NEU "
            f"photos and {100 * others:.1f} % of {photos} test photos of other products."
        )
    return lines


def _notes(found: Sequence[Row]) -> list[str]:
    notes = {row.category: row.note for row in found if row.note}
    unbundled = [f"{row.model.upper()} {row.category}" for row in found if not row.bundled]
    lines = [f"- † {category}: {note}" for category, note in notes.items()]
    return lines + (
        [f"- Evaluated, but too large to be bundled: {', '.join(unbundled)}."] if unbundled else []
    )
