"""Anomaly maps as pictures: a fixed colour scale, and a contour that the threshold moves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from defect.imaging.colours import overlay_scale
from defect.imaging.overlay import SCALE_END, SCALE_START, draw_cam, heat
from defect.imaging.overlay import draw_overlay as overlay

SIZES = [(256, 256), (180, 320), (321, 123)]
WHITE, DARK = (255, 255, 255), (20, 20, 20)


def _photo(height: int = 256, width: int = 256) -> np.ndarray:
    """Mid tones only, so that the contour's white and dark are nobody else's."""
    return np.random.default_rng(0).integers(60, 200, (height, width, 3)).astype(np.uint8)


def _disc(peak: float, rest: float = 0.0, radius: float = 40.0) -> np.ndarray:
    """256×256: a cone of that height in the middle, over the rest."""
    y, x = np.mgrid[:256, :256] - 127.5
    return np.maximum(peak * (1 - np.hypot(x, y) / radius), rest).astype(np.float32)


def _where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    found: np.ndarray = (picture == colour).all(-1)
    return found


def _radius(picture: np.ndarray) -> float:
    """Mean distance of the white line from the middle."""
    y, x = np.nonzero(_where(picture, WHITE))
    return float(np.hypot(y - 127.5, x - 127.5).mean())


# The colours


@pytest.mark.parametrize("size", SIZES)
def test_a_calm_map_leaves_the_photo_alone(size: tuple[int, int]) -> None:
    photo = _photo(*size)
    calm = np.random.default_rng(1).uniform(0, 0.599, (256, 256)).astype(np.float32)
    drawn = overlay(photo, calm)
    assert np.array_equal(drawn, photo)
    assert not np.shares_memory(drawn, photo)


def test_the_scale_runs_from_clear_to_strong() -> None:
    colours = heat(np.array([[0.0, SCALE_START, 0.8, 1.0, 1.5, SCALE_END, 50.0]]))[0]
    assert (SCALE_START, SCALE_END) == (0.6, 2.0)
    assert colours[:2, 3].tolist() == [0, 0]
    assert (np.diff(colours[1:6, 3].astype(int)) > 0).all()
    assert (np.diff(colours[1:6, 1].astype(int)) < 0).all()  # yellow → orange → red → purple
    assert np.array_equal(colours[5], colours[6])
    assert tuple(colours[5]) == (150, 0, 60, 183)


def test_a_colour_depends_on_its_own_value_only() -> None:
    low, high = np.full((8, 8), 1.2), np.full((8, 8), 1.2)
    low[0], high[0] = 0.0, 90.0
    assert np.array_equal(heat(low)[1:], heat(high)[1:])
    assert heat(np.array([[1.2]]))[0, 0].tolist() == heat(high)[4, 4].tolist()


def test_a_strong_place_does_not_fade_the_others() -> None:
    """The threshold is out of reach, so that only the colours are compared."""
    photo, weak = _photo(), _disc(1.5)
    strong = weak.copy()
    strong[:20, :20] = 30.0
    one, other = overlay(photo, weak, 99.0), overlay(photo, strong, 99.0)
    assert np.array_equal(one[24:, 24:], other[24:, 24:])
    assert not np.array_equal(one[:20, :20], other[:20, :20])
    assert not np.array_equal(one[120:136, 120:136], photo[120:136, 120:136])


@pytest.mark.parametrize("size", [*SIZES, (600, 900), (64, 64)])
def test_one_place_looks_the_same_beside_others(size: tuple[int, int]) -> None:
    """However much of the photo there is to draw on, the part in the middle is drawn alike."""
    height, width = size
    alone = _disc(2.0)
    corners = alone.copy()
    corners[:9, :9] = corners[-9:, -9:] = 0.9
    one, other = overlay(_photo(*size), alone), overlay(_photo(*size), corners)
    middle = np.s_[height // 5 : -height // 5, width // 5 : -width // 5]
    far = np.abs(one[middle].astype(int) - other[middle]).max(-1) > 2
    assert far.mean() < 0.002
    assert not np.array_equal(one[:2, :2], other[:2, :2])


def test_heat_lies_where_the_map_is_high() -> None:
    photo, anomaly_map = _photo(180, 320), np.zeros((256, 256), np.float32)
    anomaly_map[:128, 128:] = 1.5
    changed = (overlay(photo, anomaly_map, 99.0) != photo).any(-1)
    assert changed[:85, 165:].all()
    assert not changed[95:].any() and not changed[:, :155].any()


# The contour


def test_the_threshold_moves_the_contour_and_no_colour() -> None:
    photo, disc = _photo(), _disc(2.0)
    low, high = overlay(photo, disc, 0.8), overlay(photo, disc, 1.4)
    # The cone falls from 2.0 to 0 within 40 pixels, so that 0.8 lies at 24 and 1.4 at 12.
    assert _radius(low) == pytest.approx(23.5, abs=1)
    assert _radius(high) == pytest.approx(11.5, abs=1)
    lines = [_where(drawn, c) for drawn in (low, high) for c in (WHITE, DARK)]
    elsewhere = ~np.logical_or.reduce(lines)
    assert np.array_equal(low[elsewhere], high[elsewhere])
    assert elsewhere.mean() > 0.9


def test_the_line_is_white_inside_and_dark_outside() -> None:
    disc = _disc(2.0)
    drawn = overlay(_photo(), disc, 1.0)
    assert _where(drawn, WHITE).any() and _where(drawn, DARK).any()
    assert (disc[_where(drawn, WHITE)] >= 1.0).all()
    assert (disc[_where(drawn, DARK)] < 1.0).all()


@pytest.mark.parametrize(("peak", "drawn"), [(0.97, False), (1.03, True)])
def test_no_contour_where_nothing_reaches_the_threshold(peak: float, drawn: bool) -> None:
    plateau = np.full((256, 256), 0.1, np.float32)
    plateau[100:150, 100:150] = peak
    picture = overlay(_photo(), plateau)
    assert _where(picture, WHITE).any() == _where(picture, DARK).any() == drawn
    assert not np.array_equal(picture[110:140, 110:140], _photo()[110:140, 110:140])


def test_a_threshold_below_the_scale_still_has_a_contour() -> None:
    picture = overlay(_photo(), _disc(0.5), 0.25)
    assert _radius(picture) == pytest.approx(19.5, abs=1)
    outside = ~(_where(picture, WHITE) | _where(picture, DARK))
    assert np.array_equal(picture[outside], _photo()[outside])


@pytest.mark.parametrize("size", SIZES)
def test_any_shape_of_photo(size: tuple[int, int]) -> None:
    height, width = size
    picture = overlay(_photo(*size), _disc(2.0), 1.0)
    assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
    y, x = np.nonzero(_where(picture, WHITE))
    assert (y.min() + y.max()) / 2 == pytest.approx((height - 1) / 2, abs=1)
    assert (x.min() + x.max()) / 2 == pytest.approx((width - 1) / 2, abs=1)
    assert np.ptp(y) / height == pytest.approx(40 / 256, abs=0.02)
    assert np.ptp(x) / width == pytest.approx(40 / 256, abs=0.02)


# All pictures


def test_what_is_given_stays_as_it_is() -> None:
    photo, disc = _photo(), _disc(2.0)
    cam = np.clip(disc, 0, 1)
    for array in (photo, disc, cam):
        array.setflags(write=False)
    for picture in (overlay(photo, disc), draw_cam(photo, cam)):
        assert picture.flags.writeable or not np.shares_memory(picture, photo)
    assert np.array_equal(photo, _photo()) and np.array_equal(disc, _disc(2.0))


@pytest.mark.parametrize("size", [(200, 200), (120, 300)])
def test_cam(size: tuple[int, int]) -> None:
    photo, cam = _photo(*size), np.zeros((16, 16), np.float32)
    cam[:8] = 1.0
    picture = draw_cam(photo, cam)
    assert picture.shape == photo.shape and picture.dtype == np.uint8
    below = size[0] * 9 // 16 + 1
    assert np.array_equal(picture[below:], photo[below:])
    assert (picture[: size[0] * 7 // 16] != photo[: size[0] * 7 // 16]).any(-1).mean() > 0.99


@pytest.mark.parametrize("side", [16, 64, 200])
@pytest.mark.parametrize("peak", [1.0, 1.005])
def test_a_defect_shows_on_a_photo_smaller_than_the_map(side: int, peak: float) -> None:
    rows, columns = np.mgrid[:256, :256]
    distance = (rows - 100) ** 2 + (columns - 101) ** 2
    anomaly_map = (0.3 + (peak - 0.3) * np.exp(-distance / 32)).astype(np.float32)
    photo = np.full((side, side, 3), 90, np.uint8)
    calm = overlay(photo, anomaly_map, threshold=2.0)
    assert (overlay(photo, anomaly_map, threshold=1.0) != calm).any()


@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (64, 200), (512, 384)])
@pytest.mark.parametrize("size", [(16, 16), (60, 90), (1024, 700), (200, 5000)])
def test_maps_of_any_shape(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """The same defect, in maps of any resolution on photos of any size."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    inside = (np.abs(rows / shape[0] - 0.25) < 0.13) & (np.abs(columns / shape[1] - 0.75) < 0.13)
    photo = _photo(*size)
    picture = overlay(photo, np.where(inside, 1.6, 0.2).astype(np.float32))
    changed = (picture != photo).any(-1)
    height, width = size
    assert changed[height // 4, 3 * width // 4]
    assert not changed[height // 2 + 4 :].any() and not changed[:, : width // 2 - 4].any()
    assert _where(picture, WHITE).any()


def test_the_scale_is_exported_as_json() -> None:
    scale = json.loads(json.dumps(overlay_scale()))
    assert (scale["start"], scale["end"]) == (SCALE_START, SCALE_END)
    values = np.linspace(0, 3, 400)
    rows = ((values - SCALE_START) / (SCALE_END - SCALE_START) * 255).clip(0, 255).astype(int)
    assert np.array_equal(np.array(scale["table"], np.uint8)[rows], heat(values[None])[0])
    for stop in scale["stops"]:
        drawn = heat(np.array([[stop["at"] + 1e-9]]))[0, 0].astype(int)
        assert np.abs(drawn - [*stop["colour"], 255 * stop["opacity"]]).max() <= 3
