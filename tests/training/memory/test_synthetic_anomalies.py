"""Synthetic anomalies: visible, small, inside their masks, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from defect.training.memory.synthetic_anomalies import KINDS, VISIBLE, add_anomalies
from tests.factories import good_photos, textured_photos


@pytest.mark.parametrize("kind", ["part", "texture"])
def test_every_photo_gets_one_visible_small_anomaly(kind: str) -> None:
    photos = good_photos(14, 0) if kind == "part" else np.stack(textured_photos(14, 0))
    before = photos.copy()
    changed, masks, kinds = add_anomalies(photos, 3)
    assert np.array_equal(photos, before) and changed.shape == photos.shape
    assert len(kinds) == 14 and set(kinds) <= set(KINDS) and len(set(kinds)) >= 6
    for photo, other, mask in zip(photos, changed, masks, strict=True):
        difference = np.abs(photo.astype(int) - other).mean(2)
        assert 0 < mask.mean() < 0.06
        assert difference[mask].mean() >= 0.8 * VISIBLE
        assert difference[~mask].mean() < 0.1  # soft edges end under two grey levels


def test_the_seed_decides_everything() -> None:
    photos = good_photos(4, 0)
    one, same, other = (add_anomalies(photos, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_flat_photos_get_one_too() -> None:
    changed, masks, _ = add_anomalies(np.full((7, 64, 96, 3), 120, np.uint8), 0)
    assert masks.any((1, 2)).all() and (changed != 120).any((1, 2, 3)).all()
