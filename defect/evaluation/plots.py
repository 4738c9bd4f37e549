"""Figures of scores and trainings: ROC and training curves, histogram, confusion matrix.

They are matplotlib figures without pyplot's global state. `to_svg` turns one into an SVG element
that takes the page's colours and font, so that it is legible on a light and a dark page. Texts come
from a mapping with the keys of `TEXTS`, which a page replaces to show another language.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from sklearn.metrics import roc_curve

TEXTS: Mapping[str, str] = {
    "false_alarm_axis": "False alarms, share of all normal photos",
    "detection_axis": "Detected, share of all defective photos",
    "calibrated_score": "calibrated",
    "thesis_score": "thesis score",
    "score_axis": "Score (× normal limit)",
    "photos_axis": "Photos",
    "held_out_normal": "normal, held out ({count})",
    "test_normal": "normal, test ({count})",
    "test_defective": "defective, test ({count})",
    "normal": "normal ({count})",
    "defective": "defective ({count})",
    "threshold": "threshold {threshold}",
    "epoch_axis": "Epoch",
    "loss_axis": "Loss",
    "training_loss": "training",
    "held_out_loss": "held out",
    "best_epoch": "best epoch: {epoch}",
    "predicted_axis": "Predicted class",
    "true_axis": "True class",
}
"""English, with a `{name}` for each value."""

BLUE, PALE, RED, GREY = "#3b82f6", "#93b8f8", "#e5484d", "#8490a3"
_INK, _LINE = "#010203", "#010204"
"""Placeholders that `to_svg` replaces by the page's text and border colour."""
_SIZE = (5.0, 3.6)
"""Inches; at 72 points each about the width of a phone, so that 10.5 points stay readable."""
_TEXT = 10.5
_LEGEND: dict[str, Any] = {
    "frameon": False,
    "labelcolor": _INK,
    "fontsize": _TEXT - 0.5,
    "handlelength": 1.4,
    "borderaxespad": 0.2,
}
_DRAWING = threading.Lock()
"""matplotlib's settings are global; they are changed while one figure is drawn."""
_SCORE_GROUPS = {
    "held_out_normal": PALE,
    "test_normal": BLUE,
    "test_defective": RED,
    "normal": BLUE,
    "defective": RED,
}
"""Groups of a histogram, from the bottom of the stack, with their colours."""


def roc_figure(
    calibrated: npt.ArrayLike,
    thesis: npt.ArrayLike | None,
    defective: npt.ArrayLike,
    texts: Mapping[str, str] = TEXTS,
) -> Figure:
    """ROC curve of the calibrated and, if given, of the thesis's score of the same N photos.

    Raises:
        ValueError: the photos are all normal or all defective.
    """
    truth = np.asarray(defective, bool)
    if truth.all() or not truth.any():
        raise ValueError("A ROC curve needs normal and defective photos.")
    figure, axes = _axes(texts["false_alarm_axis"], texts["detection_axis"])
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 4)))
    for scores, colour, width, key in (
        (thesis, GREY, 1.8, "thesis_score"),
        (calibrated, BLUE, 2.4, "calibrated_score"),
    ):
        if scores is not None:
            alarms, detected, _ = roc_curve(truth, np.asarray(scores), drop_intermediate=False)
            axes.plot(alarms, detected, color=colour, linewidth=width, label=texts[key])
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))
    percent = FuncFormatter(lambda share, _: f"{100 * share:.0f} %")
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    # Above the axes: a curve below chance would run through a legend inside.
    figure.legend(loc="outside upper center", ncols=2, reverse=True, **_LEGEND)
    return figure


def histogram_figure(
    scores: Mapping[str, Sequence[float]],
    threshold: float = 1.0,
    texts: Mapping[str, str] = TEXTS,
) -> Figure:
    """Stacked histogram of photos by calibrated score, on a logarithmic axis.

    Args:
        scores: multiples of the normal limit, by group: `held_out_normal`, `test_normal` and
            `test_defective` for stored scores, `normal` and `defective` for the verdicts of a
            batch. Empty groups are left out.
        threshold: marked by a line; always the edge between two bars.

    Raises:
        ValueError: there is no score at all, or an unknown group.
    """
    if unknown := scores.keys() - _SCORE_GROUPS.keys():
        raise ValueError(f"A histogram needs known groups, not {', '.join(sorted(unknown))}.")
    groups = [key for key in _SCORE_GROUPS if len(scores.get(key, ()))]
    if not groups:
        raise ValueError("A histogram needs scores.")
    figure, axes = _axes(texts["score_axis"], texts["photos_axis"])
    values = [np.maximum(np.asarray(scores[key], np.float64), 1e-3) for key in groups]
    octaves = np.log2(np.concatenate(values) / threshold)
    # Steps of a sixth of an octave, counted from the threshold, so that no bar lies on both sides.
    first = min(np.floor(octaves.min() * 6), -6)
    last = max(np.floor(octaves.max() * 6) + 1, 6)
    axes.hist(
        values,
        bins=list(threshold * 2 ** (np.arange(first, last + 1) / 6)),
        stacked=True,
        color=[_SCORE_GROUPS[key] for key in groups],
        label=[texts[key].format(count=len(scores[key])) for key in groups],
    )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda score, _: f"{score:g}"))
    axes.minorticks_off()
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.axvline(threshold, 0, 0.66, color=_INK, linewidth=1.4)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.42)  # room for the legend above the bars
    axes.annotate(
        texts["threshold"].format(threshold=f"{threshold:.2f}"),
        (threshold, 0.62),
        (4, 0),
        ("data", "axes fraction"),
        "offset points",
        color=_INK,
    ).set_fontsize(_TEXT - 1)
    axes.legend(loc="upper right", **_LEGEND)
    return figure


