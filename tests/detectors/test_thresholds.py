"""What a threshold costs is counted as verdicts are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from defect.detectors.scoring import normal_limit
from defect.detectors.thresholds import Cost, cost, presets, stored_scores
from defect.ui.cards import threshold_cost
from defect.weights.files import Metadata, Training

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


def test_presets_come_from_held_out_good_parts_alone() -> None:
    scores = np.random.default_rng(5).lognormal(-0.5, 0.2, 5000)
    scores = scores / normal_limit(scores)
    many = replace(METADATA, calibration={"normal_scores": scores.tolist()})
    found = presets(many)
    assert found is not None
    assert found.most_found < found.balanced == 1.0 < found.few_alarms
    fresh = np.random.default_rng(6).lognormal(-0.5, 0.2, 100_000)
    fresh /= np.exp(-0.5 + 0.2 * 2.326)  # the 99th percentile of those scores
    for limit, share in ((found.few_alarms, 0.001), (1.0, 0.01), (found.most_found, 0.1)):
        assert (fresh >= limit).mean() == pytest.approx(share, rel=0.35)
    assert presets(replace(many, test={})) == found


def test_without_held_out_scores_there_are_no_presets() -> None:
    assert presets(replace(METADATA, calibration={})) is None
