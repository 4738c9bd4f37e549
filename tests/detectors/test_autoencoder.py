"""Photos in, inspections out: shapes, types, one look a photo, thresholds asked afterwards."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.detectors import scoring
from defect.detectors.autoencoder import AutoencoderDetector
from defect.detectors.stream import BATCH
from defect.imaging.photo import ImageError
from defect.inspection import Inspection
from defect.weights.errors import NotAvailable, WeightsError
from tests.conftest import EXAMPLES

GOOD = EXAMPLES / "rendered_cap/good.jpg"
CHIP = EXAMPLES / "rendered_cap/chip.jpg"


@pytest.fixture(scope="module")
def inspect() -> AutoencoderDetector:
    return load("cae", "rendered_cap")


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The batch size of every look a network takes while the test runs."""
    sizes: list[int] = []
    look = scoring.observe

    def counted(network, pixels):
        sizes.append(len(pixels))
        return look(network, pixels)

    monkeypatch.setattr(scoring, "look", counted)
    return sizes


def test_everything_promised_is_there(inspect: AutoencoderDetector) -> None:
    result = inspect(CHIP)
    assert isinstance(result, Inspection)
    assert isinstance(result.score, float)
    assert isinstance(result.thesis_score, float)
    assert isinstance(result.defective, bool)
    assert result.limit == 1.0
    assert (result.anomaly_map.shape, result.anomaly_map.dtype) == ((256, 256), np.float32)
    assert (result.mask.shape, result.mask.dtype) == ((256, 256), bool)
    assert result.reconstruction is not None
    assert (result.reconstruction.shape, result.reconstruction.dtype) == ((256, 256, 3), np.uint8)
    assert result.photo.dtype == np.uint8
    assert result.photo.shape == (320, 320, 3)
    assert (result.model, result.category, result.name) == ("cae", "rendered_cap", "chip.jpg")
    assert result.weights.source == "bundled"
    assert len(result.weights.sha256) == 64


def test_a_chipped_cap_is_defective_where_it_is_chipped(inspect: AutoencoderDetector) -> None:
    good, chip = inspect([GOOD, CHIP])
    assert not good.defective
    assert chip.defective
    assert not good.mask.any()
    # The bundled photo's chip is at the lower right.
    rows, columns = np.nonzero(chip.mask)
    assert rows.min() > 128
    assert columns.min() > 100


def test_score_is_the_map_and_verdict_is_the_mask(inspect: AutoencoderDetector) -> None:
    result = inspect(CHIP)
    assert result.score == pytest.approx(float(result.anomaly_map.max()))
    for limit in (0.3, 1.0, result.score, result.score * 1.001, 50.0):
        asked = result.at(limit)
        assert asked.limit == limit
        assert asked.defective == bool(asked.mask.any()) == (result.score >= limit)
        assert np.array_equal(asked.mask, result.anomaly_map >= limit)


def test_a_threshold_runs_no_network(inspect: AutoencoderDetector, looks: list[int]) -> None:
    result = inspect(GOOD)
    assert looks == [1]
    for limit in np.linspace(0.3, 3, 10):
        result.at(float(limit))
    assert looks == [1]


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_threshold_is_refused(inspect: AutoencoderDetector, limit: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        inspect(GOOD).at(limit)


def test_path_bytes_picture_and_array_agree(inspect: AutoencoderDetector) -> None:
    with Image.open(CHIP) as opened:
        picture = opened.convert("RGB")
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    scores = [
        inspect(source).score
        for source in (CHIP, str(CHIP), stream.getvalue(), picture, np.asarray(picture))
    ]
    assert scores == pytest.approx([scores[0]] * len(scores), rel=1e-4)


def test_a_list_is_looked_at_in_batches(inspect: AutoencoderDetector, looks: list[int]) -> None:
    names = [GOOD, CHIP] * 10
    results = inspect([str(name) for name in names])
    # The chipped caps are lighter than usual and looked at again in the usual light.
    assert looks == [BATCH, BATCH // 2, 20 - BATCH, (20 - BATCH) // 2]
    assert [result.name for result in results] == [name.name for name in names]
    alone = inspect(CHIP)
    assert results[1].score == pytest.approx(alone.score, rel=1e-3)
    assert np.allclose(results[1].anomaly_map, alone.anomaly_map, rtol=1e-2, atol=1e-2)
    assert inspect([]) == []


def test_the_result_cannot_be_changed(inspect: AutoencoderDetector) -> None:
    result = inspect(GOOD)
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.score = 0.0  # type: ignore[misc]


def test_same_photo_same_answer(inspect: AutoencoderDetector) -> None:
    first, second = inspect(CHIP), inspect(CHIP)
    assert first.score == second.score
    assert np.array_equal(first.anomaly_map, second.anomaly_map)


def test_a_large_photo_is_shown_small_and_judged_alike(
    inspect: AutoencoderDetector, tmp_path: Path
) -> None:
    with Image.open(CHIP) as picture:
        picture.resize((2400, 2400), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    result = inspect(tmp_path / "large.png")
    assert max(result.photo.shape[:2]) <= 1024
    assert result.defective


def test_a_bad_photo_is_refused_with_its_name(inspect: AutoencoderDetector, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("not a picture")
    with pytest.raises(ImageError, match=r'"note\.png" is not a picture'):
        inspect([GOOD, tmp_path / "note.png"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("cae", "teapot"), "teapot"),
        (("resnet", "bottle"), "resnet"),
        (("vae", "rendered_cap"), "rendered_cap"),
        (("cae",), "neu"),
        (("cae", "../../etc"), "etc"),
    ],
)
def test_unknown_names_are_refused_with_what_there_is(
    arguments: tuple[str, ...], words: str
) -> None:
    with pytest.raises(NotAvailable, match=words) as caught:
        load(*arguments)  # type: ignore[call-overload]
    # It says what there is instead.
    assert any(name in str(caught.value) for name in ("bottle", "cae, vae, dae"))


def test_freshly_trained_weights_load_from_their_folder(tiny_weights: Path) -> None:
    inspect = load("cae", "rendered_cap", folder=tiny_weights)
    result = inspect(GOOD)
    assert np.isfinite(result.anomaly_map).all()
    assert result.score > 0


def test_a_calibration_of_another_shape_is_refused(tiny_weights: Path, tmp_path: Path) -> None:
    from defect.weights import files as weights

    content = weights.read(tiny_weights, "cae", "rendered_cap")
    broken = dict(content.calibration)
    broken["error_mean"] = broken["error_mean"][:1]
    weights.save(tmp_path, content.network, broken, content.metadata)
    with pytest.raises(WeightsError, match=r"cae/rendered_cap\.safetensors"):
        load("cae", "rendered_cap", folder=tmp_path)
