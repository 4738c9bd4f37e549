"""Teaching a memory: alignment, limits, outliers, refusals, and large photos."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from defect.detectors.memory.memory import anomaly_map, restore_memory
from defect.inspection import Message
from defect.networks.extractor import Extractor
from defect.training.memory import memory_metadata
from defect.training.memory.fit import LARGE, FittedMemory, fit_memory
from defect.training.memory.synthetic_anomalies import KINDS
from defect.weights import files
from defect.weights.quantisation import as_stored
from tests.factories import bracket, good_photos, textured_photos, tiny_extractor, turned_parts


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return tiny_extractor()


@pytest.fixture(scope="module")
def with_outlier(extractor: Extractor) -> FittedMemory:
    """Twelve photos; the last one shows something else."""
    photos = list(good_photos(12, 0))
    photos[11] = textured_photos(1, 0)[0]
    return fit_memory(extractor, photos, "sha")


def _score(extractor: Extractor, fitted: FittedMemory, photo: np.ndarray) -> float:
    return float(anomaly_map(fitted.memory, extractor, photo)[0].max())


def _digest(fitted: FittedMemory) -> str:
    digest = hashlib.sha256(repr(fitted.memory.numbers()).encode())
    for name, tensor in sorted(fitted.memory.tensors().items()):
        digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()


# What the photos decide


@pytest.mark.parametrize("count", [1, 4])
def test_parts_at_any_angle_are_registered(extractor: Extractor, count: int) -> None:
    assert fit_memory(extractor, turned_parts(count, 0), "sha").memory.template is not None


def test_textures_and_aligned_parts_are_not(extractor: Extractor) -> None:
    aligned = [bracket(30, (0, 0), np.random.default_rng(i)) for i in range(3)]
    for photos in (textured_photos(4, 0), aligned):
        assert fit_memory(extractor, photos, "sha").memory.template is None


@pytest.mark.parametrize("shape", [(1600, 600), (600, 1600)])
def test_photos_are_not_squeezed_into_a_square(
    extractor: Extractor, shape: tuple[int, int]
) -> None:
    memory = fit_memory(extractor, textured_photos(2, 0, shape), "sha").memory
    height, width = memory.levels[0].size
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.1)
    found, _ = anomaly_map(memory, extractor, textured_photos(1, 5, shape)[0])
    assert found.shape == (height // 2, width // 2)


# Limits and leave-one-out


@pytest.mark.parametrize("count", [1, 2, 10])
def test_new_good_photos_stay_under_the_limit(extractor: Extractor, count: int) -> None:
    fitted = fit_memory(extractor, list(good_photos(count, 0)), "sha")
    scores = [_score(extractor, fitted, photo) for photo in good_photos(6, 7)]
    # Two photos say little of how much good parts differ: their limit is not held to the letter.
    assert max(scores) < 1.3
    assert count == 2 or sum(score >= 1 for score in scores) <= 1
    bad = good_photos(1, 8)[0]
    bad[150:190, 60:100] = 255 - bad[150:190, 60:100]
    assert _score(extractor, fitted, bad) > max(scores)


def test_an_outlier_among_twelve_is_found_and_does_not_raise_the_limit(
    extractor: Extractor, with_outlier: FittedMemory
) -> None:
    assert int(with_outlier.scores.argmax()) == 11
    assert with_outlier.left_out.tolist() == [False] * 11 + [True]
    assert with_outlier.memory.photos == 11
    plain = fit_memory(extractor, list(good_photos(11, 0)), "sha")
    bad = good_photos(1, 5)[0]
    bad[150:180, 60:90] = 255
    scores = [_score(extractor, fitted, bad) for fitted in (with_outlier, plain)]
    assert min(scores) > 1
    assert scores[0] == pytest.approx(scores[1], rel=0.2)


def test_known_sensitivity_counts_each_kind(with_outlier: FittedMemory) -> None:
    known = with_outlier.memory.known_sensitivity
    assert set(known) == set(KINDS)
    for found, tried in known.values():
        assert 0 <= found <= tried and tried > 0
    assert sum(found for found, _ in known.values()) > 0


def test_scores_are_finite_and_the_memory_fits_its_own_file(with_outlier: FittedMemory) -> None:
    assert np.isfinite(with_outlier.scores).all() and (with_outlier.scores > 0).all()
    memory = with_outlier.memory
    restored = restore_memory(as_stored(memory.tensors()), memory.numbers())
    assert restored.numbers() == memory.numbers()


def test_the_seed_decides_everything(extractor: Extractor) -> None:
    photos = textured_photos(2, 0)
    one, same, other = (fit_memory(extractor, photos, "sha", seed=seed) for seed in (0, 0, 1))
    assert _digest(one) == _digest(same)
    assert one.memory.numbers()["known_sensitivity"] is not None
    assert _digest(one) != _digest(other)


@pytest.mark.parametrize("count", [1, 2])
def test_progress_ends_at_its_total(extractor: Extractor, count: int) -> None:
    seen: list[tuple[int, int]] = []
    fit_memory(
        extractor,
        textured_photos(count, 0),
        "sha",
        report_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(i + 1, len(seen)) for i in range(len(seen))]


# What is refused


@pytest.mark.parametrize("count", [0, 1001])
def test_no_photo_or_too_many(extractor: Extractor, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 1000") as caught:
        fit_memory(extractor, [np.zeros((1, 1, 3), np.uint8)] * count, "sha")
    assert isinstance(caught.value.args[0], Message)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_photos_that_show_nothing(extractor: Extractor, grey: int) -> None:
    with pytest.raises(ValueError, match="show nothing") as caught:
        fit_memory(extractor, [np.full((64, 64, 3), grey, np.uint8)] * 3, "sha")
    assert isinstance(caught.value.args[0], Message)


def test_photos_that_are_all_the_same(extractor: Extractor) -> None:
    with pytest.raises(ValueError, match="All photos are the same") as caught:
        fit_memory(extractor, [good_photos(1, 0)[0]] * 4, "sha")
    assert isinstance(caught.value.args[0], Message)


def test_a_black_photo_among_good_ones_is_left_out(extractor: Extractor) -> None:
    photos = [*textured_photos(3, 0), np.zeros((256, 256, 3), np.uint8)]
    fitted = fit_memory(extractor, photos, "sha")
    assert fitted.left_out.tolist() == [False, False, False, True]
    assert np.isinf(fitted.scores[3]) and np.isfinite(fitted.scores[:3]).all()


# Large photos


@pytest.mark.slow
def test_a_small_defect_of_a_large_photo_is_found(extractor: Extractor) -> None:
    """20 of 2000 pixels: four of the working size, eight of the finer level."""
    photos = [_large(seed) for seed in range(6)]
    fitted = fit_memory(extractor, photos, "sha")
    assert len(fitted.memory.levels) == 2
    metadata = memory_metadata(fitted, "plate", "drawn", "none")
    assert len(files.to_bytes({}, fitted.memory.tensors(), metadata)) <= 6 * 1024**2
    good = _large(9)
    bad = good.copy()
    ys, xs = np.mgrid[:2000, :2000]
    bad[np.hypot(ys - 1400, xs - 700) < 10] = 250
    found, _ = anomaly_map(fitted.memory, extractor, bad)
    assert _score(extractor, fitted, good) < 1 < float(found.max())
    at = np.array(np.unravel_index(int(found.argmax()), found.shape)) * 2000 / len(found)
    assert np.hypot(*(at - (1400, 700))) < 60


def _large(seed: int) -> np.ndarray:
    """2000×2000: a plate with ribs, a little moved and lit."""
    assert LARGE < 2000
    draw = np.random.default_rng(seed)
    ys, xs = np.mgrid[:2000, :2000]
    dy, dx = draw.uniform(-8, 8, 2)
    grey = 110 + 25 * np.sin((xs + dx) / 40) + 20 * (np.sin((ys + dy) / 130) > 0)
    grey = grey * draw.uniform(0.97, 1.03) + draw.normal(0, 3, (2000, 2000))
    return np.repeat(grey[..., None], 3, 2).clip(0, 255).astype(np.uint8)
