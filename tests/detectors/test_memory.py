"""The memory of normal: taught from drawn photos through a tiny extractor nobody trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from defect import load
from defect.detectors import memory as normal
from defect.detectors.feature_extractors import load_extractor
from defect.detectors.memory import restore_memory
from defect.detectors.registry import MAX_FILE_BYTES
from defect.detectors.scoring import to_tensor
from defect.networks.extractor import Extractor, fold
from defect.training.memory import memory_metadata
from defect.training.memory_fit import ALONE, FittedMemory, fit_memory
from defect.weights import files
from defect.weights.errors import NotAvailable, WeightsError
from tests.factories import good_photos, tiny_extractor, write_extractor


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the tiny extractor."""
    return write_extractor(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def extractor(folder: Path) -> Extractor:
    return load_extractor(folder)[0]


@pytest.fixture(scope="module")
def fitted(folder: Path, extractor: Extractor) -> FittedMemory:
    """A memory of ten photos, also saved in the folder as `disc`."""
    found = fit_memory(extractor, good_photos(10, 0), load_extractor(folder)[1])
    files.save(folder, {}, found.memory.tensors(), memory_metadata(found, "disc", "drawn", "none"))
    return found


@torch.inference_mode()
def _maps(extractor: Extractor, fitted: FittedMemory, photos: np.ndarray) -> torch.Tensor:
    pixels, _ = normal.normalise_brightness(to_tensor(photos), fitted.memory.light)
    return normal.anomaly_maps(fitted.memory, normal.extract_features(extractor, pixels))


def _scores(extractor: Extractor, fitted: FittedMemory, photos: np.ndarray) -> torch.Tensor:
    return _maps(extractor, fitted, photos).flatten(1).amax(1)


def test_folding_changes_no_feature() -> None:
    network = tiny_extractor()
    pixels = torch.rand(2, 3, 256, 256)
    with torch.inference_mode():
        before = network(pixels)
        after = fold(network)(pixels)
    for one, other in zip(before, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_defect_stands_out_where_it_is(extractor: Extractor, fitted: FittedMemory) -> None:
    photos = good_photos(4, 5)
    photos[2:, 150:180, 60:90] = np.where(np.arange(30) % 6 < 3, 255, 0)[:, None]
    maps = _maps(extractor, fitted, photos)
    scores = maps.flatten(1).amax(1)
    assert scores[2:].min() > 1.2 * scores[:2].max()
    for one in maps[2:]:
        row, column = divmod(int(one.argmax()), 256)
        assert 140 <= row <= 190 and 50 <= column <= 100


def test_exposure_alone_is_no_defect(extractor: Extractor, fitted: FittedMemory) -> None:
    photos = good_photos(3, 6)
    plain = _scores(extractor, fitted, photos)
    darker = _scores(extractor, fitted, (photos * 0.75).astype(np.uint8))
    torch.testing.assert_close(darker, plain, rtol=0.15, atol=0.05)


def test_the_normal_limit_holds_for_new_good_photos(
    extractor: Extractor, fitted: FittedMemory
) -> None:
    scores = _scores(extractor, fitted, good_photos(24, 7))
    assert (scores >= 1).float().mean() <= 0.1
    assert len(fitted.memory.normal_scores) == fitted.memory.photos == 10


@pytest.mark.parametrize("count", [1, 2, 20])
def test_one_photo_or_many(extractor: Extractor, count: int) -> None:
    few = fit_memory(extractor, good_photos(count, 0), "sha")
    photos = good_photos(2, 8)
    photos[1, 150:190, 60:100] = 255 - photos[1, 150:190, 60:100]
    calm, corrupted = _scores(extractor, few, photos).tolist()
    assert corrupted > calm
    assert count < 20 or few.passes <= 5


def test_the_limit_of_one_photo_is_far_above_its_copies(extractor: Extractor) -> None:
    alone = fit_memory(extractor, good_photos(1, 0), "sha")
    assert 0.6 / ALONE < max(alone.memory.normal_scores) <= 1 / ALONE
    assert (_scores(extractor, alone, good_photos(12, 9)) >= 1).float().mean() < 0.5


def test_no_photo_or_too_many_are_refused(extractor: Extractor) -> None:
    for count in (0, 1001):
        with pytest.raises(ValueError, match="1 to 1000"):
            fit_memory(extractor, np.zeros((count, 1, 1, 3), np.uint8), "sha")


def test_a_saved_memory_judges_alike(
    folder: Path, extractor: Extractor, fitted: FittedMemory
) -> None:
    inspect = load("memory", "disc", folder=folder)
    photos = good_photos(2, 9)
    photos[1, 100:140, 100:140] = 0
    calm, bad = inspect([photos[0], photos[1]])
    assert (calm.defective, bad.defective) == (False, True)
    assert bad.reconstruction is None and bad.thesis_score is None and bad.error_map is None
    assert bad.score == pytest.approx(float(bad.anomaly_map.max()))
    torch.testing.assert_close(
        torch.tensor([calm.score, bad.score]),
        _scores(extractor, fitted, photos),
        rtol=2e-2,
        atol=1e-2,
    )
    size = (folder / "memory/disc.safetensors").stat().st_size
    assert size < 1_500_000


def test_without_an_extractor_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match="no feature extractor"):
        load_extractor(tmp_path)


def _bytes(folder: Path, **changes: object) -> bytes:
    content = files.read(folder, "memory", "disc")
    header = {**content.metadata.calibration, **changes}
    metadata = replace(content.metadata, calibration=header)
    return files.to_bytes({}, content.calibration, metadata)


@pytest.fixture
def refused(folder: Path, tmp_path: Path) -> Callable[[bytes], str]:
    """Loads a file of these bytes and returns the error; fails where it is accepted."""

    def check(data: bytes) -> str:
        (tmp_path / "mine.safetensors").write_bytes(data)
        with pytest.raises(WeightsError) as caught:
            load(tmp_path / "mine.safetensors", folder=folder)
        assert str(tmp_path) not in str(caught.value)
        return str(caught.value)

    return check


def test_a_downloaded_detector_comes_back(
    folder: Path, fitted: FittedMemory, tmp_path: Path
) -> None:
    (tmp_path / "mine.safetensors").write_bytes(_bytes(folder))
    inspect = load(tmp_path / "mine.safetensors", folder=folder)
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
    folder: Path,
    fitted: FittedMemory,
    refused: Callable[[bytes], str],
    changes: dict[str, object],
) -> None:
    error = refused(_bytes(folder, **changes))
    assert error.startswith('"mine.safetensors" is not a detector this app can load')


