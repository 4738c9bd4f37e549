"""Which product a photo shows, among two drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defect.detectors.recognition import Recogniser
from defect.training.memory import teach_and_save
from defect.weights.errors import NotAvailable
from tests.factories import good_photos, write_extractor


def test_a_product_is_recognised_by_what_its_photos_look_like(tmp_path: Path) -> None:
    write_extractor(tmp_path)
    with pytest.raises(NotAvailable, match="no memories"):
        Recogniser(tmp_path)
    discs = good_photos(6, 0)
    stripes = np.where(np.arange(256)[:, None, None] // 8 % 2, 200, 40) + 0 * discs
    teach_and_save("disc", Path(), tmp_path, images=discs[:3])
    teach_and_save("stripes", Path(), tmp_path, images=stripes[:3].astype(np.uint8))
    found = Recogniser(tmp_path)([discs[4], stripes[5].astype(np.uint8)])
    assert [(one.category, one.sure) for one in found] == [("disc", True), ("stripes", True)]
