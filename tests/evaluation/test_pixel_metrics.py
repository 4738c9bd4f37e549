"""The pixel figures: small maps by hand, scikit-learn, and a brute-force AUPRO as references."""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as reference

from defect.evaluation.metrics import pixel_metrics, to_json


def _blobs(seed: int, decimals: int | None = 1) -> tuple[np.ndarray, np.ndarray]:
    """Small maps with ties and some 8-connected regions; the first photo is normal."""
    draw, shape = np.random.default_rng(seed), (6, 16, 16)
    masks = draw.random(shape) < 0.08
    masks[0] = False
    maps = draw.normal(0.5, 0.3, shape) + 0.4 * masks
    return (maps if decimals is None else maps.round(decimals)).astype(np.float32), masks


def _aupro_by_brute_force(maps: np.ndarray, masks: np.ndarray, limit: float = 0.3) -> float:
    """Every distinct threshold, one region at a time, then the trapezoid rule."""
    regions = []
    for i, mask in enumerate(masks):
        labelled, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [maps[i][labelled == k + 1] for k in range(count)]
    normal = maps[~masks]
    points: list[tuple[float, float]] = [(0.0, 0.0)]
    for t in np.unique(maps)[::-1]:
        overlap = float(np.mean([(r >= t).mean() for r in regions]))
        points.append((float((normal >= t).mean()), overlap))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        if x0 >= limit:
            break
        if x1 > limit:
            y1 = y0 + (y1 - y0) * (limit - x0) / (x1 - x0)
            x1 = limit
        area += (x1 - x0) * (y0 + y1) / 2
    return area / limit


@pytest.mark.parametrize("decimals", [None, 1, 0])
@pytest.mark.parametrize("seed", range(4))
def test_pixels_agree_with_references(seed: int, decimals: int | None) -> None:
    maps, masks = _blobs(seed, decimals=decimals)
    found = pixel_metrics(maps, masks, np.ones(len(maps), bool))
    flat, truth = maps.ravel(), masks.ravel()
    assert found.auroc == pytest.approx(reference.roc_auc_score(truth, flat))
    assert found.average_precision == pytest.approx(reference.average_precision_score(truth, flat))
    assert found.iou == pytest.approx(reference.jaccard_score(truth, flat >= 1.0))
    assert found.dice == pytest.approx(reference.f1_score(truth, flat >= 1.0))
    assert found.aupro == pytest.approx(_aupro_by_brute_force(maps, masks), abs=1e-9)
    assert (found.images, found.skipped, found.reason) == (6, 0, "")


