"""The value that travels: verdict, regions, sentence, and messages that can be translated."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from defect import load
from defect.inspection import (
    Inspection,
    Message,
    check_threshold,
    describe,
    format_multiple,
    format_percent,
    position_name,
)
from tests.conftest import EXAMPLES
from tests.factories import make_inspection


def _map(*patches: tuple[slice, slice, float]) -> np.ndarray:
    anomaly_map = np.full((256, 256), 0.2)
    for rows, columns, value in patches:
        anomaly_map[rows, columns] = value
    return anomaly_map


def test_the_largest_region_comes_first_with_its_position() -> None:
    anomaly_map = _map((slice(220, 230), slice(230, 240), 2.5), (slice(20, 40), slice(10, 40), 1.2))
    anomaly_map[30, 20] = 1.5
    inspection = make_inspection(anomaly_map)
    large, small = inspection.regions
    assert (large.where, small.where) == ("upper left", "lower right")
    assert large.area == 600 / 65536
    assert large.peak == pytest.approx(1.5)
    assert large.box == (10 / 256, 20 / 256, 40 / 256, 40 / 256)
    assert (large.row, large.column) == (30 / 256, 25 / 256)
    assert small.peak == pytest.approx(2.5)
    assert [region.where for region in inspection.at(2).regions] == ["lower right"]
    assert inspection.at(2.6).regions == ()


def test_corners_touch_and_gaps_part() -> None:
    slanted = np.eye(256) * 1.3
    assert len(make_inspection(slanted).regions) == 1
    slanted[100] = 0
    assert len(make_inspection(slanted).regions) == 2


@pytest.fixture(scope="module")
def chipped() -> Inspection:
    return load("cae", "rendered_cap")(EXAMPLES / "rendered_cap/chip.jpg")


@pytest.mark.parametrize("threshold", [0.3, 0.7, 1.0, 1.6, 3.0])
def test_regions_and_mask_agree_on_a_real_map(chipped: Inspection, threshold: float) -> None:
    inspection = chipped.at(threshold)
    found = inspection.regions
    assert bool(found) == inspection.defective
    assert sum(region.area for region in found) == pytest.approx(inspection.mask.mean())
    assert max((region.peak for region in found), default=inspection.score) == inspection.score


def test_positions_at_the_edges() -> None:
    assert position_name(0, 0) == "upper left"
    assert position_name(0.5, 0.5) == "centre"
    assert position_name(1, 1) == "lower right"
    assert position_name(0.2, 0.5) == "top"
    assert position_name(0.9, 0.5) == "bottom"
    assert (position_name(0.5, 0), position_name(0.5, 1)) == ("left", "right")


def test_one_plain_sentence() -> None:
    anomaly_map = _map((slice(0, 40), slice(0, 40), 1.837))
    inspection = make_inspection(anomaly_map)
    assert describe(inspection) == (
        "Peak anomaly 1.83× the normal limit; largest region upper left, 2.4 % of the photo."
    )
    anomaly_map[250, 250] = 1.2
    assert describe(make_inspection(anomaly_map)).endswith(" (2 regions, 2.4 % in total).")
    assert describe(inspection.at(2)) == "Peak anomaly 1.83× the normal limit."


@pytest.mark.parametrize("score", [0.996, 0.9999999, 1.0, 1.004, 1.15, 2.3, 0.3])
def test_the_score_shown_reaches_a_threshold_exactly_when_the_score_does(score: float) -> None:
    for threshold in (0.3, 1.0, 1.15, 2.3):
        inspection = make_inspection(0.1, score=score, threshold=threshold)
        assert (float(format_multiple(score)) >= threshold) == inspection.defective


def test_something_is_never_nothing() -> None:
    assert format_percent(1 / 65536) == "under 0.1 %"
    assert format_percent(0.0214) == "2.1 %"
    assert format_percent(0) == "0.0 %"


def test_another_product_is_suspected_and_a_large_defect_is_not() -> None:
    large = _map((slice(0, 90), slice(None), 9.0))  # a third of the photo
    assert not make_inspection(large).unfamiliar
    large[:110] = 1.1
    other = make_inspection(large)
    assert other.unfamiliar
    assert other.at(3.0).unfamiliar  # whatever the threshold
    assert describe(other).endswith(" Is this a photo of the product the detector was trained on?")


@pytest.mark.parametrize("category", ["rendered_cap", "rendered_washer"])
def test_every_example_is_familiar_to_its_own_model_alone(category: str) -> None:
    inspect = load("cae", category)
    for other in ("rendered_cap", "rendered_washer", "rendered_weave", "rendered_brushed"):
        photos = sorted((EXAMPLES / other).glob("*.jpg"))
        found = [result.unfamiliar for result in inspect([str(photo) for photo in photos])]
        assert found == [other != category] * len(photos), other


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -float("inf")])
def test_a_score_that_is_no_number_is_an_error(score: float) -> None:
    with pytest.raises(ValueError, match=r'"part\.png" is not a number.*damaged') as caught:
        make_inspection(score=score)
    assert caught.value.args[0].key == "score_not_finite"
    with pytest.raises(ValueError, match="not a number"):
        make_inspection(float("nan"))


@pytest.mark.parametrize(
    "threshold",
    [0, 0.0, -1.0, float("nan"), float("inf"), 10**400, True, "1", None, [1.0], 1j],
)
def test_a_threshold_that_is_no_number_above_zero_is_refused(threshold: object) -> None:
    with pytest.raises(ValueError, match="above 0") as caught:
        check_threshold(threshold)
    assert len(str(caught.value)) < 120
    with pytest.raises(ValueError, match="above 0"):
        make_inspection().at(threshold)  # type: ignore[arg-type]


def test_any_kind_of_number_is_a_threshold() -> None:
    for threshold in (1, 0.5, np.float32(0.5), np.int64(2), 1e-9):
        check_threshold(threshold)
        assert type(make_inspection().at(threshold).threshold) is float  # type: ignore[arg-type]


def test_an_inspection_judged_again_forgets_the_regions_of_before() -> None:
    inspection = make_inspection(_map((slice(0, 40), slice(0, 40), 1.8)))
    assert inspection.regions and replace(inspection, threshold=2.0).regions == ()


def test_a_message_is_a_string_with_a_key_and_values() -> None:
    message = Message("no_file", 'There is no file "{name}".', name="a.png")
    assert message == 'There is no file "a.png".' and isinstance(message, str)
    assert (message.key, message.values) == ("no_file", {"name": "a.png"})
    assert str(ValueError(message)) == message
    assert " ".join([message, "Check."]) == 'There is no file "a.png". Check.'


@pytest.mark.parametrize("name", ["{", "}", "{name}", "{0}{}", "a{{b}}c", "100 %", "{why!r:>9}"])
def test_braces_in_values_stay_as_they_are(name: str) -> None:
    inner = Message("no_file", "There is no file {name}.", name=name)
    message = Message("left_out", "Left out: {why}", why=inner)
    assert message == f"Left out: There is no file {name}."
    for again in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message)):
        assert again == message and type(again) is Message
        assert (again.key, again.values) == ("left_out", {"why": inner})
        assert type(again.values["why"]) is Message
        assert again.values["why"].values == {"name": name}


def test_an_error_keeps_its_message_in_another_process() -> None:
    error = ValueError(Message("too_many", "{count} photos at once.", count=500))
    again = pickle.loads(pickle.dumps(error)).args[0]
    assert (again, again.key, again.values) == ("500 photos at once.", "too_many", {"count": 500})


def test_regions_in_pixels_of_the_photo() -> None:
    anomaly_map = np.zeros((256, 256), np.float32)
    anomaly_map[20:40, 64:128] = 2
    inspection = make_inspection(anomaly_map, photo_size=(1600, 600))
    (pixels,) = inspection.pixel_regions
    assert pixels.box == (150, 125, 300, 250)
    assert pixels.centre == (225.0, 187.5)
    assert pixels.area == 150 * 125
    shown = make_inspection(anomaly_map)  # 90×60, as nothing else is known
    assert shown.size == (60, 90)
    left, top, right, bottom = shown.pixel_regions[0].box
    assert 0 <= left < right <= 90 and 0 <= top < bottom <= 60
    dot = np.zeros((256, 256), np.float32)
    dot[255, 255] = 2
    (pixels,) = make_inspection(dot, photo_size=(40, 30)).pixel_regions
    assert pixels.box == (29, 39, 30, 40) and pixels.area == 1
