"""The figures: small cases by hand, scikit-learn, and a brute-force AUPRO as references."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as reference

from defect.evaluation.metrics import (
    Metric,
    classification_metrics,
    image_metrics,
    to_json,
)


def _photos(
    seed: int, count: int = 150, decimals: int | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    draw = np.random.default_rng(seed)
    labels = draw.random(count) < 0.6
    scores = draw.normal(1.0, 0.5, count) + 0.4 * labels
    kinds = [str(draw.choice(["crack", "cut"])) if label else "good" for label in labels]
    return (scores if decimals is None else scores.round(decimals)), labels, kinds


# Photos


def test_photos_by_hand() -> None:
    found = image_metrics(
        [0.2, 0.6, 1.0, 0.6, 1.0, 3.0],
        [False, False, False, True, True, True],
        ["good", "good", "good", "cut", "cut", "hole"],
    )
    # Pairs in order: 1.5 for 0.6, 2.5 for 1.0 and 3 for 3.0, out of 9.
    assert found.auroc.value == pytest.approx(7 / 9)
    # Steps of recall 1/3 at precisions 1/1, 2/3 and 3/5.
    assert found.average_precision.value == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    # All three found with two false alarms: 6 / (6 + 2); at 1.0 it is 4 / (4 + 1 + 1).
    assert found.f1_max.value == pytest.approx(0.75)
    assert found.f1_max_threshold == 0.6
    assert (found.normal, found.defective, found.threshold) == (3, 3, 1.0)
    # At 1.0: two hits, one false alarm, one miss.
    at_default = (found.precision.value, found.recall.value, found.f1.value)
    assert at_default == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # 1.0 is defective at the threshold 1.0.
    assert found.false_alarm_rate == pytest.approx(1 / 3)
    assert found.detection_rate == pytest.approx(2 / 3)
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.per_kind == {"cut": 0.5, "hole": 1.0}
    assert found.per_kind_auroc == pytest.approx({"cut": 4 / 6, "hole": 1.0})


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(4))
def test_photos_agree_with_sklearn(seed: int, decimals: int | None) -> None:
    scores, labels, kinds = _photos(seed, decimals=decimals)
    found = image_metrics(scores, labels, kinds, resamples=10)
    assert found.auroc.value == pytest.approx(reference.roc_auc_score(labels, scores))
    expected = reference.average_precision_score(labels, scores)
    assert found.average_precision.value == pytest.approx(expected)
    f1 = {t: reference.f1_score(labels, scores >= t) for t in np.unique(scores)}
    assert found.f1_max.value == pytest.approx(max(f1.values()))
    assert f1[found.f1_max_threshold] == pytest.approx(max(f1.values()))
    for kind in ("crack", "cut"):
        chosen = [k in ("good", kind) for k in kinds]
        expected = reference.roc_auc_score(labels[chosen], scores[chosen])
        assert found.per_kind_auroc[kind] == pytest.approx(expected)


@pytest.mark.parametrize("threshold", [0.4, 1.0, 1.7])
def test_the_threshold_s_figures_agree_with_sklearn_and_a_bootstrap(threshold: float) -> None:
    scores, labels, kinds = _photos(3)
    found = image_metrics(scores, labels, kinds, threshold, resamples=4000)
    called = scores >= threshold
    draw = np.random.default_rng(5)
    for metric, measure in (
        (found.precision, reference.precision_score),
        (found.recall, reference.recall_score),
        (found.f1, reference.f1_score),
    ):
        assert metric.value == pytest.approx(measure(labels, called))
        drawn = []
        for _ in range(300):
            groups = (np.flatnonzero(~labels), np.flatnonzero(labels))
            chosen = np.concatenate([draw.choice(group, len(group)) for group in groups])
            drawn.append(measure(labels[chosen], called[chosen]))
        expected = tuple(np.percentile(drawn, [2.5, 97.5]))
        assert (metric.low, metric.high) == pytest.approx(expected, abs=0.03)
    assert found.recall.value == found.detection_rate


def test_no_precision_where_nothing_reaches_the_threshold() -> None:
    found = image_metrics([0.1, 0.2, 0.3], [0, 1, 1], ["good", "cut", "cut"])
    assert found.precision == Metric(None, None, None, "no photo reaches the threshold")
    assert (found.recall, found.f1) == (Metric(0.0, 0.0, 0.0), Metric(0.0, 0.0, 0.0))


def test_the_highest_of_equally_good_thresholds_is_named() -> None:
    found = image_metrics(
        [0.0, 0.0, 1.0, 2.0, 2.0], [0, 0, 1, 0, 1], ["good"] * 2 + ["a", "good", "a"]
    )
    # F1 at 2 is 1/2, at 1 is 4/5, at 0 is 4/7.
    assert (found.f1_max.value, found.f1_max_threshold) == (pytest.approx(0.8), 1.0)
    tied = image_metrics([3.0, 2.0, 1.0, 0.0], [1, 0, 0, 1], ["a", "good", "good", "a"])
    # Both 3 and 0 reach 2/3.
    assert (tied.f1_max.value, tied.f1_max_threshold) == (pytest.approx(2 / 3), 3.0)


@pytest.mark.parametrize("count", [8, 40, 150])
@pytest.mark.parametrize("seed", range(5))
def test_interval_holds_the_value(seed: int, count: int) -> None:
    found = image_metrics(*_photos(seed, count, decimals=1))
    for metric in (found.auroc, found.average_precision, found.f1_max):
        assert metric.value is not None and metric.low is not None and metric.high is not None
        assert 0 <= metric.low <= metric.value <= metric.high <= 1
        assert metric.reason == ""
        assert metric.low < metric.high or count == 8


def test_interval_is_repeatable_by_seed() -> None:
    photos = _photos(0)
    assert image_metrics(*photos, seed=3) == image_metrics(*photos, seed=3)
    assert image_metrics(*photos, seed=3).auroc != image_metrics(*photos, seed=4).auroc


def test_interval_agrees_with_a_bootstrap_photo_by_photo() -> None:
    scores, labels, kinds = _photos(1)
    found = image_metrics(scores, labels, kinds, resamples=4000)
    draw = np.random.default_rng(9)
    areas, precisions = [], []
    for _ in range(1000):
        groups = (np.flatnonzero(~labels), np.flatnonzero(labels))
        rows = np.concatenate([draw.choice(group, len(group)) for group in groups])
        areas.append(reference.roc_auc_score(labels[rows], scores[rows]))
        precisions.append(reference.average_precision_score(labels[rows], scores[rows]))
    for metric, drawn in ((found.auroc, areas), (found.average_precision, precisions)):
        expected = np.percentile(drawn, [2.5, 97.5])
        assert (metric.low, metric.high) == pytest.approx(tuple(expected), abs=0.02)


def test_separated_photos_are_perfect() -> None:
    found = image_metrics([0.1, 0.2, 2.0, 3.0], [0, 0, 1, 1], ["good", "good", "cut", "cut"])
    perfect = Metric(1.0, 1.0, 1.0)
    assert (found.auroc, found.average_precision, found.f1_max) == (perfect, perfect, perfect)
    assert found.f1_max_threshold == 2.0


def test_only_normal_photos() -> None:
    found = image_metrics([0.5, 1.5], [False, False], ["good", "good"])
    ranked = (found.auroc, found.average_precision, found.f1_max)
    for metric in (*ranked, found.precision, found.recall, found.f1):
        assert metric == Metric(None, None, None, "only one class in the test set")
    assert found.f1_max_threshold is None
    assert (found.false_alarm_rate, found.detection_rate, found.accuracy) == (0.5, None, 0.5)
    assert (found.per_kind, found.per_kind_auroc) == ({}, {})


def test_only_defective_photos() -> None:
    found = image_metrics([0.5, 1.5], [True, True], ["cut", "hole"])
    assert found.auroc == Metric(None, None, None, "only one class in the test set")
    assert (found.false_alarm_rate, found.detection_rate, found.accuracy) == (None, 0.5, 0.5)
    assert (found.per_kind, found.per_kind_auroc) == ({"cut": 0.0, "hole": 1.0}, {})


@pytest.mark.parametrize(
    ("scores", "labels", "kinds", "options", "message"),
    [
        ([], [], [], {}, "at least one"),
        ([[0.1]], [[True]], [["cut"]], {}, "list"),
        ([0.1, 0.2], [True], ["cut"], {}, "length"),
        ([0.1, 0.2], [True, False], ["cut"], {}, "length"),
        ([float("nan")], [True], ["cut"], {}, "finite"),
        ([float("inf")], [True], ["cut"], {}, "finite"),
        ([0.1], [True], ["cut"], {"threshold": float("nan")}, "finite"),
        ([0.1], [True], ["good"], {}, "contradict"),
        ([0.1], [False], ["cut"], {}, "contradict"),
        ([0.1], [True], ["cut"], {"resamples": 0}, "resample"),
    ],
)
def test_photo_input_errors(
    scores: Any, labels: Any, kinds: list[str], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        image_metrics(scores, labels, kinds, **options)
    assert str(caught.value).endswith(".")


# Classes


def test_classes_by_hand() -> None:
    found = classification_metrics(
        ["a", "a", "b", "b", "a"], ["a", "a", "a", "b", "b"], ("a", "b", "c")
    )
    assert found.confusion == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert (found.accuracy, found.count) == (0.6, 5)
    assert found.per_class["a"].precision == pytest.approx(2 / 3)
    assert found.per_class["b"].f1 == pytest.approx(0.5)
    assert [found.per_class[name].count for name in "abc"] == [3, 2, 0]
    c = found.per_class["c"]
    assert (c.precision, c.recall, c.f1) == (0.0, 0.0, 0.0)
    assert found.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)


def test_classes_agree_with_sklearn_by_name_and_by_position() -> None:
    draw = np.random.default_rng(0)
    classes = ("crazing", "inclusion", "patches", "scratches")
    truth, predicted = draw.integers(4, size=80), draw.integers(3, size=80)
    named = ([classes[i] for i in predicted], [classes[i] for i in truth])
    found = classification_metrics(*named, classes)
    assert found == classification_metrics(predicted.tolist(), truth.tolist(), classes)
    expected = reference.precision_recall_fscore_support(
        named[1], named[0], labels=classes, zero_division=0.0
    )
    rows = [(c.precision, c.recall, c.f1, c.count) for c in found.per_class.values()]
    assert np.allclose(rows, np.transpose(expected))
    assert found.confusion == reference.confusion_matrix(truth, predicted).tolist()
    assert found.macro_f1 == pytest.approx(np.mean(expected[2]))


@pytest.mark.parametrize(
    ("predicted", "truth", "classes", "message"),
    [
        ([], [], ["a"], "at least one"),
        (["a"], ["a", "a"], ["a"], "length"),
        (["x"], ["a"], ["a"], "x"),
        ([1], [0], ["a"], "1"),
        (["a"], ["a"], ["a", "a"], "twice"),
    ],
)
def test_class_input_errors(predicted: Any, truth: Any, classes: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        classification_metrics(predicted, truth, classes)


# JSON


def test_photos_as_json_hold_every_field() -> None:
    for found in (
        image_metrics(*_photos(0)),
        image_metrics([0.5], [False], ["good"]),
        image_metrics([0.1, 0.2, 2.0], [0, 0, 1], ["good", "good", "cut"]),
        image_metrics([0.1, 0.2], [0, 1], ["good", "cut"]),
    ):
        data = json.loads(json.dumps(to_json(found), allow_nan=False))
        assert data == to_json(found)
        assert data.keys() == asdict(found).keys()
        assert data["auroc"]["value"] == pytest.approx(found.auroc.value, abs=1e-6)
        assert data["precision"]["reason"] == found.precision.reason
        assert data["per_kind"] == pytest.approx(found.per_kind, abs=1e-6)
        assert (data["normal"], data["defective"]) == (found.normal, found.defective)


def test_json_is_rounded_and_free_of_nan() -> None:
    assert to_json(Metric(1 / 3, float("nan"), float("inf"))) == {
        "value": 0.333333,
        "low": None,
        "high": None,
        "reason": "",
    }
    data = to_json(classification_metrics(["a", "b", "a"], ["a", "a", "a"], ["a", "b"]))
    assert data["accuracy"] == 0.666667
    assert data["per_class"]["a"] == {"precision": 1.0, "recall": 0.666667, "f1": 0.8, "count": 3}
    assert data["confusion"] == [[2, 1], [0, 0]]
