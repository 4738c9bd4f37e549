"""What a threshold costs is counted as verdicts are given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from defect.detectors.thresholds import (
    Cost,
    cost,
    drawn_defects,
    false_alarm_bound,
    normal_limit,
    presets,
    stored_scores,
)
from tests.factories import make_metadata

METADATA = make_metadata(
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
    ("threshold", "stopped", "caught"),
    [(0.3, 5, 3), (0.4, 5, 3), (0.41, 4, 3), (1.0, 1, 2), (1.0001, 0, 1), (8.0, 0, 0)],
)
def test_a_score_that_reaches_the_threshold_is_stopped(
    threshold: float, stopped: int, caught: int
) -> None:
    assert cost(METADATA, threshold) == Cost(threshold, 3, 2, stopped, 3, caught)


@pytest.mark.parametrize("test", [{}, {"scores": None}, {"scores": {}}, {"image": {}}])
def test_without_test_scores_only_good_parts_are_counted(test: dict[str, Any]) -> None:
    old = replace(METADATA, test=test)
    assert cost(old, 0.6) == Cost(0.6, 3, 0, 2, 0, 0)


def test_without_any_score_nothing_is_counted() -> None:
    bare = replace(METADATA, test={}, calibration={})
    assert stored_scores(bare).held_out == ()
    assert cost(bare, 1.0) == Cost(1.0, 0, 0, 0, 0, 0)


def test_presets_come_from_held_out_good_parts_alone() -> None:
    scores = np.random.default_rng(5).lognormal(-0.5, 0.2, 5000)
    scores = scores / normal_limit(scores)
    many = replace(METADATA, calibration={"normal_scores": scores.tolist()})
    found = presets(many)
    assert found is not None
    assert found.most_found < found.balanced == 1.0 < found.few_alarms
    fresh = np.random.default_rng(6).lognormal(-0.5, 0.2, 100_000)
    fresh /= np.exp(-0.5 + 0.2 * 2.326)  # the 99th percentile of those scores
    for threshold, share in ((found.few_alarms, 0.001), (1.0, 0.01), (found.most_found, 0.1)):
        assert (fresh >= threshold).mean() == pytest.approx(share, rel=0.35)
    assert presets(replace(many, test={})) == found


def test_without_held_out_scores_there_are_no_presets() -> None:
    assert presets(replace(METADATA, calibration={})) is None


def test_the_bound_on_false_alarms_is_what_a_binomial_allows() -> None:
    for good, share in ((29, 0.10), (59, 0.05), (149, 0.02), (299, 0.01)):
        assert share * 0.95 < false_alarm_bound(0, good) <= share
    bound = false_alarm_bound(3, 40)
    assert stats.binom.cdf(3, 40, bound) == pytest.approx(0.05)
    assert false_alarm_bound(4, 4) == 1.0


def test_drawn_defects_are_summed_over_their_kinds() -> None:
    header = make_metadata(calibration={"known_sensitivity": {"spot": [2, 4], "stain": [3, 4]}})
    assert drawn_defects(header) == (5, 8)
    assert drawn_defects(METADATA) == (0, 0)
