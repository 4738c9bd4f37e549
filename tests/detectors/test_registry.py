"""One `load` for every detector: bundled, from a file, saved and loaded again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from defect import load, teach
from defect.detectors.autoencoder import AutoencoderDetector
from defect.detectors.detector import Detector
from defect.detectors.memory.detector import MemoryDetector
from defect.detectors.registry import DETECTORS, plain_name
from defect.weights import files
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.index import WEIGHTS_FOLDER, read_index
from tests.conftest import EXAMPLES
from tests.factories import good_photos, make_metadata, write_extractor

CHIP = EXAMPLES / "rendered_cap/chip.jpg"
KINDS = [("cae", "rendered_cap"), ("dae", "rendered_cap"), ("memory", "rendered_cap")]
KINDS += [("vae", e.category) for e in read_index() if e.model == "vae"][:1]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with the tiny extractor alone."""
    return write_extractor(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def taught(folder: Path) -> MemoryDetector:
    return teach(list(good_photos(3, 0)), "bracket", folder=folder)


def _same(one: Detector, other: Detector) -> None:
    first, second = one(CHIP), other(CHIP)
    assert first.score == second.score and first.thesis_score == second.thesis_score
    assert np.array_equal(first.anomaly_map, second.anomaly_map)


def test_every_kind_is_tried_here() -> None:
    assert {model for model, _ in KINDS} == set(DETECTORS)


@pytest.mark.parametrize(("model", "category"), KINDS)
def test_saved_and_loaded_again_it_gives_equal_scores(
    model: str, category: str, tmp_path: Path
) -> None:
    detector = load(model, category)
    detector.save(tmp_path / "saved/one.safetensors")
    again = load(tmp_path / "saved/one.safetensors")
    _same(detector, again)
    assert (again.name, again.category) == (model, category)
    assert again.source.source == "uploaded" and again.source.file == "one.safetensors"
    # And what came from a file is saved as that file.
    again.save(tmp_path / "two.safetensors")
    _same(detector, load(str(tmp_path / "two.safetensors")))


@pytest.mark.parametrize(("model", "category"), KINDS)
def test_a_bundled_file_copied_elsewhere_is_the_same_detector(
    model: str, category: str, tmp_path: Path
) -> None:
    """Figures in its header are not taken over: nobody vouches for them."""
    path = tmp_path / "Mine.SAFETENSORS"
    shutil.copy(WEIGHTS_FOLDER / model / f"{category}.safetensors", path)
    detector = load(path)
    _same(load(model, category), detector)
    assert detector.metadata.test == {} and detector.metadata.transfer == {}


def test_a_taught_detector_saved_and_loaded_gives_equal_scores(
    taught: MemoryDetector, folder: Path, tmp_path: Path
) -> None:
    taught.save(tmp_path / "bracket.safetensors")
    again = load(tmp_path / "bracket.safetensors", folder=folder)
    assert again.category == "bracket"
    for photo in good_photos(2, 7):
        assert again(photo).score == pytest.approx(taught(photo).score, rel=1e-3)
    again.save(tmp_path / "again.safetensors")
    third = load(tmp_path / "again.safetensors", folder=folder)
    assert third(photo).score == again(photo).score


def test_a_file_that_was_exchanged_is_not_saved(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    shutil.copy(WEIGHTS_FOLDER / "cae/rendered_cap.safetensors", path)
    detector = load(path)
    shutil.copy(WEIGHTS_FOLDER / "cae/rendered_washer.safetensors", path)
    for _ in range(2):
        with pytest.raises(WeightsError, match="replaced or removed"):
            detector.save(tmp_path / "saved.safetensors")
        path.unlink(missing_ok=True)
    assert not (tmp_path / "saved.safetensors").exists()


def test_other_weights_files_are_no_detectors(tmp_path: Path) -> None:
    for file in ("cnn/neu.safetensors", "extractor/shared.safetensors"):
        shutil.copy(WEIGHTS_FOLDER / file, tmp_path / "one.safetensors")
        with pytest.raises(WeightsError, match=r'"one\.safetensors" is not a detector.*of another'):
            load(tmp_path / "one.safetensors")


def test_an_autoencoder_s_file_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    content = files.read(WEIGHTS_FOLDER, "cae", "rendered_cap")
    path = tmp_path / "one.safetensors"
    narrow = {name: tensor[:1] for name, tensor in content.network.items() if tensor.ndim}
    path.write_bytes(files.to_bytes(narrow, content.calibration, content.metadata))
    with pytest.raises(WeightsError, match=r'"one\.safetensors" is not a detector.*does not fit'):
        load(path)
    path.write_bytes(files.to_bytes(content.network, {}, content.metadata))
    with pytest.raises(WeightsError, match=r'"one\.safetensors" is not a detector.*calibration'):
        load(path)
    model = make_metadata(model="../../etc")
    path.write_bytes(files.to_bytes(content.network, {}, model))
    with pytest.raises(WeightsError, match="of another model"):
        load(path)


def test_a_file_that_is_absent_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(NotAvailable, match=r'no file "none\.safetensors"') as caught:
        load(tmp_path / "none.safetensors")
    assert str(tmp_path) not in str(caught.value)


def test_a_path_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(WEIGHTS_FOLDER / "cae/rendered_cap.safetensors", tmp_path / "one.safetensors")
    assert load("~/one.safetensors").category == "rendered_cap"


def test_a_device_is_one_detector_s_own(folder: Path, tmp_path: Path) -> None:
    """The extractor is shared: a memory on another device must not take it along."""
    photos = good_photos(2, 0)
    memory = teach(list(photos), "disc", folder=folder)
    memory.save(tmp_path / "disc.safetensors")
    before = memory(photos[0]).score
    elsewhere = load(tmp_path / "disc.safetensors", folder=folder, device="meta")
    assert isinstance(elsewhere, MemoryDetector)
    assert next(elsewhere.extractor.parameters()).device == torch.device("meta")
    assert memory(photos[0]).score == before
    autoencoder = load("cae", "rendered_cap", device="meta")
    assert isinstance(autoencoder, AutoencoderDetector)
    assert next(autoencoder.network.parameters()).device == torch.device("meta")
    assert next(load("cnn", device="meta").network.parameters()).device == torch.device("meta")


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("bracket", "bracket"),
        (" M8 nut ", "M8_nut"),
        ("../../etc/passwd", "etc_passwd"),
        ("部件", "部件"),
        ("///", "product"),
        ("", "product"),
        ("x" * 99, "x" * 40),
    ],
)
def test_names_from_outside_are_made_plain(name: str, plain: str) -> None:
    assert plain_name(name) == plain
