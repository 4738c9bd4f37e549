"""The memory of normal: taught from drawn photos through a tiny extractor nobody trained."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from defect.training.teach import ALONE, Taught, teach

from defect import load
from defect.detectors import memory as normal
from defect.detectors.memory import restore_memory
from defect.detectors.memory_detector import MemoryDetector, from_bytes, load_extractor
from defect.detectors.scoring import to_tensor
from defect.networks.extractor import Extractor, fold
from defect.training import memory as memories
from defect.weights import files as weights
from defect.weights.files import NotAvailable, WeightsError
from tests.memory_photos import good_photos, tiny_extractor, write_extractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the tiny extractor."""
    where = tmp_path_factory.mktemp("weights")
    write_extractor(where)
    return where


@pytest.fixture(scope="module")
def extractor(folder: Path) -> Extractor:
    return load_extractor(folder)[0]


@pytest.fixture(scope="module")
def taught(folder: Path, extractor: Extractor) -> Taught:
    """A memory of ten photos, also saved in the folder as `disc`."""
    found = teach(extractor, good_photos(10, 0), load_extractor(folder)[1])
    header = memories.describe(found, "disc", "drawn", "none")
    weights.save(folder, {}, found.memory.tensors(), header)
    return found


def _scores(extractor: Extractor, taught: Taught, photos: np.ndarray) -> torch.Tensor:
    with torch.inference_mode():
        pixels, _ = normal.normalise_brightness(to_tensor(photos), taught.memory.light)
        maps = normal.anomaly_maps(taught.memory, normal.describe(extractor, pixels))
    return maps.flatten(1).amax(1)


def test_folding_changes_no_feature() -> None:
    network = tiny_extractor()
    pixels = torch.rand(2, 3, 256, 256)
    with torch.inference_mode():
        before = network(pixels)
        after = fold(network)(pixels)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_spoiled_photo_stands_out_where_it_is_spoiled(
    extractor: Extractor, taught: Taught
) -> None:
    photos = good_photos(4, 5)
    photos[2:, 150:180, 60:90] = np.where(np.arange(30) % 6 < 3, 255, 0)[:, None]
    with torch.inference_mode():
        pixels, _ = normal.normalise_brightness(to_tensor(photos), taught.memory.light)
        maps = normal.anomaly_maps(taught.memory, normal.describe(extractor, pixels))
    scores = maps.flatten(1).amax(1)
    assert scores[2:].min() > 1.2 * scores[:2].max()
    for one in maps[2:]:
        row, column = divmod(int(one.argmax()), 256)
        assert 140 <= row <= 190 and 50 <= column <= 100


def test_exposure_alone_is_no_defect(extractor: Extractor, taught: Taught) -> None:
    photos = good_photos(3, 6)
    plain = _scores(extractor, taught, photos)
    darker = _scores(extractor, taught, (photos * 0.75).astype(np.uint8))
    torch.testing.assert_close(darker, plain, rtol=0.15, atol=0.05)


def test_what_is_promised_holds_for_new_good_photos(extractor: Extractor, taught: Taught) -> None:
    scores = _scores(extractor, taught, good_photos(24, 7))
    assert (scores >= 1).float().mean() <= 0.1
    assert len(taught.memory.normal_scores) == taught.memory.photos == 10


@pytest.mark.parametrize("count", [1, 2, 20])
def test_one_photo_or_many(extractor: Extractor, count: int) -> None:
    few = teach(extractor, good_photos(count, 0), "sha")
    photos = good_photos(2, 8)
    photos[1, 150:190, 60:100] = 255 - photos[1, 150:190, 60:100]
    calm, corrupted = _scores(extractor, few, photos).tolist()
    assert corrupted > calm
    assert count < 20 or few.passes <= 5


def test_the_limit_of_one_photo_is_far_above_its_copies(extractor: Extractor) -> None:
    alone = teach(extractor, good_photos(1, 0), "sha")
    assert 0.6 / ALONE < max(alone.memory.normal_scores) <= 1 / ALONE
    assert (_scores(extractor, alone, good_photos(12, 9)) >= 1).float().mean() < 0.5


