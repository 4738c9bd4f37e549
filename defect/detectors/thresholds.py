"""Where the normal limit comes from, and what a threshold costs.

The normal limit is set from the scores of good photos alone. The cost of a threshold (good parts
stopped, known defects found) is counted on the scores in a weights file's header; no network runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import stats

from defect.weights.files import Metadata

GOOD = "good"
NORMAL_QUANTILE = 0.99
PRIOR_SPREAD, PRIOR_PHOTOS = 0.15, 10
"""Standard deviation of a product's log scores expected beforehand, and how many photos it counts
as."""
LEAST_SPREAD = 0.08
"""A set of photos taken at one time says little about those of another day."""


def normal_limit(normal: Iterable[float], quantile: float = NORMAL_QUANTILE) -> float:
    """The score that 99 of 100 (or `quantile`) further normal photos stay under.

    The larger of that percentile and the upper prediction bound of a log-normal fitted to the
    scores: the percentile of thirty photos is only their maximum, which one in thirty exceeds.
    """
    values = np.asarray(list(normal), np.float64)
    logs = np.log(np.maximum(values, 1e-12))
    n = len(values)
    t = float(stats.t.ppf(quantile, max(n - 1, 1)))
    bound = logs.mean() + t * logs.std(ddof=min(1, n - 1)) * math.sqrt(1 + 1 / n)
    return max(float(np.quantile(values, quantile)), math.exp(bound))


def centre_and_spread(scores: np.ndarray) -> tuple[float, float]:
    """Median of the log scores and their robust standard deviation.

    The larger of the median absolute deviation and what the upper quartile shows: scores of good
    photos lean to the right, and up to a quarter of odd photos does not count.
    """
    logs = np.log(np.maximum(np.asarray(scores, np.float64), 1e-9))
    middle = float(np.median(logs))
    around = 1.4826 * float(np.median(np.abs(logs - middle)))
    above = 1.4826 * (float(np.quantile(logs, 0.75)) - middle)
    return middle, max(around, above, LEAST_SPREAD)


def robust_limit(scores: np.ndarray, quantile: float = NORMAL_QUANTILE) -> float:
    """The score that 99 of 100 further good photos stay under, where some of these may be outliers:
    the upper prediction bound of a log-normal with robust location and spread.

    Args:
        scores: N leave-one-out scores of good photos, > 0.

    Raises:
        ValueError: no score, or one that is not a finite number.
    """
    values = np.asarray(scores, np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("a limit needs at least one finite score")
    n = len(values)
    middle, spread = centre_and_spread(values)
    pooled = math.sqrt(
        (PRIOR_PHOTOS * PRIOR_SPREAD**2 + (n - 1) * spread**2) / (PRIOR_PHOTOS + n - 1)
    )
    t = float(stats.t.ppf(quantile, PRIOR_PHOTOS + n - 1))
    return math.exp(middle + t * pooled * math.sqrt(1 + 1 / n))


def false_alarm_bound(stopped: int, good: int, confidence: float = 0.95) -> float:
    """The share of good photos that a threshold stops at most, with this confidence, when it has
    stopped so many of so many (Clopper & Pearson 1934). None of 59 give 5 %, none of 299 give 1 %.
    """
    if stopped >= good:
        return 1.0
    return float(stats.beta.ppf(confidence, stopped + 1, good - stopped))


@lru_cache(maxsize=64)
def false_alarm_percents(good: int) -> tuple[int, ...]:
    """`false_alarm_bound` in whole per cent, rounded up, of 0, 1, 2 … of so many stopped."""
    return tuple(math.ceil(100 * false_alarm_bound(stopped, good)) for stopped in range(good + 1))


@dataclass(frozen=True)
class Scores:
    """The stored calibrated scores, in multiples of the normal limit."""

    held_out: tuple[float, ...]
    """Of good photos kept from training; the normal limit was set on them."""
    good: tuple[float, ...]
    """Of good test photos."""
    defective: tuple[float, ...]
    """Of defective test photos."""


@dataclass(frozen=True)
class Cost:
    """Counts at one threshold; a photo is stopped exactly when its score reaches it."""

    threshold: float
    """In multiples of the normal limit."""
    held_out: int
    """Good photos kept from training."""
    good: int
    """Good test photos."""
    stopped: int
    """How many of these two together the threshold stops."""
    defective: int
    """Defective test photos; 0 where no scores of them were stored."""
    caught: int
    """How many of them the threshold stops."""
    drawn: tuple[int, int] = (0, 0)
    """`drawn_defects` of the detector."""


def stored_scores(metadata: Metadata) -> Scores:
    """The scores a header holds; empty where it was written before scores were stored."""
    test = metadata.test.get("scores") or {}
    pairs = list(zip(_list(test.get("calibrated")), _list(test.get("kind")), strict=False))
    return Scores(
        held_out=tuple(_list(metadata.calibration.get("normal_scores"))),
        good=tuple(score for score, kind in pairs if kind == GOOD),
        defective=tuple(score for score, kind in pairs if kind != GOOD),
    )


def cost(metadata: Metadata, threshold: float) -> Cost:
    """What a threshold, in multiples of the normal limit, costs on the stored scores."""
    scores = stored_scores(metadata)
    return Cost(
        threshold=threshold,
        held_out=len(scores.held_out),
        good=len(scores.good),
        stopped=_reaching(scores.held_out + scores.good, threshold),
        defective=len(scores.defective),
        caught=_reaching(scores.defective, threshold),
        drawn=drawn_defects(metadata),
    )


@dataclass(frozen=True)
class Presets:
    """Thresholds by how many good parts they are expected to stop; a defect played no part."""

    few_alarms: float
    """About 1 good part in 1000 is stopped."""
    balanced: float
    """About 1 in 100: the normal limit itself."""
    most_found: float
    """About 1 in 10."""


def presets(metadata: Metadata) -> Presets | None:
    """Multiples of the normal limit, in steps of 0.01; `None` where no held-out scores are stored.

    Each is `normal_limit` of the held-out normal scores, as the normal limit itself is, for
    999, 990 and 900 of 1000 normal photos.
    """
    held_out = stored_scores(metadata).held_out
    if len(held_out) < 2:
        return None
    few, most = (round(normal_limit(held_out, share), 2) for share in (0.999, 0.9))
    return Presets(max(few, 1.0), 1.0, max(min(most, 1.0), 0.01))


def _reaching(scores: Sequence[float], threshold: float) -> int:
    return sum(score >= threshold for score in scores)


def drawn_defects(metadata: Metadata) -> tuple[int, int]:
    """Of the synthetic anomalies drawn while a memory was taught: found at 1.0, and in all."""
    by_kind = metadata.calibration.get("known_sensitivity")
    counts = by_kind.values() if isinstance(by_kind, dict) else ()
    return sum(found for found, _ in counts), sum(drawn for _, drawn in counts)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
