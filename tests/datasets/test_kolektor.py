"""KolektorSDD and KolektorSDD2 in their layouts, on files made here; masks are never lost."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from defect.datasets import kolektor
from defect.datasets.samples import DataError, load_masks, read_mask
from defect.datasets.supervisely import read_annotation


def _save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def _packed(bitmap: np.ndarray, mode: str) -> str:
    """A bitmap as Supervisely writes it: two colours, the first transparent; or plain grey."""
    stream = io.BytesIO()
    if mode == "palette":
        image = Image.fromarray(bitmap.astype(np.uint8), mode="P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(stream, "PNG", transparency=0, bits=1)
    elif mode == "alpha":
        rgba = np.zeros((*bitmap.shape, 4), np.uint8)
        rgba[..., 3] = bitmap * 255
        Image.fromarray(rgba).save(stream, "PNG")
    else:
        Image.fromarray(bitmap.astype(np.uint8)).save(stream, "PNG")
    return base64.b64encode(zlib.compress(stream.getvalue())).decode()


def _annotation(
    path: Path, objects: list[dict[str, Any]], width: int = 60, height: int = 40
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"size": {"width": width, "height": height}, "objects": objects}
    path.write_text(json.dumps(document))


def _ring() -> np.ndarray:
    bitmap = np.ones((8, 12), bool)
    bitmap[2:6, 3:9] = False
    return bitmap


def test_kolektor_sdd(tmp_path: Path) -> None:
    grey = np.full((50, 20), 120, np.uint8)
    mask = np.zeros((50, 20), np.uint8)
    _save(tmp_path / "kos01/Part0.jpg", grey)
    _save(tmp_path / "kos01/Part0_label.png", mask)
    mask[30:33, 5:15] = 255
    _save(tmp_path / "kos02/Part3.jpg", grey)
    _save(tmp_path / "kos02/Part3_label.bmp", mask)
    _save(tmp_path / "kos02/Part4.jpg", grey)  # copies may leave the empty masks out
    found = kolektor.samples(tmp_path)
    assert [s.path.name for s in found] == ["Part0.jpg", "Part3.jpg", "Part4.jpg"]
    assert [s.kind for s in found] == ["good", "defect", "good"]
    masks, known = load_masks(found)
    assert known.all()
    assert not masks[0].any()
    assert masks[1].any()


def test_kolektor_sdd2_with_pictures_as_masks(tmp_path: Path) -> None:
    for split, number, value in (("test", 20000, 255), ("test", 20001, 0), ("train", 10000, 255)):
        mask = np.zeros((64, 24), np.uint8)
        mask[10:20, 5:9] = value
        _save(tmp_path / f"{split}/{number}.png", np.full((64, 24, 3), 90, np.uint8))
        _save(tmp_path / f"{split}/{number}_GT.png", mask)
    assert [s.kind for s in kolektor.samples(tmp_path)] == ["defect", "good"]
    assert [s.kind for s in kolektor.samples(tmp_path, "train")] == ["defect"]


@pytest.mark.parametrize("mode", ["palette", "alpha", "grey"])
def test_kolektor_sdd2_by_supervisely(tmp_path: Path, mode: str) -> None:
    bitmap = {"bitmap": {"data": _packed(_ring(), mode), "origin": [30, 20]}}
    for number, objects in ((20000, [bitmap]), (20001, [])):
        _save(tmp_path / f"test/img/{number}.png", np.full((40, 60, 3), 90, np.uint8))
        _annotation(tmp_path / f"test/ann/{number}.png.json", objects)
    found = kolektor.samples(tmp_path)
    assert [s.kind for s in found] == ["defect", "good"]
    assert found[0].mask is not None
    expected = np.zeros((40, 60), bool)
    expected[20:28, 30:42] = _ring()
    assert np.array_equal(read_mask(found[0].mask), expected)
    assert load_masks(found)[0][0].any()


def test_polygons_with_holes_and_several_objects(tmp_path: Path) -> None:
    square = {"exterior": [[5, 5], [15, 5], [15, 15], [5, 15]], "interior": []}
    holed = {
        "exterior": [[30, 5], [50, 5], [50, 25], [30, 25]],
        "interior": [[[35, 10], [45, 10], [45, 20], [35, 20]]],
    }
    path = tmp_path / "a.png.json"
    _annotation(path, [{"points": square}, {"points": holed}])
    mask = read_annotation(path)
    assert mask[10, 10]
    assert mask[7, 32]
    assert not mask[15, 40]
    assert not mask[30, 10]


@pytest.mark.parametrize("origin", [[-4, -3], [54, 36], [200, 200]])
def test_a_bitmap_over_the_edge_is_cut(tmp_path: Path, origin: list[int]) -> None:
    path = tmp_path / "a.png.json"
    _annotation(path, [{"bitmap": {"data": _packed(np.ones((8, 12)), "grey"), "origin": origin}}])
    left, top = origin
    expected = np.zeros((40, 60), bool)
    expected[max(top, 0) : max(top + 8, 0), max(left, 0) : max(left + 12, 0)] = True
    assert np.array_equal(read_annotation(path), expected)


def test_a_hair_thin_defect_is_not_lost(tmp_path: Path) -> None:
    canvas = Image.new("L", (500, 1400))
    ImageDraw.Draw(canvas).line((100, 200, 380, 205), fill=255, width=1)
    _save(tmp_path / "kos01/Part0.jpg", np.full((1400, 500), 120, np.uint8))
    canvas.save(tmp_path / "kos01/Part0_label.png")
    assert load_masks(kolektor.samples(tmp_path))[0].any()


def test_what_is_missing_or_damaged_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No Kolektor photos"):
        kolektor.samples(tmp_path)
    _save(tmp_path / "test/20000.png", np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(DataError, match=r"test/20000\.png and the other .* no masks"):
        kolektor.samples(tmp_path)
    (tmp_path / "test/20000_GT.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"test/20000_GT\.png cannot be read") as caught:
        kolektor.samples(tmp_path)
    assert str(tmp_path) not in str(caught.value)


BOMB = base64.b64encode(zlib.compress(bytes(64 * 1024**2))).decode()
SIZE = {"width": 9, "height": 9}


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"size": {"width": 9}},
        {"size": {"width": 90_000, "height": 90_000}, "objects": []},
        {"size": SIZE, "objects": [{"bitmap": {"data": "?", "origin": [0, 0]}}]},
        {"size": SIZE, "objects": [{"bitmap": {"data": BOMB, "origin": [0, 0]}}]},
        {"size": SIZE, "objects": [{"points": {"exterior": [[1]]}}]},
    ],
    ids=["list", "no height", "huge", "no base64", "bomb", "no polygon"],
)
def test_damaged_annotations_are_refused(tmp_path: Path, document: Any) -> None:
    (tmp_path / "a.png.json").write_text(json.dumps(document)[:-1])
    with pytest.raises(DataError, match=r"a\.png\.json cannot be read"):
        read_mask(tmp_path / "a.png.json")
    (tmp_path / "a.png.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match=r"a\.png\.json cannot be read"):
        read_mask(tmp_path / "a.png.json")


@pytest.mark.slow
def test_the_real_one(real_data: Path) -> None:
    found = kolektor.samples(real_data / "kolektor_sdd")
    assert len(found) == 399
    assert sum(sample.defective for sample in found) == 52
    masks, known = load_masks(found)
    assert known.all()
    assert [bool(mask.any()) for mask in masks] == [sample.defective for sample in found]
