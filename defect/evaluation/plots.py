"""Figures drawn from the numbers in the weights' headers: curves, histogram, confusion matrix.

They are matplotlib figures without pyplot's global state. `to_svg` makes one a picture that takes
the page's own colours and font, so that it reads the same on a light and a dark page.
"""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator

Floats = npt.NDArray[np.float64]

BLUE, PALE, RED, GREY = "#3b82f6", "#93b8f8", "#e5484d", "#8490a3"
_INK, _LINE = "#010203", "#010204"
"""Stand for the page's text and border colour until `to_svg` puts those in."""
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
"""matplotlib's settings are global; they are changed for the length of one drawing."""


def roc_points(scores: npt.ArrayLike, defective: npt.ArrayLike) -> tuple[Floats, Floats]:
    """The ROC curve of N scores (higher is more defective): false-alarm rate, share found; 0..1.

    Raises:
        ValueError: the photos are all good or all defective.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(defective, bool)
    if truth.all() or not truth.any():
        raise ValueError("A ROC curve needs good and defective photos.")
    order = np.argsort(-values, kind="stable")
    values, truth = values[order], truth[order]
    # Photos of one score pass the threshold together: one straight piece of the curve.
    last = np.append(np.flatnonzero(values[1:] != values[:-1]), len(values) - 1)
    found = np.concatenate([[0], truth.cumsum()[last]]) / truth.sum()
    alarms = np.concatenate([[0], (~truth).cumsum()[last]]) / (~truth).sum()
    return alarms, found


def roc_figure(
    calibrated: npt.ArrayLike, thesis: npt.ArrayLike | None, defective: npt.ArrayLike
) -> Figure:
    """ROC of the calibrated and, if given, of the thesis's score of the same N photos.

    Raises:
        ValueError: the photos are all good or all defective.
    """
    figure, axes = _axes("False alarms, of all good photos", "Found, of all defective photos")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=(0, (2, 4)))
    if thesis is not None:
        axes.plot(*roc_points(thesis, defective), color=GREY, linewidth=1.8, label="thesis score")
    axes.plot(*roc_points(calibrated, defective), color=BLUE, linewidth=2.4, label="calibrated")
    axes.set(xlim=(-0.015, 1.015), ylim=(-0.015, 1.03))
    percent = FuncFormatter(lambda share, _: f"{100 * share:.0f} %")
    axes.xaxis.set_major_formatter(percent)
    axes.yaxis.set_major_formatter(percent)
    # Above the axes: a curve below chance would run through a legend inside.
    figure.legend(loc="outside upper center", ncols=2, reverse=True, **_LEGEND)
    return figure


def histogram_figure(
    held_out: Sequence[float], good: Sequence[float], defective: Sequence[float]
) -> Figure:
    """Photos by calibrated score (multiples of the normal limit, which is marked), stacked.

    Raises:
        ValueError: there is no score at all.
    """
    groups = [
        (held_out, PALE, "good, held out"),
        (good, BLUE, "good, test"),
        (defective, RED, "defective, test"),
    ]
    groups = [group for group in groups if len(group[0])]
    if not groups:
        raise ValueError("A histogram needs scores.")
    figure, axes = _axes("Score (× normal limit)", "Photos")
    values = [np.maximum(np.asarray(group[0], np.float64), 1e-3) for group in groups]
    together = np.log2(np.concatenate(values))
    # Steps of a sixth of an octave; the limit, 2⁰, is an edge, so that no bar lies on both sides.
    first = min(np.floor(together.min() * 6), -6)
    last = max(np.floor(together.max() * 6) + 1, 6)
    axes.hist(
        values,
        bins=list(2 ** (np.arange(first, last + 1) / 6)),
        stacked=True,
        color=[group[1] for group in groups],
        label=[f"{group[2]} ({len(group[0])})" for group in groups],
    )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda score, _: f"{score:g}"))
    axes.minorticks_off()
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.axvline(1, 0, 0.66, color=_INK, linewidth=1.4)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.42)  # room for the legend above the bars
    axes.annotate(
        "limit", (1, 0.62), (4, 0), ("data", "axes fraction"), "offset points", color=_INK
    ).set_fontsize(_TEXT - 1)
    axes.legend(loc="upper right", **_LEGEND)
    return figure


def training_figure(
    loss: Sequence[float], held_out: Sequence[float], best_epoch: int | None
) -> Figure:
    """Loss by epoch, in training and on held-out photos; the kept epoch is marked.

    Raises:
        ValueError: no loss was noted.
    """
    if not loss and not held_out:
        raise ValueError("A training curve needs at least one epoch.")
    figure, axes = _axes("Epoch", "Loss")
    for curve, colour, label in ((loss, GREY, "training"), (held_out, BLUE, "held out")):
        if curve:
            axes.plot(range(1, len(curve) + 1), curve, color=colour, linewidth=2, label=label)
    kept = held_out or loss
    if best_epoch is not None and 1 <= best_epoch <= len(kept):
        axes.plot(
            best_epoch,
            kept[best_epoch - 1],
            "o",
            color=BLUE if held_out else GREY,
            markersize=7,
            label=f"kept: epoch {best_epoch}",
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


def confusion_figure(confusion: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """C×C counts, rows true and columns called; each row is coloured by its shares.

    Raises:
        ValueError: the counts are not C×C.
    """
    counts = np.asarray(confusion, np.int64)
    if counts.shape != (len(classes), len(classes)):
        raise ValueError("A confusion matrix needs a row and a column a class.")
    figure, axes = _axes("Called", "True class")
    names = [name.replace("_", " ") for name in classes]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(counts):
        share = float(shares[row, column])
        colour = BLUE if row == column else RED
        # A single mistake must be seen beside sixty hits.
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
    """The figure as an `<svg>` element for a page; `text` is for who cannot see it (plain)."""
    drawn = io.StringIO()
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    # The salt keeps names inside apart from those of other figures on the same page.
    with _DRAWING, matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": text}):
        FigureCanvasSVG(figure).print_svg(drawn, metadata=nothing)
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :]
    # Its style sheet would reach the whole page; the app's own has what is needed of it.
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    opening = re.search(r'viewBox="[^"]*"', svg)
    box = opening.group(0) if opening else ""
    label = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    svg = re.sub(r"^<svg[^>]*>", f'<svg {_NAMESPACES} {box} role="img" aria-label="{label}">', svg)
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