def test_what_is_no_detector_is_refused(
    folder: Path, fitted: FittedMemory, refused: Callable[[bytes], str]
) -> None:
    whole = _bytes(folder)
    header = 8 + int.from_bytes(whole[:8], "little")
    other = (folder / "extractor/shared.safetensors").read_bytes()
    draw = np.random.default_rng(0)
    damaged = [b"", b"\x00" * 64, whole[: len(whole) // 2], other, b"\xff" * 4096]
    for _ in range(20):
        # The header is ASCII: a high bit in it is never right, whichever bytes are hit.
        corrupted = bytearray(whole)
        for position in draw.choice(header, 8, replace=False):
            corrupted[position] ^= 0x80 | int(draw.integers(128))
        damaged.append(bytes(corrupted))
    assert len(damaged) == 25
    for data in damaged:
        assert refused(data).startswith('"mine.safetensors" is not a detector')


def test_a_file_too_large_is_not_read(folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "mine.safetensors").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(WeightsError, match="42 MB, too large"):
        load(tmp_path / "mine.safetensors", folder=folder)


def test_tensors_of_another_shape_are_refused(fitted: FittedMemory) -> None:
    tensors, numbers = fitted.memory.tensors(), fitted.memory.numbers()
    assert restore_memory(tensors, numbers).photos == 10
    for name, tensor in tensors.items():
        with pytest.raises(ValueError, match="does not fit"):
            restore_memory({k: v for k, v in tensors.items() if k != name}, numbers)
        with pytest.raises(ValueError, match="does not fit"):
            restore_memory({**tensors, name: tensor[..., None]}, numbers)
