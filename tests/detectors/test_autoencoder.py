"""Photos in, inspections out: shapes, types, one pass a photo, thresholds asked afterwards."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from defect import load
from defect.detectors import scoring
from defect.detectors.detector import Detector
from defect.detectors.stream import BATCH
from defect.imaging.photo import ImageError
from defect.inspection import Inspection
from defect.networks.autoencoders import Autoencoder
from defect.weights import files
from defect.weights.errors import NotAvailable, WeightsError
from tests.conftest import EXAMPLES

GOOD = EXAMPLES / "rendered_cap/good.jpg"
CHIP = EXAMPLES / "rendered_cap/chip.jpg"


@pytest.fixture(scope="module")
def inspect() -> Detector:
    return load("cae", "rendered_cap")


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of every pass of a network while the test runs."""
    sizes: list[int] = []
    observe = scoring.observe

    def counted(network: Autoencoder, pixels: Tensor) -> scoring.Observation:
        sizes.append(len(pixels))
        return observe(network, pixels)

    monkeypatch.setattr(scoring, "observe", counted)
    return sizes


def test_everything_promised_is_there(inspect: Detector) -> None:
    result = inspect(CHIP)
    assert isinstance(result, Inspection)
    assert isinstance(result.score, float)
    assert isinstance(result.thesis_score, float)
    assert isinstance(result.defective, bool)
    assert result.threshold == 1.0
    assert (result.anomaly_map.shape, result.anomaly_map.dtype) == ((256, 256), np.float32)
    assert (result.mask.shape, result.mask.dtype) == ((256, 256), bool)
    assert result.reconstruction is not None
    assert (result.reconstruction.shape, result.reconstruction.dtype) == ((256, 256, 3), np.uint8)
    assert result.photo.dtype == np.uint8
    assert result.photo.shape == (320, 320, 3)
    assert (result.model, result.category, result.name) == ("cae", "rendered_cap", "chip.jpg")
    assert result.weights.source == "bundled"
    assert len(result.weights.sha256) == 64


def test_a_chipped_cap_is_defective_where_it_is_chipped(inspect: Detector) -> None:
    good, chip = inspect([GOOD, CHIP])
    assert not good.defective
    assert chip.defective
    assert not good.mask.any()
    # The bundled photo's chip is at the lower right.
    rows, columns = np.nonzero(chip.mask)
    assert rows.min() > 128
    assert columns.min() > 100


def test_score_is_the_map_and_verdict_is_the_mask(inspect: Detector) -> None:
    result = inspect(CHIP)
    assert result.score == pytest.approx(float(result.anomaly_map.max()))
    for threshold in (0.3, 1.0, result.score, result.score * 1.001, 50.0):
        judged = result.at(threshold)
        assert judged.threshold == threshold
        assert judged.defective == bool(judged.mask.any()) == (result.score >= threshold)
        assert np.array_equal(judged.mask, result.anomaly_map >= threshold)


def test_a_threshold_runs_no_network(inspect: Detector, passes: list[int]) -> None:
    result = inspect(GOOD)
    assert passes == [1]
    for threshold in np.linspace(0.3, 3, 10):
        result.at(float(threshold))
    assert passes == [1]


def test_path_bytes_picture_and_array_agree(inspect: Detector) -> None:
    with Image.open(CHIP) as opened:
        picture = opened.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    scores = [
        inspect(source).score
        for source in (CHIP, str(CHIP), stream.getvalue(), picture, np.asarray(picture))
    ]
    assert scores == pytest.approx([scores[0]] * len(scores), rel=1e-4)


def test_a_list_is_inspected_in_batches(inspect: Detector, passes: list[int]) -> None:
    names = [GOOD, CHIP] * 10
    results = inspect([str(name) for name in names])
    # The chipped caps are brighter than usual and get a second pass, normalised.
    assert passes == [BATCH, BATCH // 2, 20 - BATCH, (20 - BATCH) // 2]
    assert [result.name for result in results] == [name.name for name in names]
    alone = inspect(CHIP)
    assert results[1].score == pytest.approx(alone.score, rel=1e-3)
    assert np.allclose(results[1].anomaly_map, alone.anomaly_map, rtol=1e-2, atol=1e-2)
    assert inspect([]) == []


def test_the_result_cannot_be_changed(inspect: Detector) -> None:
    result = inspect(GOOD)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.score = 0.0  # type: ignore[misc]


def test_same_photo_same_answer(inspect: Detector) -> None:
    first, second = inspect(CHIP), inspect(CHIP)
    assert first.score == second.score
    assert np.array_equal(first.anomaly_map, second.anomaly_map)


def test_a_large_photo_is_shown_small_and_gets_the_same_verdict(
    inspect: Detector, tmp_path: Path
) -> None:
    with Image.open(CHIP) as picture:
        picture.resize((2400, 2400), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    result = inspect(tmp_path / "large.png")
    assert max(result.photo.shape[:2]) <= 1024
    assert result.defective


def test_a_bad_photo_is_refused_with_its_name(inspect: Detector, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r'"note\.png" is not a picture'):
        inspect([GOOD, tmp_path / "note.png"])


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("cae", "teapot"), "teapot"),
        (("resnet", "bottle"), "resnet"),
        (("vae", "rendered_cap"), "rendered_cap"),
        (("cae",), "Which category"),
        (("CAE", "bottle"), "CAE"),
        (("cae", "../../etc"), "etc"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(
    arguments: tuple[str, ...], text: str
) -> None:
    with pytest.raises(NotAvailable, match=text) as caught:
        load(*arguments)
    # It says what there is instead.
    assert any(name in str(caught.value) for name in ("bottle", "cae, vae, dae"))


def test_freshly_trained_weights_load_from_their_folder(tiny_weights: Path) -> None:
    inspect = load("cae", "rendered_cap", folder=tiny_weights)
    result = inspect(GOOD)
    assert np.isfinite(result.anomaly_map).all()
    assert result.score > 0


def test_a_calibration_of_another_shape_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    content = files.read(tiny_weights, "cae", "rendered_cap")
    broken = dict(content.calibration)
    broken["error_mean"] = broken["error_mean"][:1]
    files.save(tmp_path, content.network, broken, content.metadata)
    with pytest.raises(WeightsError, match=r"cae/rendered_cap\.safetensors"):
        load("cae", "rendered_cap", folder=tmp_path)
