"""Observations → maps → scores, on an untrained network calibrated on drawn normal photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.stats import norm
from torch import Tensor

from defect.detectors import scoring
from defect.detectors.cache import held_bytes
from defect.detectors.scoring import Calibration, Observation, restore_calibration
from defect.detectors.thresholds import normal_limit
from defect.networks.autoencoders import CAE, build_autoencoder
from defect.training.calibration import fit_calibration
from defect.weights.quantisation import SCALE_SUFFIX, Packed, as_stored, pack


def _normal(count: int, seed: int) -> np.ndarray:
    """N×256×256×3: the same disc before the same ground, with other light and noise."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256]
    part = 60 + x[..., None] * [0.2, 0.1, 0.05] + 90 * (np.hypot(x - 128, y - 128) < 90)[..., None]
    light = draw.uniform(0.95, 1.05, (count, 1, 1, 1))
    noise = draw.normal(0, 4, (count, 256, 256, 3))
    photos: np.ndarray = (part * light + noise).clip(0, 255).astype(np.uint8)
    return photos


@pytest.fixture(scope="module")
def network() -> CAE:
    torch.manual_seed(0)
    network = build_autoencoder("cae").eval()
    assert isinstance(network, CAE)
    return network


@pytest.fixture(scope="module")
def calibration(network: CAE) -> Calibration:
    return fit_calibration(network, _normal(12, 0), _normal(8, 1))


@pytest.fixture(scope="module")
def pixels() -> Tensor:
    """Two normal photos and two with a square of stripes at the lower right."""
    photos = _normal(4, 2)
    photos[2:, 150:180, 150:180] = np.where(np.arange(30) % 6 < 3, 255, 0)[:, None]
    return scoring.to_tensor(photos)


@pytest.fixture(scope="module")
def seen(network: CAE, pixels: Tensor) -> Observation:
    with torch.inference_mode():
        return scoring.observe(network, pixels)


