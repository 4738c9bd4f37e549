"""A mask as regions: order, places, areas, peaks."""

from __future__ import annotations

import numpy as np
import pytest

from defect import load
from defect.inspection import Inspection, WeightsSource, place, regions
from tests.conftest import EXAMPLES


def inspection(anomaly_map: np.ndarray) -> Inspection:
    """An inspection of nothing but this map."""
    return Inspection(
        photo=np.zeros((60, 90, 3), np.uint8),
        name="part.png",
        notes=(),
        anomaly_map=anomaly_map.astype(np.float32),
        error_map=np.zeros((256, 256), np.float32),
        reconstruction=np.zeros((256, 256, 3), np.uint8),
        score=float(anomaly_map.max()),
        thesis_score=0.01,
        thesis_limit=0.02,
        model="cae",
        category="bottle",
        weights=WeightsSource("bundled", "cae/bottle.safetensors", "ab" * 32, 10),
    )


def test_the_largest_comes_first_and_says_where_it_is() -> None:
    anomaly_map = np.full((256, 256), 0.2)
    anomaly_map[220:230, 230:240] = 2.5
    anomaly_map[20:40, 10:40] = 1.2
    anomaly_map[30, 20] = 1.5
    large, small = regions(inspection(anomaly_map))
    assert (large.where, small.where) == ("upper left", "lower right")
    assert large.area == 600 / 65536
    assert large.peak == pytest.approx(1.5)
    assert large.box == (10 / 256, 20 / 256, 40 / 256, 40 / 256)
    assert (large.row, large.column) == (30 / 256, 25 / 256)
    assert small.peak == pytest.approx(2.5)
    assert [r.where for r in regions(inspection(anomaly_map).at(2))] == ["lower right"]
    assert regions(inspection(anomaly_map).at(2.6)) == []


def test_corners_touch_and_gaps_part() -> None:
    slanted = np.eye(256) * 1.3
    assert len(regions(inspection(slanted))) == 1
    slanted[100] = 0
    assert len(regions(inspection(slanted))) == 2


@pytest.mark.parametrize("limit", [0.3, 0.7, 1.0, 1.6, 3.0])
def test_regions_and_mask_agree_on_a_real_map(limit: float) -> None:
    seen = load("cae", "rendered_cap")(EXAMPLES / "rendered_cap/chip.jpg").at(limit)
    found = regions(seen)
    assert bool(found) == seen.defective
    assert sum(region.area for region in found) == pytest.approx(seen.mask.mean())
    assert max((region.peak for region in found), default=seen.score) == seen.score


def test_places_at_the_edges() -> None:
    assert place(0, 0) == "upper left"
    assert place(0.5, 0.5) == "centre"
    assert place(1, 1) == "lower right"
    assert place(0.2, 0.5) == "top"
    assert place(0.9, 0.5) == "bottom"
    assert (place(0.5, 0), place(0.5, 1)) == ("left", "right")
