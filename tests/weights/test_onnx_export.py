"""The ONNX file says what the library says, photo by photo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from defect import load, teach
from defect.cli import main
from defect.detectors.detector import Detector
from defect.detectors.memory.detector import MemoryDetector
from defect.weights.onnx_export import export
from tests.conftest import EXAMPLES
from tests.factories import textured_photos, turned_parts, write_extractor

pytestmark = pytest.mark.slow

PARITY = 1e-3
"""Largest difference of two scores, in normal limits."""


def _session(folder: Path, detector: Detector) -> onnxruntime.InferenceSession:
    path = folder / "model.onnx"
    size = export(detector.to_module(), detector.metadata, detector.source, path)
    assert size == path.stat().st_size
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> onnxruntime.InferenceSession:
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    assert main(["export", "cae", "rendered_cap", "--out", str(path)]) == 0
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _photos() -> dict[str, np.ndarray]:
    """The examples, one of them also in other light, and two that are no product at all."""
    found = {}
    for path in sorted((EXAMPLES / "rendered_cap").glob("*.jpg")):
        with Image.open(path) as photo:
            found[path.stem] = np.asarray(photo.convert("RGB").resize((256, 256)))
    for light in (0.6, 0.8, 1.15):
        found[f"light {light}"] = (found["good"] * light).clip(0, 255).astype(np.uint8)
    found["noise"] = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    found["black"] = np.zeros((256, 256, 3), np.uint8)
    return found


def test_scores_maps_and_verdicts_are_the_library_s(
    session: onnxruntime.InferenceSession,
) -> None:
    inspect = load("cae", "rendered_cap")
    for name, pixels in _photos().items():
        score, anomaly_map = session.run(None, {"photo": pixels[None]})
        expected = inspect(pixels)
        assert abs(float(score[0]) - expected.score) <= PARITY, name
        assert anomaly_map.shape == (1, 256, 256)
        assert np.abs(anomaly_map[0] - expected.anomaly_map).max() <= 3 * PARITY, name
        assert (score[0] >= 1) == expected.defective, name


def _assert_parity(detector: MemoryDetector, folder: Path, photos: list[np.ndarray]) -> None:
    """Scores within 1 % of each other and the same verdicts, on photos of the working size."""
    session = _session(folder, detector)
    height, width = detector.memory.levels[-1].size
    assert session.get_inputs()[0].shape == [1, height, width, 3]
    for pixels in photos:
        sized = np.asarray(Image.fromarray(pixels).resize((width, height)))
        score, anomaly_map = session.run(None, {"photo": sized[None]})
        expected = detector(sized)
        assert abs(float(score[0]) - expected.score) <= 1e-2 * max(1, expected.score)
        assert anomaly_map[0].shape == expected.anomaly_map.shape
        # On steep slopes a pose that differs by a hundredth of a pixel shows.
        difference = np.abs(anomaly_map[0] - expected.anomaly_map)
        assert np.quantile(difference, 0.999) <= 3e-2 * max(1, expected.score)
        assert float(score[0]) == pytest.approx(float(anomaly_map.max()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_extractor(tmp_path_factory.mktemp("weights"))


def test_a_memory_of_a_texture_is_exported(folder: Path, tmp_path: Path) -> None:
    """With its own aspect ratio."""
    detector = teach(textured_photos(3, 0, (200, 300)), "texture", folder=folder)
    assert detector.memory.template is None
    photos = textured_photos(2, 5, (200, 300))
    bad = photos[0].copy()
    bad[90:110, 90:120] = 250
    dark = (photos[1] * 0.6).astype(np.uint8)
    _assert_parity(detector, tmp_path, [*photos, bad, dark, np.zeros_like(bad)])


def test_a_memory_that_registers_photos_is_exported(folder: Path, tmp_path: Path) -> None:
    detector = teach(turned_parts(4, 0), "bracket", folder=folder)
    assert detector.memory.template is not None
    photos = turned_parts(4, 5)
    photos[3] = photos[3].copy()
    photos[3][110:130, 110:130] = 10
    _assert_parity(detector, tmp_path, photos)


def test_a_memory_of_two_levels_is_exported(folder: Path, tmp_path: Path) -> None:
    detector = teach(textured_photos(2, 0, (1000, 1000)), "fine", folder=folder)
    assert len(detector.memory.levels) == 2
    _assert_parity(detector, tmp_path, textured_photos(2, 5, (768, 768)))


def test_a_bundled_memory_is_exported(tmp_path: Path) -> None:
    detector = load("memory", "rendered_cap")
    assert isinstance(detector, MemoryDetector)
    _assert_parity(detector, tmp_path, list(_photos().values()))


def test_a_taught_detector_is_exported_by_its_file(tmp_path: Path) -> None:
    file, out = tmp_path / "part.safetensors", tmp_path / "part.onnx"
    teach([EXAMPLES / "rendered_cap/good.jpg"]).save(file)
    assert main(["export", str(file), "--out", str(out)]) == 0
    assert out.stat().st_size > 1_000_000


def test_the_file_says_what_it_is(session: onnxruntime.InferenceSession) -> None:
    assert [(i.name, i.shape, i.type) for i in session.get_inputs()] == [
        ("photo", [1, 256, 256, 3], "tensor(uint8)")
    ]
    assert [(o.name, o.shape) for o in session.get_outputs()] == [
        ("score", [1]),
        ("anomaly_map", [1, 256, 256]),
    ]
    about = session.get_modelmeta().custom_metadata_map
    assert (about["model"], about["category"]) == ("cae", "rendered_cap")
    assert about["licence"] and len(about["weights_sha256"]) == 64


def test_what_cannot_be_exported_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "cae", "teapot"]) == 1
    assert "teapot" in capsys.readouterr().err
