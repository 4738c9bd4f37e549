"""What cannot be learnt from is refused while teaching, by name and with the reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defect import load, teach
from defect.inspection import Message
from tests.factories import good_photos, write_extractor, write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_extractor(tmp_path_factory.mktemp("weights"))


def flat(level: int) -> np.ndarray:
    return np.full((256, 256, 3), level, np.uint8)


@pytest.mark.parametrize(
    ("photos", "text"),
    [
        ([flat(0)], '"photo 1" shows nothing'),
        ([flat(0), flat(0), flat(0)], "shows nothing"),
        ([flat(255), flat(254)], "shows nothing"),
        ([flat(120), flat(90), flat(60)], "black, white or of one colour"),
        ([good_photos(1, 0)[0]] * 5, "All photos are the same"),
        ([good_photos(1, 0)[0][::16, ::16]], '"photo 1" is 16×16 pixels; .* at least 32'),
        ([np.zeros((256, 256), np.uint16)] * 3, "shows nothing"),
    ],
)
def test_photos_that_teach_nothing_are_refused(
    photos: list[np.ndarray], text: str, folder: Path
) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        teach([np.ascontiguousarray(photo) for photo in photos], "part", folder=folder)
    assert isinstance(caught.value.args[0], Message)


def test_some_among_good_ones_are_left_out_by_name(folder: Path, tmp_path: Path) -> None:
    photos = [*good_photos(6, 0), flat(0), np.ascontiguousarray(good_photos(1, 3)[0][:16, :16])]
    detector = teach(write_photos(tmp_path, photos), "part", folder=folder)
    report = detector.teaching
    assert report is not None and len(report.photos) == 6
    notes = " ".join(report.notes)
    assert '"part_6.png" shows nothing' in notes and '"part_7.png" is 16×16 pixels' in notes
    detector.save(tmp_path / "part.safetensors")
    again = load(tmp_path / "part.safetensors", folder=folder)
    scores = [inspection.score for inspection in again([*photos[:6], flat(0), flat(255)])]
    assert np.isfinite(scores).all() and max(scores) < 1e6
