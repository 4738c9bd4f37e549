"""Figures draw the numbers they get, and fit into a light and a dark page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from string import Formatter
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from defect.evaluation import plots

SCORES = [0.2, 0.5, 0.5, 0.9, 0.5, 1.4, 3.0]
DEFECTIVE = [False, False, False, False, True, True, True]


def drawn(figure: Figure) -> Any:
    """The figure's only axes; matplotlib's types say too little of what lies in them."""
    return figure.axes[0]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in drawn(figure).get_legend().get_texts()]


def test_the_roc_figure_has_both_scorings() -> None:
    figure = plots.roc_figure(SCORES, [-score for score in SCORES], DEFECTIVE)
    chance, thesis, calibrated = drawn(figure).lines
    # The curve's area is the AUROC, ties included.
    areas = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in (thesis, calibrated)]
    assert areas == pytest.approx([1 - areas[1], roc_auc_score(DEFECTIVE, SCORES)])
    alarms, detected = calibrated.get_xdata(), calibrated.get_ydata()
    assert (alarms[0], detected[0], alarms[-1], detected[-1]) == (0, 0, 1, 1)
    # One point for each distinct score.
    assert len(alarms) == 1 + len(set(SCORES))
    assert len(plots.roc_figure(SCORES, None, DEFECTIVE).axes[0].lines) == 2
    assert list(chance.get_xdata()) == list(chance.get_ydata())


@pytest.mark.parametrize("threshold", [1.0, 0.73])
def test_the_histogram_counts_each_photo_and_splits_at_the_threshold(threshold: float) -> None:
    scores = {
        "held_out_normal": [0.4 * threshold, 0.999 * threshold],
        "test_normal": [0.5 * threshold],
        "test_defective": [threshold, threshold, 40.0 * threshold],
    }
    figure = plots.histogram_figure(scores, threshold)
    bars = [bar for bar in drawn(figure).patches if bar.get_height() > 0]
    assert sum(bar.get_height() for bar in bars) == 6
    left = [bar for bar in bars if bar.get_x() < threshold - 1e-9]
    right = [bar for bar in bars if bar.get_x() >= threshold - 1e-9]
    assert sum(bar.get_height() for bar in left) == 3
    assert all(bar.get_x() + bar.get_width() <= threshold + 1e-9 for bar in left)
    assert sum(bar.get_height() for bar in right) == 3
    assert legend(figure) == ["normal, held out (2)", "normal, test (1)", "defective, test (3)"]
    assert [text.get_text() for text in drawn(figure).texts] == [f"threshold {threshold:.2f}"]


def test_a_batch_is_one_bar_of_normal_and_one_of_defective_photos() -> None:
    figure = plots.histogram_figure({"defective": [2.0], "normal": [0.5, 0.5]})
    assert legend(figure) == ["normal (2)", "defective (1)"]


def test_a_score_of_zero_is_drawn() -> None:
    figure = plots.histogram_figure({"test_normal": [0.0], "test_defective": [2.0]})
    assert sum(bar.get_height() for bar in drawn(figure).patches) == 2


def test_every_text_comes_from_the_mapping() -> None:
    texts = {
        key: "@" + key + "".join(f" {{{name}}}" for _, name, *_ in Formatter().parse(text) if name)
        for key, text in plots.TEXTS.items()
    }
    groups = {key: [0.5, 2.0] for key in plots._SCORE_GROUPS}
    shown: set[str] = set()
    for figure in (
        plots.roc_figure(SCORES, SCORES, DEFECTIVE, texts),
        plots.histogram_figure(groups, 1.3, texts),
        plots.training_figure([2.0, 1.0], [2.0, 1.0], 2, texts),
        plots.confusion_figure([[1]], ["@类"], texts),
    ):
        shown |= {
            text.strip() for text in ElementTree.fromstring(plots.to_svg(figure, "")).itertext()
        }
    lettered = {text for text in shown if any(letter.isalpha() for letter in text)}
    assert all(text.startswith("@") for text in lettered), lettered
    assert {text.split()[0] for text in lettered} == {f"@{key}" for key in texts} | {"@类"}
    assert {"@test_normal 2", "@threshold 1.30", "@best_epoch 2"} <= shown


def test_training_curves_mark_the_best_epoch() -> None:
    figure = plots.training_figure([3.0, 2.0, 1.5], [3.1, 1.9, 2.2], 2)
    loss, held_out, best = drawn(figure).lines
    assert list(loss.get_ydata()) == [3.0, 2.0, 1.5]
    assert list(held_out.get_xdata()) == [1, 2, 3]
    assert (list(best.get_xdata()), list(best.get_ydata())) == ([2], [1.9])
    for none in (7, None):
        assert len(plots.training_figure([1.0, 0.9], [], none).axes[0].lines) == 1


def test_the_confusion_matrix_shows_counts_where_they_are() -> None:
    figure = plots.confusion_figure([[5, 0], [1, 4]], ["a_b", "c"])
    described = {text.get_position(): text.get_text() for text in drawn(figure).texts}
    assert described == {(0, 0): "5", (0, 1): "1", (1, 1): "4"}
    assert [label.get_text() for label in drawn(figure).get_yticklabels()] == ["a b", "c"]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.roc_figure([1.0, 2.0], None, [True, True]),
        lambda: plots.histogram_figure({"normal": []}),
        lambda: plots.histogram_figure({"stolen": [1.0]}),
        lambda: plots.training_figure([], [], None),
        lambda: plots.confusion_figure([[1, 2]], ["a"]),
    ],
)
def test_nothing_to_draw_is_an_error(draw) -> None:
    with pytest.raises(ValueError, match="needs"):
        draw()


def test_an_svg_depends_on_the_numbers_and_takes_the_page_s_colours() -> None:
    one, two = (
        plots.to_svg(plots.training_figure([3.0, end], [], 1), 'Loss of <x> & "y"')
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
    assert plots._INK not in one and plots._LINE not in one
    assert "Epoch" in "".join(root.itertext())
