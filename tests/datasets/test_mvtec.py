"""Folders → samples: the MVTec layout, the NEU split, masks at the networks' size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.datasets import mvtec, neu
from defect.datasets.samples import DataError, Sample, load_images, load_masks


def _photo(path: Path, value: int = 128, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, value, value)).save(path)
    return path


@pytest.fixture
def screws(tmp_path: Path) -> Path:
    """Photos in three formats; one of two defective photos has a mask."""
    for i, suffix in enumerate(("png", "jpg", "bmp")):
        _photo(tmp_path / f"screw/train/good/{i:03d}.{suffix}", 50 + i)
    _photo(tmp_path / "screw/test/good/000.png")
    _photo(tmp_path / "screw/test/bent/000.png")
    _photo(tmp_path / "screw/test/bent/001.jpg")
    (tmp_path / "screw/test/bent/notes.txt").write_text("not a photo")
    mask = np.zeros((48, 64), np.uint8)
    mask[:24] = 255
    path = tmp_path / "screw/ground_truth/bent/000_mask.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(mask).save(path)
    return tmp_path


def test_training_photos(screws: Path) -> None:
    samples = mvtec.train_samples(screws, "screw")
    assert [s.path.name for s in samples] == ["000.png", "001.jpg", "002.bmp"]
    assert not any(s.defective for s in samples)
    images = load_images(samples)
    assert (images.shape, images.dtype) == ((3, 256, 256, 3), np.uint8)
    assert images[2, 0, 0, 0] == 52


def test_test_photos_and_masks(screws: Path) -> None:
    samples = mvtec.test_samples(screws, "screw")
    assert [(s.kind, s.path.name) for s in samples] == [
        ("bent", "000.png"),
        ("bent", "001.jpg"),
        ("good", "000.png"),
    ]
    masks, known = load_masks(samples)
    # A photo with a defect and no mask is unknown, not perfect.
    assert known.tolist() == [True, False, True]
    assert masks.shape == (3, 256, 256)
    assert masks[0, :128].all()
    assert not masks[0, 128:].any()
    assert not masks[1:].any()


def test_a_thin_defect_survives_shrinking(tmp_path: Path) -> None:
    mask = np.zeros((1024, 1024), np.uint8)
    mask[500:503] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    masks, _ = load_masks([Sample(tmp_path / "photo.png", "scratch", tmp_path / "mask.png")])
    assert masks[0].any(axis=0).all()


def test_absent_categories_are_named(screws: Path) -> None:
    with pytest.raises(DataError, match="teapot") as caught:
        mvtec.train_samples(screws, "teapot")
    assert str(screws) not in str(caught.value)


@pytest.fixture
def steel(tmp_path: Path) -> Path:
    for name in neu.CLASSES:
        for i in range(10):
            _photo(tmp_path / name / f"{name}_{i + 1}.jpg", size=(20, 20))
    return tmp_path


def test_neu_split_is_stratified_seeded_and_disjoint(steel: Path) -> None:
    samples = neu.samples(steel)
    assert Counter(s.kind for s in samples) == {name: 10 for name in neu.CLASSES}
    train, held_out = neu.split(samples, seed=0)
    assert Counter(s.kind for s in held_out) == {name: 2 for name in neu.CLASSES}
    assert len(train) == 48
    assert not {s.path for s in train} & {s.path for s in held_out}
    assert neu.split(samples, seed=0) == (train, held_out)
    assert neu.split(samples, seed=1) != (train, held_out)


def test_neu_without_a_class_is_refused(steel: Path) -> None:
    for photo in (steel / "crazing").iterdir():
        photo.unlink()
    with pytest.raises(DataError, match="crazing"):
        neu.samples(steel)


def test_a_category_may_lack_a_test_folder(screws: Path) -> None:
    assert mvtec.test_samples(screws, "teapot") == []
    assert mvtec.list_categories(screws) == ["screw"]
    assert mvtec.list_categories(screws / "nowhere") == []
