"""Data folders as they are found: layouts, mask names, hidden folders, broken photos."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defect.datasets import mvtec
from defect.datasets.samples import (
    DataError,
    Sample,
    UnreadableWarning,
    list_images,
    load_images,
    load_masks,
    load_readable_images,
    readable,
)


def photo(path: Path, size: tuple[int, int] = (64, 48), **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "grey").save(path, **options)
    return path


def mask(path: Path, size: tuple[int, int] = (64, 48)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("L", size)
    image.paste(255, (0, 0, size[0] // 2, size[1] // 2))
    image.save(path)
    return path


@pytest.mark.parametrize(
    "name",
    ["0_mask.png", "0.png", "0_gt.png", "0_mask.PNG", "0_mask.bmp", "0_GT.bmp", "0_label.tif"],
)
def test_masks_by_their_common_names(tmp_path: Path, name: str) -> None:
    photo(tmp_path / "cap/train/good/0.png")
    photo(tmp_path / "cap/test/crack/0.jpg")
    expected = mask(tmp_path / "cap/ground_truth/crack" / name)
    mask(tmp_path / "cap/ground_truth/crack/9_mask.png")
    (sample,) = mvtec.test_samples(tmp_path, "cap")
    assert sample.mask == expected
    assert load_masks([sample])[0][0, :128, :128].all()
    assert [p.name for p in mvtec.unmatched_masks(tmp_path, "cap")] == ["9_mask.png"]


def test_hidden_folders_and_folders_named_like_pictures(tmp_path: Path) -> None:
    photo(tmp_path / "cap/train/good/0.png")
    photo(tmp_path / "cap/train/good/._0.png")
    photo(tmp_path / "cap/train/good/backup.png/1.png")
    photo(tmp_path / "cap/test/good/0.png")
    photo(tmp_path / "cap/test/.ipynb_checkpoints/0-checkpoint.png")
    photo(tmp_path / ".cache/train/good/0.png")
    assert [s.path.name for s in mvtec.train_samples(tmp_path, "cap")] == ["0.png"]
    assert [s.kind for s in mvtec.test_samples(tmp_path, "cap")] == ["good"]
    assert mvtec.list_categories(tmp_path) == ["cap"]


def test_normal_and_anomaly(tmp_path: Path) -> None:
    photo(tmp_path / "cap/train/normal/0.png")
    photo(tmp_path / "cap/test/normal/1.png")
    photo(tmp_path / "cap/test/anomaly/2.png")
    assert len(mvtec.train_samples(tmp_path, "cap")) == 1
    found = [(s.kind, s.defective) for s in mvtec.test_samples(tmp_path, "cap")]
    assert sorted(found) == [("anomaly", True), ("good", False)]


def test_good_and_bad_without_a_split(tmp_path: Path) -> None:
    for number in range(6):
        photo(tmp_path / f"cap/good/{number}.png")
    photo(tmp_path / "cap/bad/7.png")
    mask(tmp_path / "cap/masks/bad/7.png")
    train = mvtec.train_samples(tmp_path, "cap")
    test = mvtec.test_samples(tmp_path, "cap")
    assert len(train) == 3
    assert sorted(s.kind for s in test) == ["bad", "good", "good", "good"]
    assert not {s.path for s in train} & {s.path for s in test}
    assert next(s for s in test if s.defective).mask is not None


@pytest.mark.parametrize("size", [(48, 64), (64, 64), (100, 48)])
def test_a_mask_of_another_shape_is_refused_by_name(tmp_path: Path, size: tuple[int, int]) -> None:
    sample = Sample(photo(tmp_path / "crack/0.png"), "crack", mask(tmp_path / "gt/0.png", size))
    with pytest.raises(DataError, match=r"gt/0\.png .*crack/0\.png") as caught:
        load_masks([sample])
    assert str(tmp_path) not in str(caught.value)


def test_a_mask_is_compared_with_the_upright_photo(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = photo(tmp_path / "crack/0.jpg", exif=exif)
    upright = mask(tmp_path / "gt/0.png", (48, 64))
    assert load_masks([Sample(turned, "crack", upright)])[0].any()
    with pytest.raises(DataError, match="upright"):
        load_masks([Sample(turned, "crack", mask(tmp_path / "gt/1.png"))])
    half = mask(tmp_path / "gt/2.png", (24, 32))  # the same shape at half the size
    assert load_masks([Sample(turned, "crack", half)])[0].any()


def test_one_broken_photo_does_not_stop_a_folder(tmp_path: Path) -> None:
    for number in range(12):
        photo(tmp_path / f"good/{number:02d}.png")
    broken = tmp_path / "good/03.png"
    broken.write_bytes(broken.read_bytes()[:60])
    samples = [Sample(path, "good") for path in list_images(tmp_path / "good")]
    with pytest.warns(UnreadableWarning, match=r"good/03\.png"):
        images, kept = load_readable_images(samples)
    assert len(images) == len(kept) == 11 and broken not in {s.path for s in kept}
    assert np.array_equal(images, load_images(kept))
    assert [s.path for s, _ in readable(samples)[1]] == [broken]
    with pytest.raises(DataError, match=r"good/03\.png"):
        load_images(samples)
    for number in range(4, 9):
        (tmp_path / f"good/{number:02d}.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"6 of 12 photos cannot be read.*good/03\.png"):
        load_readable_images(samples)
