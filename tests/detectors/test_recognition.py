"""Which product a photo shows, among two drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defect.detectors.recognition import Recogniser
from defect.training.memory import teach_and_save
from defect.weights.errors import NotAvailable
from tests.factories import good_photos, write_extractor, write_photos


def test_a_product_is_recognised_by_what_its_photos_look_like(tmp_path: Path) -> None:
    weights = write_extractor(tmp_path / "weights")
    with pytest.raises(NotAvailable, match="no memories"):
        Recogniser(weights)
    discs = good_photos(4, 0)
    noise = np.random.default_rng(0).integers(-20, 20, discs.shape)
    pattern = np.where(np.arange(256)[:, None, None] // 8 % 2, 200, 40)
    stripes = (pattern + noise).astype(np.uint8)
    for name, photos in (("disc", discs), ("stripes", stripes)):
        write_photos(tmp_path / f"data/{name}/train/good", photos[:3])
        teach_and_save(name, tmp_path / "data", weights)
    found = Recogniser(weights)([discs[3], stripes[3]])
    assert [(one.category, one.sure) for one in found] == [("disc", True), ("stripes", True)]
