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


@pytest.mark.parametrize("category", ["rendered_cap", "screw"])
def test_a_memory_is_exported_with_its_extractor(tmp_path: Path, category: str) -> None:
    """The cap's memory goes by places alone, the screw's also by its bank."""
    inspect = load("memory", category)
    assert isinstance(inspect, MemoryDetector)
    session = _session(tmp_path, inspect)
    assert (inspect.memory.place_share == 1) == (category == "rendered_cap")
    for name, pixels in _photos().items():
        score, anomaly_map = session.run(None, {"photo": pixels[None]})
        expected = inspect(pixels)
        assert abs(float(score[0]) - expected.score) <= PARITY * max(1, expected.score), name
        worst = np.abs(anomaly_map[0] - expected.anomaly_map).max()
        assert worst <= 3 * PARITY * max(1, expected.score), name


def test_a_taught_detector_is_exported_too(tmp_path: Path) -> None:
    file, out = tmp_path / "part.safetensors", tmp_path / "part.onnx"
    teach([EXAMPLES / "rendered_cap/good.jpg"]).save(file)
    assert main(["export", str(file), "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    inspect = load(file)
    for name, pixels in _photos().items():
        expected = inspect(pixels)
        score = session.run(None, {"photo": pixels[None]})[0]
        assert float(score[0]) == pytest.approx(expected.score, abs=PARITY, rel=PARITY), name


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