def training_figure(
    loss: Sequence[float],
    held_out: Sequence[float],
    best_epoch: int | None,
    texts: Mapping[str, str] = TEXTS,
) -> Figure:
    """Loss by epoch, in training and on held-out photos; the best epoch, if any, is marked.

    Raises:
        ValueError: no loss was recorded.
    """
    if not loss and not held_out:
        raise ValueError("A training curve needs at least one epoch.")
    figure, axes = _axes(texts["epoch_axis"], texts["loss_axis"])
    for curve, colour, key in ((loss, GREY, "training_loss"), (held_out, BLUE, "held_out_loss")):
        if curve:
            epochs = range(1, len(curve) + 1)
            axes.plot(epochs, curve, color=colour, linewidth=2, label=texts[key])
    deciding = held_out or loss
    if best_epoch is not None and 1 <= best_epoch <= len(deciding):
        axes.plot(
            best_epoch,
            deciding[best_epoch - 1],
            "o",
            color=BLUE if held_out else GREY,
            markersize=7,
            label=texts["best_epoch"].format(epoch=best_epoch),
        )
    lowest = min([*loss, *held_out])
    if lowest > 0 and max([*loss, *held_out]) / lowest > 8:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
        axes.tick_params(which="minor", length=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.legend(loc="upper right", **_LEGEND)
    return figure


def confusion_figure(
    confusion: Sequence[Sequence[int]],
    classes: Sequence[str],
    texts: Mapping[str, str] = TEXTS,
) -> Figure:
    """C×C counts, rows true and columns predicted; each row is coloured by its shares.

    Args:
        classes: their C names as they are shown, but for underscores.

    Raises:
        ValueError: the counts are not C×C.
    """
    counts = np.asarray(confusion, np.int64)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError("A confusion matrix needs a row and a column for each class.")
    figure, axes = _axes(texts["predicted_axis"], texts["true_axis"])
    names = [name.replace("_", " ") for name in classes]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        colour = BLUE if row == column else RED
        # A single mistake must be visible beside sixty hits.
        strength = share if row == column else min(1.0, 0.25 + share) if count else 0.0
        corner = (column - 0.5, row - 0.5)
        patch = Rectangle(corner, 1, 1, color=colour, alpha=0.85 * strength)
        patch.set_linewidth(0)
        axes.add_patch(patch)
        if count:
            ink = "#ffffff" if strength > 0.6 else _INK
            axes.text(column, row, str(count), ha="center", va="center", color=ink, size=_TEXT)
    ticks = range(len(classes))
    axes.set_xticks(ticks, names, rotation=38, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, names)
    axes.set(xlim=(-0.5, len(classes) - 0.5), ylim=(len(classes) - 0.5, -0.5))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


def to_svg(figure: Figure, text: str) -> str:
    """The figure as an `<svg>` element for a page; `text`, unescaped, is its accessible label."""
    drawn = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    # The salt keeps ids apart from those of other figures on the same page.
    settings = {"svg.fonttype": "none", "svg.hashsalt": text}
    with _DRAWING, matplotlib.rc_context(settings), warnings.catch_warnings():
        # The page sets the text in its own font, whatever glyphs matplotlib's lacks.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        FigureCanvasSVG(figure).print_svg(drawn, metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    # Its style sheet would apply to the whole page; the app's own covers what is needed.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    opening = re.search(r'viewBox="[^"]*"', svg)
    box = opening.group(0) if opening else ""
    tag = f'<svg {_NAMESPACES} {box} role="img" aria-label="{escape(text)}">'
    svg = tag + svg[svg.index(">") + 1 :]
    return svg.replace(_INK, "currentColor").replace(_LINE, "var(--border-color-primary)")


_NAMESPACES = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'


def _axes(across: str, up: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=_SIZE, layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.add_subplot()
    axes.patch.set_visible(False)
    axes.set_xlabel(across, color=_INK, fontsize=_TEXT)
    axes.set_ylabel(up, color=_INK, fontsize=_TEXT)
    axes.tick_params(colors=_INK, labelsize=_TEXT - 0.5, color=_LINE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_LINE)
    axes.grid(color=_LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes
