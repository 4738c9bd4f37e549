"""What a threshold costs is counted as verdicts are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from defect.threshold_cost import Cost, cost, stored_scores
from defect.ui.words import threshold_cost
from defect.weights import Metadata, Training

TRAINING = Training(1, 1, 1, 0.1, 1, 0, "cpu", "float32", "none", 1, 1, 1.0)
METADATA = Metadata(
    "cae",
    "bottle",
    "MVTec AD",
    "",
    TRAINING,
    calibration={"normal_scores": [0.4, 0.6, 0.8]},
    test={
        "scores": {
            "calibrated": [0.5, 1.0, 0.9, 1.0, 7.0],
            "thesis": [0.0] * 5,
            "kind": ["good", "good", "crack", "crack", "chip"],
        }
    },
)


@pytest.mark.parametrize(
    ("limit", "stopped", "caught"),
    [(0.3, 5, 3), (0.4, 5, 3), (0.41, 4, 3), (1.0, 1, 2), (1.0001, 0, 1), (8.0, 0, 0)],
)
def test_a_score_that_reaches_the_limit_is_stopped(limit: float, stopped: int, caught: int) -> None:
    assert cost(METADATA, limit) == Cost(limit, 3, 2, stopped, 3, caught)


@pytest.mark.parametrize("test", [{}, {"scores": None}, {"scores": {}}, {"image": {}}])
def test_without_test_scores_only_good_parts_are_counted(test: dict[str, Any]) -> None:
    old = replace(METADATA, test=test)
    assert cost(old, 0.6) == Cost(0.6, 3, 0, 2, 0, 0)
    assert threshold_cost(cost(old, 0.6)) == (
        "At this limit about 67 of 100 good parts are stopped (counted on 3 held-out photos of "
        "good parts)."
    )


def test_without_any_score_nothing_is_said() -> None:
    bare = replace(METADATA, test={}, calibration={})
    assert stored_scores(bare).held_out == ()
    assert threshold_cost(cost(bare, 1.0)) == ""


def test_the_sentence_says_what_it_was_counted_on() -> None:
    assert threshold_cost(Cost(1.0, 42, 20, 1, 63, 57)) == (
        "At this limit about 2 of 100 good parts are stopped and about 90 of 100 known defects are "
        "caught (counted on 42 held-out and 20 test photos of good parts and 63 of defective ones)."
    )


@pytest.mark.parametrize(
    ("stopped", "caught", "words"),
    [
        (0, 300, "none of the 300 good parts are stopped and all 300 known defects are caught"),
        (1, 299, "about 1 of 100 good parts are stopped and about 99 of 100 known defects"),
        (300, 0, "all 300 good parts are stopped and none of the 300 known defects are caught"),
    ],
)
def test_few_are_never_rounded_to_none_nor_most_to_all(
    stopped: int, caught: int, words: str
) -> None:
    assert words in threshold_cost(Cost(1.0, 100, 200, stopped, 300, caught))
