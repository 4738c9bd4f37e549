"""The memory of normal: maps, inspections and files, of drawn photos and an untrained extractor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from defect import load
from defect.detectors.feature_extractors import load_extractor
from defect.detectors.memory.memory import anomaly_map, restore_memory
from defect.detectors.registry import MAX_FILE_BYTES
from defect.networks.extractor import Extractor
from defect.training.memory import memory_metadata
from defect.training.memory.fit import FittedMemory, fit_memory
from defect.weights import files
from defect.weights.errors import NotAvailable, WeightsError
from tests.factories import bracket, good_photos, turned_parts, write_extractor

MOST_BYTES = 6 * 1024**2


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
    return _fit_and_save(folder, extractor, list(good_photos(10, 0)), "disc")


@pytest.fixture(scope="module")
def registered(folder: Path, extractor: Extractor) -> FittedMemory:
    """A memory of six brackets at any angle, also saved in the folder as `bracket`."""
    return _fit_and_save(folder, extractor, turned_parts(6, 0), "bracket")


def _fit_and_save(
    folder: Path, extractor: Extractor, photos: list[np.ndarray], name: str
) -> FittedMemory:
    found = fit_memory(extractor, photos, load_extractor(folder)[1])
    files.save(folder, {}, found.memory.tensors(), memory_metadata(found, name, "drawn", "none"))
    return found


def _map(extractor: Extractor, fitted: FittedMemory, photo: np.ndarray) -> np.ndarray:
    found: np.ndarray = anomaly_map(fitted.memory, extractor, photo)[0].numpy()
    return found


def _with_hole(photo: np.ndarray) -> np.ndarray:
    """Stripes at rows 150 to 180 and columns 60 to 90 of 256."""
    photo = photo.copy()
    photo[150:180, 60:90] = np.where(np.arange(30) % 6 < 3, 255, 0)[:, None]
    return photo


def test_a_defect_stands_out_where_it_is(extractor: Extractor, fitted: FittedMemory) -> None:
    for photo in good_photos(2, 5):
        good, bad = (_map(extractor, fitted, each) for each in (photo, _with_hole(photo)))
        assert good.max() < 1 < bad.max()
        row, column = np.array(np.unravel_index(bad.argmax(), bad.shape)) * 256 / len(bad)
        assert 140 <= row <= 190 and 50 <= column <= 100


@pytest.mark.parametrize("degrees", [0, 100, 215])
def test_a_defect_of_a_turned_part_is_found_in_the_photo_s_own_frame(
    extractor: Extractor, registered: FittedMemory, degrees: int
) -> None:
    assert registered.memory.template is not None
    photo = bracket(degrees, (5, -4), np.random.default_rng(7))
    # A spot on the long bar, 30 pixels right of the middle as the bracket is drawn.
    angle = np.radians(degrees)
    row, column = 128 + 5 - 30 * np.sin(angle), 128 - 4 + 30 * np.cos(angle)
    ys, xs = np.mgrid[:256, :256]
    bad = photo.copy()
    bad[np.hypot(ys - row, xs - column) < 8] = 20
    good_map, bad_map = (_map(extractor, registered, each) for each in (photo, bad))
    assert bad_map.max() > 1.3 * good_map.max()
    found = np.array(np.unravel_index(bad_map.argmax(), bad_map.shape)) * 256 / len(bad_map)
    assert np.hypot(*(found - (row, column))) < 16


@pytest.mark.parametrize("name", ["black", "white", "noise", "tiny"])
def test_a_map_is_finite_and_not_negative(
    extractor: Extractor, fitted: FittedMemory, registered: FittedMemory, name: str
) -> None:
    photo = {
        "black": np.zeros((256, 256, 3), np.uint8),
        "white": np.full((300, 200, 3), 255, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8),
        "tiny": np.full((1, 1, 3), 90, np.uint8),
    }[name]
    for memory in (fitted, registered):
        found = _map(extractor, memory, photo)
        assert found.dtype == np.float32 and np.isfinite(found).all() and found.min() >= 0


def test_exposure_alone_is_no_defect(extractor: Extractor, fitted: FittedMemory) -> None:
    (photo,) = good_photos(1, 6)
    plain = _map(extractor, fitted, photo).max()
    darker = _map(extractor, fitted, (photo * 0.8).astype(np.uint8)).max()
    assert darker == pytest.approx(plain, rel=0.3)


def test_a_score_does_not_depend_on_the_other_photos(
    folder: Path, fitted: FittedMemory, registered: FittedMemory
) -> None:
    for name, photos in (("disc", list(good_photos(3, 9))), ("bracket", turned_parts(3, 9))):
        inspect = load("memory", name, folder=folder)
        together = inspect(photos)
        for photo, one in zip(photos, together, strict=True):
            alone = inspect(photo)
            assert alone.score == one.score
            assert np.array_equal(alone.anomaly_map, one.anomaly_map)
        assert [one.score for one in inspect(photos[::-1])] == [o.score for o in together[::-1]]


def test_a_photo_of_another_shape_is_judged_and_said_so(folder: Path, fitted: FittedMemory) -> None:
    inspect = load("memory", "disc", folder=folder)
    same, stretched = inspect([good_photos(1, 3)[0], good_photos(1, 3)[0][:140]])
    assert not any("stretched" in note for note in same.notes)
    assert any("stretched" in note for note in stretched.notes)


def test_a_score_that_is_no_number_is_an_error(
    folder: Path, fitted: FittedMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect = load("memory", "disc", folder=folder)
    broken = replace(inspect.memory, limit=float("nan"))  # type: ignore[attr-defined]
    monkeypatch.setattr(inspect, "memory", broken)
    with pytest.raises(ValueError, match="not a number"):
        inspect(good_photos(1, 0)[0])


@pytest.mark.parametrize("name", ["disc", "bracket"])
def test_a_saved_memory_gives_equal_maps(
    folder: Path,
    extractor: Extractor,
    fitted: FittedMemory,
    registered: FittedMemory,
    name: str,
) -> None:
    inspect = load("memory", name, folder=folder)
    photo = good_photos(1, 9)[0] if name == "disc" else turned_parts(1, 9)[0]
    found = inspect(photo)
    own = _map(extractor, fitted if name == "disc" else registered, photo)
    np.testing.assert_allclose(found.anomaly_map, own, rtol=1e-4, atol=1e-4)
    assert found.score == pytest.approx(float(found.anomaly_map.max()))
    assert found.reconstruction is None and found.thesis_score is None and found.error_map is None
    assert (folder / f"memory/{name}.safetensors").stat().st_size <= MOST_BYTES


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
        {"levels": []},
        {"brightness": -1},
        {"known_sensitivity": {"stain": [5, 4]}},
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


def test_every_tensor_is_checked(fitted: FittedMemory, registered: FittedMemory) -> None:
    for memory in (fitted.memory, registered.memory):
        tensors, numbers = memory.tensors(), memory.numbers()
        assert restore_memory(tensors, numbers).photos == memory.photos
        for name, tensor in tensors.items():
            if name != "template":
                with pytest.raises(ValueError, match="does not fit"):
                    restore_memory({k: v for k, v in tensors.items() if k != name}, numbers)
            spoilt = tensor.clone()
            spoilt.view(-1)[0] = float("nan")
            for forged in (tensor[..., None], tensor[:1], tensor.long(), spoilt):
                with pytest.raises(ValueError, match="its "):
                    restore_memory({**tensors, name: forged}, numbers)
        with pytest.raises(ValueError, match="does not fit"):
            restore_memory({**tensors, "level0.view2.mean": torch.zeros(3)}, numbers)


def test_an_even_template_is_refused(registered: FittedMemory) -> None:
    tensors, numbers = registered.memory.tensors(), registered.memory.numbers()
    for template in (torch.zeros(96, 96), torch.full((96, 96), 0.5), torch.rand(96, 96) * 100):
        with pytest.raises(ValueError, match="template"):
            restore_memory({**tensors, "template": template}, numbers)
