"""What a page gets of an inspection: exact at every threshold, and small."""

from __future__ import annotations

import base64
import io
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.ui.endpoints.answers import inspected
from defect.ui.payload import STEPS, packed, steps, to_wire
from tests.conftest import EXAMPLES


def unpacked(text: str) -> np.ndarray:
    raw = np.frombuffer(zlib.decompress(base64.b64decode(text)), "<u2").reshape(256, 256)
    return raw.cumsum(axis=1, dtype=np.uint16)


def test_every_threshold_of_the_slider_gives_the_library_s_mask() -> None:
    seen = load("cae", "rendered_cap")(EXAMPLES / "rendered_cap/chip.jpg")
    sent = unpacked(to_wire(seen)["map"])
    for hundredths in range(30, 301, 9):
        judged = seen.at(hundredths / 100)
        reached = sent >= hundredths * STEPS // 100
        assert np.array_equal(reached, judged.mask)
        assert bool(reached.any()) == judged.defective


def test_values_survive_and_none_overflows() -> None:
    values = np.random.default_rng(3).integers(0, 65536, (256, 256)).astype(np.uint16)
    assert np.array_equal(unpacked(packed(values)), values)
    assert steps(np.array([0.0, 0.0049, 0.005, 1.0, 1e6])).tolist() == [0, 0, 1, 200, 65535]


def test_it_is_json_with_pictures_and_stays_small() -> None:
    seen = load("dae", "rendered_washer")(EXAMPLES / "rendered_washer/rust.jpg")
    sent = to_wire(seen)
    assert len(json.dumps(sent)) < 300_000
    for name, shape in (("photo", seen.photo.shape), ("reconstruction", (256, 256, 3))):
        kind, _, data = sent[name].partition("base64,")
        assert kind == "data:image/jpeg;"
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            assert (picture.height, picture.width) == shape[:2]


@pytest.mark.parametrize(("error", "shown"), [(0.0, 0), (0.5, 57), (10.0, 255), (99.0, 255)])
def test_the_error_map_s_scale_is_fixed_in_thesis_limits(error: float, shown: int) -> None:
    from tests.test_regions import inspection

    seen = inspection(np.zeros((256, 256)))
    assert seen.error_map is not None and seen.thesis_limit is not None
    seen.error_map[:] = error * seen.thesis_limit * 2  # the scale ends at 20 limits
    assert set(unpacked(to_wire(seen)["error"]).ravel().tolist()) == {shown}


def test_what_a_model_does_not_have_is_null() -> None:
    from tests.test_regions import inspection

    seen = replace(
        inspection(np.ones((256, 256))),
        error_map=None,
        reconstruction=None,
        thesis_score=None,
        thesis_limit=None,
    )
    sent = to_wire(seen)
    absent = ("reconstruction", "error", "thesis_score", "thesis_limit")
    assert [sent[name] for name in absent] == [None] * 4
    answer = inspected(seen)
    assert (answer["thesis_score"], answer["thesis_limit"]) == (None, None)
    assert unpacked(sent["map"]).max() == STEPS
