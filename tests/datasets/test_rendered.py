"""The rendered photos: masks, determinism, layouts and error texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.datasets import rendered as synthetic
from defect.datasets.rendered import (
    CATEGORIES,
    DEFECTS,
    STEEL_CLASSES,
    render,
    render_steel,
    write_dataset,
    write_steel,
)
from tests.conftest import EXAMPLES

PAIRS = [(category, defect) for category in CATEGORIES for defect in DEFECTS[category]]


def test_names() -> None:
    assert len(CATEGORIES) >= 4
    assert all("rendered" in category for category in CATEGORIES)
    assert set(DEFECTS) == set(CATEGORIES)
    assert all(2 <= len(types) <= 4 and "good" not in types for types in DEFECTS.values())
    assert len(STEEL_CLASSES) == 6


@pytest.mark.parametrize("category", CATEGORIES)
def test_good_part(category: str) -> None:
    photo = render(category, 3)
    assert photo.defect == "good"
    assert photo.image.shape == (320, 320, 3) and photo.image.dtype == np.uint8
    assert photo.mask.shape == (320, 320) and photo.mask.dtype == bool
    assert not photo.mask.any()
    # A photo has contrast and is neither black nor burnt out.
    assert 20 < photo.image.mean() < 235 and photo.image.std() > 5
    assert np.array_equal(photo.image, render(category, 3).image)
    other = render(category, 4).image
    assert np.mean(np.abs(photo.image.astype(int) - other)) > 1


@pytest.mark.parametrize(("category", "defect"), PAIRS)
def test_only_the_mask_differs(category: str, defect: str) -> None:
    good, bad = render(category, 5), render(category, 5, defect)
    assert bad.defect == defect
    assert np.array_equal(good.image[~bad.mask], bad.image[~bad.mask])
    change = np.abs(good.image.astype(int) - bad.image).max(axis=2)
    # Closing and rounding leave few unchanged pixels inside the mask.
    assert np.mean(change[bad.mask] > 0) > 0.8
    assert change[bad.mask].mean() > 8
    again = render(category, 5, defect)
    assert np.array_equal(bad.image, again.image) and np.array_equal(bad.mask, again.mask)


@pytest.mark.parametrize(("category", "defect"), PAIRS)
def test_defect_sizes(category: str, defect: str) -> None:
    masks = [render(category, seed, defect).mask for seed in range(20, 25)]
    shares = [float(mask.mean()) for mask in masks]
    assert min(shares) >= 0.002 and max(shares) <= 0.075
    assert len(set(shares)) == len(shares)
    assert any(not np.array_equal(masks[0], mask) for mask in masks[1:])


@pytest.mark.parametrize("class_name", STEEL_CLASSES)
def test_steel(class_name: str) -> None:
    picture = render_steel(class_name, 0)
    assert picture.shape == (200, 200, 3) and picture.dtype == np.uint8
    assert np.array_equal(picture[..., 0], picture[..., 1])
    assert np.array_equal(picture[..., 0], picture[..., 2])
    assert picture.std() > 2
    assert np.array_equal(picture, render_steel(class_name, 0))
    assert not np.array_equal(picture, render_steel(class_name, 1))


def test_steel_classes_differ_in_texture() -> None:
    def roughness(class_name: str) -> float:
        pictures = [render_steel(class_name, seed)[..., 0].astype(float) for seed in range(4)]
        return float(np.mean([np.abs(np.diff(picture, axis=1)).mean() for picture in pictures]))

    assert roughness("crazing") > 2 * roughness("inclusion")
    assert roughness("patches") > 2 * roughness("scratches")


def test_write_dataset(tmp_path: Path) -> None:
    write_dataset(tmp_path, ["rendered_washer"], train=2, good=1, defective=1, seed=7)
    root = tmp_path / "rendered_washer"
    expected = {"train/good/000.png", "train/good/001.png", "test/good/000.png"}
    for defect in DEFECTS["rendered_washer"]:
        expected |= {f"test/{defect}/000.png", f"ground_truth/{defect}/000_mask.png"}
    files = sorted(path for path in root.rglob("*") if path.is_file())
    assert {path.relative_to(root).as_posix() for path in files} == expected
    for path in files:
        pixels = np.asarray(Image.open(path))
        if "ground_truth" in path.parts:
            assert pixels.shape == (320, 320) and set(np.unique(pixels)) == {0, 255}
        else:
            assert pixels.shape == (320, 320, 3)
    photos = [path.read_bytes() for path in files if "ground_truth" not in path.parts]
    assert len(set(photos)) == len(photos)

    write_dataset(tmp_path / "again", ["rendered_washer"], train=2, good=1, defective=1, seed=7)
    for path in files:
        twin = tmp_path / "again" / path.relative_to(tmp_path)
        assert twin.read_bytes() == path.read_bytes()


def test_write_dataset_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int, str]] = []
    blank = render("rendered_brushed", 0)

    def counted(category: str, seed: int, defect: str = "good") -> synthetic.Rendering:
        calls.append((category, seed, defect))
        return blank

    monkeypatch.setattr(synthetic, "render", counted)
    monkeypatch.setattr(synthetic, "_save", lambda array, path: None)
    write_dataset(tmp_path)
    for category in CATEGORIES:
        mine = [call for call in calls if call[0] == category]
        assert sum(call[2] == "good" for call in mine) == 300 + 30
        assert all(sum(call[2] == name for call in mine) == 15 for name in DEFECTS[category])
        # No part is seen both in training and in the test.
        assert len({call[1] for call in mine}) == len(mine)


def test_write_steel(tmp_path: Path) -> None:
    write_steel(tmp_path, per_class=2, seed=1)
    for class_name in STEEL_CLASSES:
        names = sorted(path.name for path in (tmp_path / class_name).iterdir())
        assert names == [f"{class_name}_1.png", f"{class_name}_2.png"]
        assert np.asarray(Image.open(tmp_path / class_name / names[0])).shape == (200, 200, 3)


def test_unknown_names_are_explained(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no rendered category 'bolt'.*rendered_weave"):
        render("bolt", 0)
    with pytest.raises(ValueError, match=r"rendered_cap has no defect type 'rust'.*crack"):
        render("rendered_cap", 0, "rust")
    with pytest.raises(ValueError, match=r"no steel class 'dents'.*crazing"):
        render_steel("dents", 0)
    with pytest.raises(ValueError, match="seed is -1"):
        render("rendered_cap", -1)
    with pytest.raises(ValueError, match="seed is -1"):
        render_steel("crazing", -1)
    with pytest.raises(ValueError, match="no rendered category 'bolt'"):
        write_dataset(tmp_path, ["rendered_cap", "bolt"])
    assert not any(tmp_path.iterdir())


def test_the_app_s_examples_are_what_this_module_renders(tmp_path: Path) -> None:
    """No photo of a data set has slipped into examples/."""
    synthetic.write_examples(tmp_path)
    bundled = {path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*.*")}
    assert bundled == {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    for name in bundled:
        with Image.open(EXAMPLES / name) as ours, Image.open(tmp_path / name) as again:
            difference = np.asarray(ours, np.int16) - np.asarray(again, np.int16)
        # Another machine's arithmetic may move a pixel by a level before JPEG.
        assert np.abs(difference).mean() < 1, name