def test_pixels_by_hand() -> None:
    # Two regions, of one pixel (score 3) and of two touching at a corner only (2 and 0).
    mask = np.array([[1, 0, 0, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], bool)
    scores = np.full((4, 5), -1.0, np.float32)
    scores[0, 0], scores[1, 3], scores[2, 4] = 3, 2, 0
    scores[3] = [2.5, 1.5, 1.0, 1.0, 0.5]
    found = pixel_metrics(scores[None], mask[None], [True])
    # 17 normal pixels; 0, 1 and 5 of them lie above the three defective ones.
    assert found.auroc == pytest.approx(1 - (0 + 1 + 5) / (3 * 17))
    assert found.average_precision == pytest.approx((1 + 2 / 3 + 3 / 8) / 3)
    assert found.iou == pytest.approx(2 / 7)
    assert found.dice == pytest.approx(2 * 2 / (3 + 6))
    # Overlap 1/2 up to rate 1/17, 3/4 up to 5/17, then 1 up to 0.3.
    area = 1 / 17 * 0.5 + 4 / 17 * 0.75 + (0.3 - 5 / 17) * 1
    assert found.aupro == pytest.approx(area / 0.3)


def test_perfect_map() -> None:
    _, masks = _blobs(0)
    found = pixel_metrics(2 * masks.astype(np.float32), masks, [True] * 6)
    for value in (found.auroc, found.average_precision, found.aupro, found.iou, found.dice):
        assert value == pytest.approx(1.0)
        assert value is not None and value <= 1


def test_maps_that_know_nothing() -> None:
    draw = np.random.default_rng(0)
    masks = np.zeros((8, 64, 64), bool)
    masks[:, 10:30, 20:40] = True
    everywhere = [True] * 8
    random = pixel_metrics(draw.random(masks.shape, np.float32), masks, everywhere)
    assert (random.auroc, random.aupro) == pytest.approx((0.5, 0.15), abs=0.02)
    constant = pixel_metrics(np.ones(masks.shape, np.float32), masks, everywhere)
    assert (constant.auroc, constant.aupro) == pytest.approx((0.5, 0.15))
    assert constant.iou == pytest.approx(masks.mean())
    wrong = pixel_metrics(-masks.astype(np.float32), masks, everywhere)
    assert (wrong.auroc, wrong.aupro, wrong.iou, wrong.dice) == (0.0, 0.0, 0.0, 0.0)


def test_regions_count_alike_whatever_their_size() -> None:
    masks = np.zeros((2, 32, 32), bool)
    masks[0, :16], masks[1, 5, 5] = True, True
    maps = np.zeros(masks.shape, np.float32)
    maps[0, :16] = 1
    found = pixel_metrics(maps, masks, [True, True])
    # The large region is found at rate 0, the small one only along with everything else.
    assert found.aupro == pytest.approx(0.5 + 0.3 * 0.5 / 2)


def test_regions_do_not_join_across_photos() -> None:
    masks = np.zeros((2, 8, 8), bool)
    masks[:, 2:4, 2:4] = True
    masks[1, 2:7, 2:7] = True
    maps = np.zeros(masks.shape, np.float32)
    maps[0][masks[0]] = 1
    assert pixel_metrics(maps, masks, [True, True]).aupro == pytest.approx(0.5 + 0.3 * 0.5 / 2)


def test_photos_without_a_mask_are_left_out() -> None:
    maps, masks = _blobs(3)
    some = pixel_metrics(maps, masks, [True, True, False, True, True, False])
    assert (some.images, some.skipped) == (4, 2)
    chosen = [0, 1, 3, 4]
    alone = pixel_metrics(maps[chosen], masks[chosen], [True] * 4)
    assert (some.auroc, some.aupro, some.iou) == (alone.auroc, alone.aupro, alone.iou)


@pytest.mark.parametrize(
    ("marked", "known", "message"),
    [
        (False, True, "no defect pixel"),
        (True, True, "no normal pixel"),
        (True, False, "known mask"),
    ],
)
def test_pixels_of_one_kind_give_a_reason(marked: bool, known: bool, message: str) -> None:
    found = pixel_metrics(np.ones((2, 4, 4), np.float32), np.full((2, 4, 4), marked), [known] * 2)
    curves = (found.auroc, found.average_precision, found.aupro)
    assert (*curves, found.iou, found.dice) == (None,) * 5
    assert message in found.reason
    assert (found.images, found.skipped) == ((2, 0) if known else (0, 2))


def test_pixel_input_errors() -> None:
    maps, masks = np.zeros((2, 4, 4), np.float32), np.zeros((2, 4, 4), bool)
    for wrong_maps, wrong_masks, known, threshold, message in [
        (maps[:0], masks[:0], [], 1.0, "at least one"),
        (maps[0], masks[0], [True], 1.0, "at least one"),
        (maps, masks[:1], [True, True], 1.0, "fit"),
        (maps, masks, [True], 1.0, "fit"),
        (maps + np.float32("nan"), masks, [True, True], 1.0, "finite"),
        (maps, masks, [True, True], float("inf"), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            pixel_metrics(wrong_maps, wrong_masks, known, threshold)


def test_inputs_stay_as_they_are() -> None:
    maps, masks = _blobs(1)
    before = maps.copy(), masks.copy()
    pixel_metrics(maps, masks, [True] * 6)
    assert np.array_equal(maps, before[0])
    assert np.array_equal(masks, before[1])


def test_pixels_as_json_hold_every_field() -> None:
    maps, masks = _blobs(0)
    for used in (True, False):
        found = pixel_metrics(maps, masks, [used] * 6)
        data = json.loads(json.dumps(to_json(found), allow_nan=False))
        assert data.keys() == asdict(found).keys()
        assert data["aupro"] == pytest.approx(found.aupro, abs=1e-6)
        assert (data["images"], data["skipped"], data["reason"]) == (
            found.images,
            found.skipped,
            found.reason,
        )
