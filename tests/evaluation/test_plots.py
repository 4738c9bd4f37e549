"""Figures draw the numbers they are given, and fit into a light and a dark page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from defect.evaluation import plots as figures

SCORES = [0.2, 0.5, 0.5, 0.9, 0.5, 1.4, 3.0]
DEFECTIVE = [False, False, False, False, True, True, True]


def drawn(figure: Figure) -> Any:
    """The figure's only axes; matplotlib's types say too little of what lies in them."""
    return figure.axes[0]


def test_the_roc_curve_s_area_is_the_auroc_ties_included() -> None:
    alarms, found = figures.roc_points(SCORES, DEFECTIVE)
    assert (alarms[0], found[0], alarms[-1], found[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(found, alarms) == pytest.approx(roc_auc_score(DEFECTIVE, SCORES))


def test_the_roc_figure_has_both_scorings() -> None:
    figure = figures.roc_figure(SCORES, [-score for score in SCORES], DEFECTIVE)
    chance, thesis, calibrated = drawn(figure).lines
    areas = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in (thesis, calibrated)]
    assert areas == pytest.approx([1 - areas[1], roc_auc_score(DEFECTIVE, SCORES)])
    assert len(figures.roc_figure(SCORES, None, DEFECTIVE).axes[0].lines) == 2
    assert list(chance.get_xdata()) == list(chance.get_ydata())


def test_the_histogram_counts_each_photo_and_splits_at_the_limit() -> None:
    figure = figures.histogram_figure([0.4, 0.999], [0.5], [1.0, 1.0, 40.0])
    bars = [bar for bar in drawn(figure).patches if bar.get_height() > 0]
    assert sum(bar.get_height() for bar in bars) == 6
    left = [bar for bar in bars if bar.get_x() < 1 - 1e-9]
    right = [bar for bar in bars if bar.get_x() >= 1 - 1e-9]
    assert sum(bar.get_height() for bar in left) == 3
    assert all(bar.get_x() + bar.get_width() <= 1 + 1e-9 for bar in left)
    assert sum(bar.get_height() for bar in right) == 3
    names = [text.get_text() for text in drawn(figure).get_legend().get_texts()]
    assert names == ["good, held out (2)", "good, test (1)", "defective, test (3)"]


def test_a_score_of_zero_is_drawn() -> None:
    figure = figures.histogram_figure([0.0], [], [2.0])
    assert sum(bar.get_height() for bar in drawn(figure).patches) == 2


def test_training_curves_mark_the_kept_epoch() -> None:
    figure = figures.training_figure([3.0, 2.0, 1.5], [3.1, 1.9, 2.2], 2)
    loss, held_out, kept = drawn(figure).lines
    assert list(loss.get_ydata()) == [3.0, 2.0, 1.5]
    assert list(held_out.get_xdata()) == [1, 2, 3]
    assert (list(kept.get_xdata()), list(kept.get_ydata())) == ([2], [1.9])
    assert len(figures.training_figure([1.0, 0.9], [], 7).axes[0].lines) == 1


def test_the_confusion_matrix_shows_counts_where_they_are() -> None:
    figure = figures.confusion_figure([[5, 0], [1, 4]], ["a_b", "c"])
    described = {text.get_position(): text.get_text() for text in drawn(figure).texts}
    assert described == {(0, 0): "5", (0, 1): "1", (1, 1): "4"}
    assert [label.get_text() for label in drawn(figure).get_yticklabels()] == ["a b", "c"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: figures.roc_figure([1.0, 2.0], None, [True, True]),
        lambda: figures.histogram_figure([], [], []),
        lambda: figures.training_figure([], [], None),
        lambda: figures.confusion_figure([[1, 2]], ["a"]),
    ],
)
def test_nothing_to_draw_is_said(draw) -> None:
    with pytest.raises(ValueError, match="needs"):
        draw()


def test_an_svg_depends_on_the_numbers_and_takes_the_page_s_colours() -> None:
    one, two = (
        figures.to_svg(figures.training_figure([3.0, end], [], 1), 'Loss of <x> & "y"')
        for end in (2.0, 1.0)
    )
    assert one != two
    root = ElementTree.fromstring(one)
    assert root.get("aria-label") == 'Loss of <x> & "y"'
    assert root.get("width") is None
    assert root.get("viewBox")
    assert "currentColor" in one and "var(--border-color-primary)" in one
    # A style sheet inside would reach the whole page.
    assert "<style" not in one
    assert figures._INK not in one and figures._LINE not in one
    assert "Epoch" in "".join(root.itertext())