def test_thesis_score_by_hand(network: CAE, pixels: Tensor, seen: Observation) -> None:
    with torch.inference_mode():
        rebuilt = network(pixels).double().numpy()
    spread = np.array([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1)
    error = (((pixels.double().numpy() - rebuilt) / spread) ** 2).mean(1)
    assert_allclose(seen.error, error, rtol=1e-3, atol=1e-4)
    assert_allclose(scoring.thesis_scores(seen.error), error.mean((1, 2)), rtol=1e-4)
    assert_allclose(seen.reconstruction, rebuilt.clip(0, 1), atol=1e-5)


def test_the_photos_in_a_batch_do_not_mix(
    network: CAE, calibration: Calibration, pixels: Tensor, seen: Observation
) -> None:
    together = scoring.anomaly_maps(calibration, seen)
    with torch.inference_mode():
        alone = scoring.anomaly_maps(calibration, scoring.observe(network, pixels[1:2]))
    assert_allclose(alone[0], together[1], rtol=1e-3, atol=1e-4)


def test_map_by_hand() -> None:
    """Of 480 channels the first 40 count, around 0 with spread 1; errors of 1 ± 2 are usual."""
    eye, half = torch.eye(100).repeat(256, 1, 1), torch.ones(2, 128, 128)
    tensors = torch.eye(480, 100), torch.zeros(1024, 100), eye, half, 2 * half
    plain = Calibration(*tensors, 2.0, [4.0, 8.0], [0.0, 0.5, 1.0], 2.0, 1.0, [], [])
    features = torch.full((1, 1024, 480), 3.0)

    def maps(error: float, residual: float) -> Tensor:
        seen = torch.full((1, 256, 256), 1.0 * error), torch.full((1, 3, 128, 128), 1.0 * residual)
        return scoring.anomaly_maps(plain, Observation(torch.empty(0), *seen, features))

    assert maps(1, 0).shape == (1, 256, 256) and maps(1, 0).dtype == torch.float32
    # Features 3 over their limit 2 weigh 0.65; the square (5 - 1) / 2 over its limit 4 weighs 0.35.
    assert_allclose(maps(5, 0), (0.65 * 3 / 2 + 0.35 * 2 / 4) / 2, rtol=1e-4)
    # The residual's length (√3 · 20 - 1) / 2 over its limit 8 is higher, so it counts instead.
    length = (3**0.5 * 20 - 1) / 2 / 8
    assert_allclose(maps(5, 20), (0.65 * 3 / 2 + 0.35 * length) / 2, rtol=1e-4)
    # Less error than usual does not make up for strange features.
    assert_allclose(maps(0, 0), 0.65 * 3 / 2 / 2, rtol=1e-4)


def test_a_residual_that_cancels_is_noise() -> None:
    """Of two residuals of the same size the one with a direction is the longer after smoothing."""
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    error = torch.zeros(1, 256, 256)
    for steady, least in ((0.0, 0.0), (1.0, 1.3)):
        residual = noise.abs() if steady else noise
        observed = Observation(torch.empty(0), error, residual, torch.empty(0))
        length = scoring.error_views(observed)[0, 1].mean().item()
        assert length >= least if steady else length < 0.6


def test_error_views_are_smoothed_by_a_gaussian() -> None:
    error, residual = torch.zeros(1, 256, 256), torch.zeros(1, 3, 128, 128)
    error[0, 100:102, 80:82] = 1
    residual[0, 1, 50, 40] = 1
    views = scoring.error_views(Observation(torch.empty(0), error, residual, torch.empty(0)))[0]
    assert views[0].sum().item() == pytest.approx(1, rel=1e-4)
    # σ is 4 and 3 pixels of the photo, 2 and 1.5 of the views.
    assert (views[0, 52, 40] / views[0, 50, 40]).item() == pytest.approx(np.exp(-0.5), rel=1e-3)
    assert (views[1, 50, 43] / views[1, 50, 40]).item() == pytest.approx(np.exp(-2), rel=1e-3)


def test_score_is_the_highest_value(calibration: Calibration, seen: Observation) -> None:
    maps = scoring.anomaly_maps(calibration, seen)
    found = scoring.scores(maps)
    assert found.tolist() == [one.max() for one in maps.numpy()]
    for one in maps[2:]:
        row, column = divmod(int(one.argmax()), 256)
        assert 140 <= row < 190 and 140 <= column < 190


def test_one_is_the_limit(calibration: Calibration, seen: Observation) -> None:
    raw = scoring.scores(scoring.anomaly_maps(replace(calibration, limit=1.0), seen))
    maps = scoring.anomaly_maps(calibration, seen)
    over = scoring.scores(maps) >= 1
    assert over.tolist() == (raw >= calibration.limit).tolist() == [False, False, True, True]
    assert scoring.scores(maps).tolist() == pytest.approx((raw / calibration.limit).tolist())


@pytest.mark.parametrize("view", ["error", "residual", "features"])
def test_no_map_is_stretched_to_its_own_range(
    calibration: Calibration, seen: Observation, view: str
) -> None:
    """A far corner made worse leaves the rest of the map as it was, to the last bit."""
    changed = getattr(seen, view).clone()
    if view == "error":
        changed[:, :64, :64] = changed[:, :64, :64] * 50 + 50
    elif view == "residual":
        changed[:, :, :32, :32] = changed[:, :, :32, :32] * 50 + 50
    else:
        changed.view(-1, 32, 32, 480)[:, :8, :8] *= 50
    before = scoring.anomaly_maps(calibration, seen)
    after = scoring.anomaly_maps(calibration, replace(seen, **{view: changed}))
    corners = after[:, :64, :64].amax((1, 2)), before[:, :64, :64].amax((1, 2))
    assert (corners[0] > 2 * corners[1]).all()
    assert torch.equal(after[:, 96:, 96:], before[:, 96:, 96:])


def test_normal_limit_by_hand() -> None:
    # ln 2 apart: mean ln 2, spread ln 2, and 6.9646 is Student's t at 0.99 with two degrees.
    bound = 2 ** (1 + 6.9646 * (4 / 3) ** 0.5)
    assert normal_limit([1, 2, 4]) == pytest.approx(bound, rel=1e-3)
    # 98 of 100 at 1 and two at 10: here the percentile lies above the log-normal bound.
    assert normal_limit([1.0] * 98 + [10.0] * 2) == pytest.approx(10)
    assert normal_limit([3.0]) == pytest.approx(3)
    assert 0 <= normal_limit([0.0, 0.0, 0.0]) < 1e-9


def test_99_of_100_further_normal_photos_stay_under_the_limit() -> None:
    draw = np.random.default_rng(0)
    limits = [normal_limit(np.exp(draw.normal(0, 0.2, 30))) for _ in range(500)]
    assert norm.cdf(np.log(limits) / 0.2).mean() == pytest.approx(0.99, abs=0.005)


def test_limits_come_from_the_held_out_photos(network: CAE, calibration: Calibration) -> None:
    assert len(calibration.normal_scores) == len(calibration.normal_thesis_scores) == 8
    # In multiples of the limit, the limit of the very same scores is 1.
    assert normal_limit(calibration.normal_scores) == pytest.approx(1, abs=1e-3)
    held_out = scoring.to_tensor(_normal(8, 1))
    with torch.inference_mode():
        seen = scoring.observe(network, held_out)
        gains = scoring.brightness_gains(calibration, held_out).view(-1, 1, 1, 1)
        relit = scoring.observe(network, (held_out * gains).clamp(0, 1))
    # Kept scores measure each photo's error against the other photos', so a little differs.
    found = scoring.scores(scoring.anomaly_maps(calibration, relit))
    assert found.tolist() == pytest.approx(calibration.normal_scores, rel=0.1)
    thesis = scoring.thesis_scores(seen.error).tolist()
    assert calibration.normal_thesis_scores == pytest.approx(thesis, rel=1e-4)
    assert calibration.thesis_limit == pytest.approx(normal_limit(thesis), rel=1e-4)


def test_round_trip(calibration: Calibration) -> None:
    back = restore_calibration(calibration.tensors(), calibration.numbers())
    assert calibration.triangles().triu(1).abs().max() == 0
    for field in fields(Calibration):
        before, after = getattr(calibration, field.name), getattr(back, field.name)
        same = torch.equal(before, after) if isinstance(before, Tensor) else before == after
        assert same, field.name


def test_a_file_keeps_the_maps(calibration: Calibration, seen: Observation) -> None:
    stored = restore_calibration(as_stored(calibration.tensors()), calibration.numbers())
    before, after = (scoring.anomaly_maps(c, seen) for c in (calibration, stored))
    assert_allclose(after, before, rtol=1e-3, atol=1e-3)


def test_triangles_kept_as_in_the_file_give_the_same_maps(
    calibration: Calibration, seen: Observation
) -> None:
    tensors = calibration.tensors()
    stored = pack("w", tensors["whitening"])
    packed = Packed(stored["w"], stored[f"w{SCALE_SUFFIX}"])
    plain = restore_calibration(as_stored(tensors), calibration.numbers())
    small = restore_calibration(as_stored(tensors), calibration.numbers(), packed)
    assert held_bytes(small) < held_bytes(plain) / 2
    assert torch.equal(small.triangles(), plain.triangles())
    assert torch.equal(*(scoring.anomaly_maps(c, seen) for c in (plain, small)))
    assert torch.equal(small.tensors()["whitening"], plain.tensors()["whitening"])


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda tensors, _: tensors.pop("projection"), "projection"),
        (lambda tensors, _: tensors.update(surprise=torch.zeros(1)), "surprise"),
        (lambda tensors, _: tensors.update(error_mean=torch.zeros(256, 256)), "error_mean"),
        (lambda tensors, _: tensors.update(whitening=torch.zeros(256, 100, 100)), "whitening"),
        (lambda tensors, _: tensors.clear(), "error_mean, error_spread, feature_mean"),
        (lambda _, numbers: numbers.pop("limit"), "lacks limit$"),
    ],
)
def test_what_does_not_fit_is_refused(
    calibration: Calibration, damage: Callable[..., object], named: str
) -> None:
    tensors, numbers = calibration.tensors(), calibration.numbers()
    damage(tensors, numbers)
    with pytest.raises(ValueError, match=named):
        restore_calibration(tensors, numbers)


def test_photos_all_alike_calibrate_to_finite_numbers() -> None:
    network = build_autoencoder("cae").eval()
    same = np.full((8, 256, 256, 3), 100, np.uint8)
    calibration = fit_calibration(network, same, same)
    assert np.isfinite(
        [calibration.limit, *calibration.error_limits, calibration.feature_limit]
    ).all()


def test_only_unusual_brightness_is_normalised(calibration: Calibration) -> None:
    least, middle, greatest = calibration.brightness
    usual = torch.stack(
        [torch.full((3, 256, 256), light) for light in (least + 0.001, greatest - 0.001)]
    )
    assert (scoring.brightness_gains(calibration, usual) == 1).all()
    for other in (usual[:1] * 0.8, usual[1:] * 1.2):
        brought = other * scoring.brightness_gains(calibration, other).view(-1, 1, 1, 1)
        assert brought.mean().item() == pytest.approx(middle, rel=1e-3)
    # Black has no light to bring anywhere.
    assert scoring.brightness_gains(calibration, usual * 0).tolist() == pytest.approx([1.4] * 2)