def test_no_photo_or_too_many_are_refused(extractor: Extractor) -> None:
    for count in (0, 1001):
        with pytest.raises(ValueError, match="1 to 1000"):
            teach(extractor, np.zeros((count, 1, 1, 3), np.uint8), "sha")


def test_a_saved_memory_judges_alike(folder: Path, extractor: Extractor, taught: Taught) -> None:
    inspect = load("memory", "disc", folder=folder)
    photos = good_photos(2, 9)
    photos[1, 100:140, 100:140] = 0
    calm, bad = inspect([photos[0], photos[1]])
    assert (calm.defective, bad.defective) == (False, True)
    assert bad.reconstruction is None and bad.thesis_score is None and bad.error_map is None
    assert bad.score == pytest.approx(float(bad.anomaly_map.max()))
    torch.testing.assert_close(
        torch.tensor([calm.score, bad.score]),
        _scores(extractor, taught, photos),
        rtol=2e-2,
        atol=1e-2,
    )
    size = (folder / "memory/disc.safetensors").stat().st_size
    assert size < 1_500_000


def test_without_an_extractor_nothing_is_taught(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="no feature extractor"):
        load_extractor(tmp_path)


def _bytes(folder: Path, **changes: object) -> bytes:
    content = weights.read(folder, "memory", "disc")
    header = {**content.metadata.calibration, **changes}
    metadata = replace(content.metadata, calibration=header)
    return weights.to_bytes({}, content.calibration, metadata)


def test_a_downloaded_detector_comes_back(folder: Path, taught: Taught) -> None:
    inspect = from_bytes(_bytes(folder), "mine.safetensors", folder)
    assert isinstance(inspect, MemoryDetector)
    assert inspect.source.source == "uploaded"
    photo = good_photos(1, 9)[0]
    assert inspect(photo).score == load("memory", "disc", folder=folder)(photo).score


@pytest.mark.parametrize(
    "changes",
    [
        {"limit": 0.0},
        {"limit": float("nan")},
        {"limit": "1"},
        {"place_share": 2},
        {"light": -1},
        {"normal_scores": []},
        {"normal_scores": [{}]},
        {"photos": True},
        {"extractor": "another"},
        {"extractor": None},
    ],
)
def test_a_tampered_detector_is_refused(
    folder: Path, taught: Taught, changes: dict[str, object]
) -> None:
    with pytest.raises(WeightsError, match=r'"mine" is not a detector this app can load'):
        from_bytes(_bytes(folder, **changes), "mine", folder)


def test_what_is_no_detector_is_refused(folder: Path, taught: Taught) -> None:
    whole = _bytes(folder)
    header = (folder / "extractor/shared.safetensors").read_bytes()
    draw = np.random.default_rng(0)
    damaged = [b"", b"\x00" * 64, whole[: len(whole) // 2], header, b"\xff" * 4096]
    for _ in range(20):
        corrupted = bytearray(whole)
        for place in draw.integers(0, 3000, 8):
            corrupted[place] = draw.integers(256)
        damaged.append(bytes(corrupted))
    for data in damaged:
        try:
            from_bytes(data, "mine", folder)
        except WeightsError as error:
            assert str(error).startswith('"mine"')
    with pytest.raises(WeightsError, match="9 MB"):
        from_bytes(b"x" * 9_000_000, "mine", folder)


def test_tensors_of_another_shape_are_refused(taught: Taught) -> None:
    tensors, numbers = taught.memory.tensors(), taught.memory.numbers()
    assert restore_memory(tensors, numbers).photos == 10
    for name, tensor in tensors.items():
        with pytest.raises(ValueError, match="does not fit"):
            restore_memory({k: v for k, v in tensors.items() if k != name}, numbers)
        with pytest.raises(ValueError, match="does not fit"):
            restore_memory({**tensors, name: tensor[..., None]}, numbers)
