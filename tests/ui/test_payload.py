"""What the page's viewer is sent of an inspection: exact at every threshold, and small."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.imaging.photo import read_photo
from defect.ui.endpoints.answers import inspected
from defect.ui.payload import (
    STEPS,
    histogram,
    inspect_photo,
    inspection_payload,
    pack_map,
    to_steps,
)
from tests.conftest import EXAMPLES
from tests.ui.cases import inspection_of


def unpack(packed: dict[str, Any]) -> np.ndarray:
    raw = np.frombuffer(zlib.decompress(base64.b64decode(packed["data"])), "<u2")
    return raw.reshape(packed["shape"]).cumsum(axis=1, dtype=np.uint16)


def test_every_threshold_of_the_slider_gives_the_library_s_mask() -> None:
    seen = load("cae", "rendered_cap")(EXAMPLES / "rendered_cap/chip.jpg")
    sent = unpack(inspection_payload(seen)["map"])
    for hundredths in range(30, 301, 9):
        judged = seen.at(hundredths / 100)
        reached = sent >= hundredths * STEPS // 100
        assert np.array_equal(reached, judged.mask)
        assert bool(reached.any()) == judged.defective


@pytest.mark.parametrize("shape", [(256, 256), (7, 300), (64, 16)])
def test_values_survive_in_any_shape_and_none_overflows(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(3).integers(0, 65536, shape).astype(np.uint16)
    assert np.array_equal(unpack(pack_map(values)), values)
    assert to_steps(np.array([0.0, 0.0049, 0.005, 1.0, 1e6])).tolist() == [0, 0, 1, 200, 65535]


def test_it_is_json_with_pictures_and_stays_small() -> None:
    seen = load("dae", "rendered_washer")(EXAMPLES / "rendered_washer/rust.jpg")
    sent = inspection_payload(seen)
    assert len(json.dumps(sent)) < 300_000
    for name, shape in (("photo", seen.photo.shape), ("reconstruction", (256, 256, 3))):
        kind, _, data = sent[name].partition("base64,")
        assert kind == "data:image/jpeg;"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert (picture.height, picture.width) == shape[:2]


@pytest.mark.parametrize(("error", "shown"), [(0.0, 0), (0.5, 57), (10.0, 255), (99.0, 255)])
def test_the_error_map_s_scale_is_fixed_in_thesis_limits(error: float, shown: int) -> None:
    limit = 0.02
    # The scale ends at 20 limits.
    error_map = np.full((256, 256), error * limit * 2, np.float32)
    seen = inspection_of(np.zeros((256, 256)), error_map=error_map, thesis_limit=limit)
    assert set(unpack(inspection_payload(seen)["error"]).ravel().tolist()) == {shown}


def test_what_a_detector_does_not_have_is_null() -> None:
    seen = inspection_of(np.ones((256, 256)))
    sent = inspection_payload(seen)
    absent = ("reconstruction", "error", "thesis_score", "thesis_limit")
    assert [sent[name] for name in absent] == [None] * 4
    answer = inspected(seen)
    assert (answer["thesis_score"], answer["thesis_limit"]) == (None, None)
    assert unpack(sent["map"]).max() == STEPS


def test_a_histogram_is_one_element_of_data() -> None:
    drawn = histogram({"good": [0.5, 1.0], "defective": []}, 1.25)
    assert drawn.count("<score-histogram") == 1
    assert "[100, 200]" in drawn and "defective" not in drawn and 'threshold="1.25"' in drawn
    assert histogram({"good": []}, 1.0) == ""


def test_a_photo_read_before_is_not_read_again() -> None:
    photo = read_photo(EXAMPLES / "rendered_cap/good.jpg")
    detector = load("cae", "rendered_cap")
    assert detector(photo).score == detector(EXAMPLES / "rendered_cap/good.jpg").score


def test_the_card_says_what_was_made_of_the_file(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "rendered_cap/good.jpg") as image:
        frame = image.convert("P")
        image.save(tmp_path / "pages.tif", save_all=True, append_images=[image])
        image.save(tmp_path / "cut.png")
    frame.save(tmp_path / "turning.gif", save_all=True, append_images=[frame.rotate(9)])
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-12])
    for name, text in (
        ("turning.gif", "only its first frame"),
        ("pages.tif", "2 pages: only the first"),
        ("cut.png", "missing or corrupt"),
    ):
        card = inspect_photo(str(tmp_path / name), "cae", "rendered_cap")
        assert any(text in note for note in card["notes"]), card["notes"]


def test_regions_of_an_answer_are_in_pixels_of_the_photo(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "rendered_cap/chip.jpg") as image:
        image.resize((1600, 1200)).save(tmp_path / "large.jpg")
    region = inspected(load("cae", "rendered_cap")(tmp_path / "large.jpg"))["regions"][0]
    left, top, right, bottom = region["box_px"]
    assert region["box"] == pytest.approx(
        [left / 1600, top / 1200, right / 1600, bottom / 1200], abs=1e-3
    )
    assert left < region["centre_px"][0] < right <= 1600 and top < region["centre_px"][1] < bottom
    assert region["area_px"] == pytest.approx(region["area"] * 1600 * 1200, rel=0.01)
