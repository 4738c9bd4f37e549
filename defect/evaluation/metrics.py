"""Metrics of photos, of pixels and of classes: arithmetic on arrays, no models.

A photo or pixel counts as defective exactly when `score >= threshold`. All values are fractions in
0..1. The standard metrics of photos are scikit-learn's; what needs a thousand resamples or millions
of pixels is computed here, with ties handled as there (the tests compare).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from sklearn import metrics as standard

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GOOD = "good"
ONE_CLASS = "only one class in the test set"
FPR_LIMIT = 0.3
"""AUPRO integrates up to this false-positive rate (Bergmann et al., IJCV 2021)."""


@dataclass(frozen=True)
class Metric:
    """A value with its 95 % bootstrap interval, or None in all three and the reason why."""

    value: float | None
    low: float | None
    high: float | None
    reason: str = ""


@dataclass(frozen=True)
class ImageMetrics:
    """Photo-level metrics.

    `f1_max` and `f1_max_threshold` (the highest score that reaches it) are chosen on the labels of
    the test set itself: an upper bound to report as such, never a threshold to work with.
    `precision`, `recall`, `f1`, the rates and `per_kind` (share detected of each defect kind) hold
    at `threshold`; a rate over no photos is None. `per_kind_auroc` compares each kind of defect
    with all normal photos, if any.
    """

    normal: int
    defective: int
    auroc: Metric
    average_precision: Metric
    f1_max: Metric
    f1_max_threshold: float | None
    precision: Metric
    recall: Metric
    f1: Metric
    threshold: float
    false_alarm_rate: float | None
    detection_rate: float | None
    accuracy: float | None
    per_kind: dict[str, float]
    per_kind_auroc: dict[str, float]


@dataclass(frozen=True)
class PixelMetrics:
    """Pixel-level metrics over the `images` photos with a known mask; `skipped` ones have none.

    `iou` and `dice` hold at the threshold. All five values are None, with a `reason`, where the
    masks do not contain both kinds of pixel.
    """

    images: int
    skipped: int
    auroc: float | None
    average_precision: float | None
    aupro: float | None
    iou: float | None
    dice: float | None
    reason: str = ""


@dataclass(frozen=True)
class ClassScores:
    """One class with `count` true photos; a ratio with an empty denominator is 0."""

    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Classification:
    """`confusion[i][j]`: photos of class i predicted as j. `macro_f1`: mean over all classes."""

    accuracy: float
    macro_f1: float
    per_class: dict[str, ClassScores]
    confusion: list[list[int]]
    count: int


def image_metrics(
    scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    kinds: Sequence[str],
    threshold: float = 1.0,
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> ImageMetrics:
    """Photo-level AUROC, average precision, best F1, and the metrics at the threshold.

    Intervals run from the 2.5 to the 97.5 percentile of a stratified bootstrap (Efron & Tibshirani
    1993): normal and defective photos are resampled separately. An interval that misses its value
    (best F1 rises under resampling) is widened to include it. Perfect separation always gives the
    interval 1..1.

    Args:
        scores: N finite numbers, higher is more defective.
        labels: N booleans, True is defective.
        kinds: N names, "good" for exactly the normal photos, else the kind of defect.
        threshold: a photo counts as defective exactly when `score >= threshold`.
        resamples: bootstrap draws, at least 1; `seed` makes them repeatable.

    Raises:
        ValueError: no photos, lengths that differ, a number that is not finite, or labels that
            contradict the kinds.
    """
    values, truth = np.asarray(scores, np.float64), np.asarray(labels, bool)
    names = np.asarray(kinds, object)
    _require(values.ndim == 1 and values.size > 0, "Scores must be a list of at least one number.")
    shapes = (values.shape, truth.shape, names.shape)
    _require(len(set(shapes)) == 1, f"Scores, labels and kinds differ in length: {shapes}.")
    _require(bool(np.isfinite(values).all()), "Scores must be finite numbers.")
    _require(math.isfinite(threshold), "The threshold must be a finite number.")
    _require(resamples >= 1, "The bootstrap needs at least one resample.")
    agree = bool(((names == GOOD) != truth).all())
    _require(agree, f'Labels contradict kinds: exactly the normal photos are of kind "{GOOD}".')

    flagged = values >= threshold
    defects = sorted(set(names[truth].tolist()))
    normal, defective = int((~truth).sum()), int(truth.sum())
    ranked = at_threshold = [Metric(None, None, None, ONE_CLASS)] * 3
    best_threshold, kind_auroc = None, {}
    if normal and defective:
        levels, where = np.unique(-values, return_inverse=True)
        good, bad = (np.bincount(where[m], minlength=levels.size) for m in (~truth, truth))
        f1_curve = 2 * bad.cumsum() / ((good + bad).cumsum() + defective)
        best = int(np.argmax(f1_curve))
        best_threshold = -float(levels[best])
        found = (
            standard.roc_auc_score(truth, values),
            standard.average_precision_score(truth, values),
            f1_curve[best],
        )
        scored = standard.precision_recall_fscore_support(
            truth, flagged, average="binary", zero_division=np.nan
        )
        # Drawing photos with replacement is drawing how many land on each distinct score.
        draw = np.random.default_rng(seed)
        drawn_good = draw.multinomial(normal, good / normal, size=resamples)
        drawn_bad = draw.multinomial(defective, bad / defective, size=resamples)
        ranked = _with_intervals(found, _ranking(drawn_good, drawn_bad))
        reached = -levels >= threshold
        drawn = _at_threshold(
            drawn_good[:, reached].sum(1), drawn_bad[:, reached].sum(1), defective
        )
        at_threshold = _with_intervals(scored[:3], drawn)
        for kind in defects:
            chosen = ~truth | (names == kind)
            kind_auroc[kind] = float(standard.roc_auc_score(truth[chosen], values[chosen]))
    auroc, average_precision, f1_max = ranked
    precision, recall, f1 = at_threshold
    return ImageMetrics(
        normal=normal,
        defective=defective,
        auroc=auroc,
        average_precision=average_precision,
        f1_max=f1_max,
        f1_max_threshold=best_threshold,
        precision=precision,
        recall=recall,
        f1=f1,
        threshold=float(threshold),
        false_alarm_rate=float(flagged[~truth].mean()) if normal else None,
        detection_rate=float(flagged[truth].mean()) if defective else None,
        accuracy=float((flagged == truth).mean()),
        per_kind={kind: float(flagged[names == kind].mean()) for kind in defects},
        per_kind_auroc=kind_auroc,
    )


def pixel_metrics(
    maps: npt.NDArray[np.floating[Any]], masks: Mask, known: npt.ArrayLike, threshold: float = 1.0
) -> PixelMetrics:
    """Pixel-level AUROC, average precision, AUPRO, IoU and Dice, exact, pooled over all photos.

    AUPRO (Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021) is the mean share
    detected of each 8-connected defect region, integrated over false-positive rates 0..0.3 and
    divided by 0.3: 1 is perfect, chance is 0.15. Include normal photos, with an empty mask.

    Args:
        maps: N×H×W finite numbers, higher is more defective.
        masks: N×H×W booleans, True is defective.
        known: N booleans; False where there is no mask, which excludes the photo.
        threshold: for IoU and Dice; a pixel is defective exactly when its value >= threshold.

    Raises:
        ValueError: no photos, shapes that differ, a value or threshold that is not finite.
    """
    maps, masks, used = np.asarray(maps), np.asarray(masks, bool), np.asarray(known, bool)
    _require(maps.ndim == 3 and maps.size > 0, "Maps must be N×H×W with at least one pixel.")
    shapes = (maps.shape, masks.shape, used.shape)
    fit = shapes[0] == shapes[1] and shapes[2] == maps.shape[:1]
    _require(fit, f"Maps, masks and known do not fit together: {shapes}.")
    _require(bool(np.isfinite(maps).all()), "Maps must hold finite numbers.")
    _require(math.isfinite(threshold), "The threshold must be a finite number.")
    images, skipped = int(used.sum()), int((~used).sum())
    if skipped:
        maps, masks = maps[used], masks[used]
    if not images or not masks.any() or masks.all():
        absent = "known mask" if not images else "normal pixel" if masks.any() else "defect pixel"
        reason = f"no {absent} in the test set"
        return PixelMetrics(images, skipped, None, None, None, None, None, reason)

    eight_within_a_photo = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])
    labelled, regions = ndimage.label(masks, structure=eight_within_a_photo)
    region, inside, outside = labelled[masks], maps[masks], maps[~masks]
    # The curves bend only at the levels of defective pixels, so one sort of each kind is exact.
    outside.sort()
    order = np.argsort(inside)[::-1]
    region, inside = region[order], inside[order]
    last = np.flatnonzero(np.append(inside[1:] != inside[:-1], True))
    hits, levels = last + 1, inside[last]
    fresh = np.diff(hits, prepend=0)
    alarms_above = outside.size - np.searchsorted(outside, levels, side="right")
    alarms = outside.size - np.searchsorted(outside, levels, side="left")
    overlap = (1 / np.bincount(region)[region] / regions).cumsum()[last]
    auroc = 1 - float(fresh @ (alarms + alarms_above)) / (2 * outside.size * inside.size)
    precision = float(fresh @ (hits / (hits + alarms))) / inside.size
    aupro = _aupro(alarms_above / outside.size, alarms / outside.size, overlap)
    hit, false = int((inside >= threshold).sum()), int((outside >= threshold).sum())
    iou = hit / (inside.size + false)
    dice = 2 * hit / (inside.size + hit + false)
    return PixelMetrics(images, skipped, auroc, precision, aupro, iou, dice)


def classification_metrics(
    predicted: Sequence[str | int], truth: Sequence[str | int], classes: Sequence[str]
) -> Classification:
    """Accuracy, macro F1, per-class scores and confusion of N predicted and N true classes.

    Each is a name in `classes` or its index there.

    Raises:
        ValueError: no photos, lengths that differ, an unknown class or one listed twice.
    """
    _require(len(truth) > 0, "There must be at least one classified photo.")
    sizes = (len(predicted), len(truth))
    _require(sizes[0] == sizes[1], f"Predicted and true classes differ in length: {sizes}.")
    _require(len(set(classes)) == len(classes), "A class is listed twice.")
    index: dict[str | int, int] = {key: i for i, c in enumerate(classes) for key in (i, c)}
    unknown = sorted({str(name) for name in (*predicted, *truth) if name not in index})
    _require(not unknown, f"Not among the classes: {', '.join(unknown)}.")
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, ([index[name] for name in truth], [index[name] for name in predicted]), 1)
    hits, predictions, count = np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)
    precision, recall = hits / np.maximum(predictions, 1), hits / np.maximum(count, 1)
    f1 = 2 * hits / np.maximum(predictions + count, 1)
    columns = (column.tolist() for column in (precision, recall, f1, count))
    per_class = dict(zip(classes, map(ClassScores, *columns), strict=True))
    accuracy, macro_f1 = float(hits.sum() / len(truth)), float(f1.mean())
    return Classification(accuracy, macro_f1, per_class, confusion.tolist(), len(truth))


def to_json(metrics: ImageMetrics | PixelMetrics | Classification | Metric) -> dict[str, Any]:
    """The fields as JSON values: floats rounded to 6 digits, None where not finite."""
    text = json.dumps(asdict(metrics))
    return json.loads(text, parse_float=lambda x: round(float(x), 6), parse_constant=lambda _: None)


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _ranking(good: Counts, bad: Counts) -> Floats:
    """AUROC, average precision and best F1 (3×B) from counts (B×K) at the K falling levels."""
    hits, alarms = bad.cumsum(axis=1), good.cumsum(axis=1)
    normal, defective = alarms[:, -1], hits[:, -1]
    auroc = (good * (hits - bad / 2)).sum(axis=1) / (normal * defective)
    # A resample may leave the highest levels empty; they add nothing, whatever the divisor.
    precision = (bad * hits / np.maximum(hits + alarms, 1)).sum(axis=1) / defective
    f1 = (2 * hits / (hits + alarms + defective[:, None])).max(axis=1)
    return np.stack([auroc, precision, f1])


def _at_threshold(alarms: Counts, hits: Counts, defective: int) -> Floats:
    """Precision, recall and F1 (3×B) at a threshold; precision is NaN without any positive."""
    flagged = alarms + hits
    precision = np.where(flagged > 0, hits / np.maximum(flagged, 1), np.nan)
    return np.stack([precision, hits / defective, 2 * hits / (flagged + defective)])


def _with_intervals(found: Sequence[float | None], drawn: Floats) -> list[Metric]:
    """A metric for each value, with the percentiles of its row of resamples (…×B, NaN ignored)."""
    metrics = []
    for value, row in zip(found, drawn, strict=True):
        if value is None or math.isnan(value):
            metrics.append(Metric(None, None, None, "no photo reaches the threshold"))
            continue
        low, high = np.nanpercentile(row, [2.5, 97.5]).tolist()
        metrics.append(Metric(float(value), min(low, float(value)), max(high, float(value))))
    return metrics


def _aupro(above: Floats, at: Floats, overlap: Floats) -> float:
    """Normalised area under the curve through falling levels: flat to `above`, then up to `at`."""
    before = np.append(0.0, overlap[:-1])
    rate = np.concatenate([[0.0], np.stack([above, at], axis=1).ravel(), [1.0]])
    height = np.concatenate([[0.0], np.stack([before, overlap], axis=1).ravel(), overlap[-1:]])
    below = rate <= FPR_LIMIT
    end = np.interp(FPR_LIMIT, rate, height)
    area = np.trapezoid(np.append(height[below], end), np.append(rate[below], FPR_LIMIT))
    return float(min(area / FPR_LIMIT, 1.0))
