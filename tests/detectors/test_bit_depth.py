"""Values of 10 to 14 bits, stored unscaled in 16-bit files, are taught and inspected as such."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect import load, teach
from defect.cli import main
from defect.datasets.rendered import CATEGORIES, write_dataset
from defect.detectors.memory.detector import MemoryDetector
from defect.detectors.stream import Unreadable, inspect_stream, sampled_bit_depth
from defect.imaging.archives import PhotoFile, find_photos
from defect.inspection import Inspection, Message
from defect.weights import files
from defect.weights.errors import WeightsError
from tests.factories import good_photos, write_extractor, write_photos

CATEGORY = "rendered_brushed"
assert CATEGORY in CATEGORIES


def deep(path: Path, folder: Path, factor: int = 16) -> Path:
    """The photo's grey values times a factor, as a 16-bit file."""
    folder.mkdir(parents=True, exist_ok=True)
    with Image.open(path) as image:
        values = np.asarray(image.convert("L")).astype(np.uint16) * factor
    Image.fromarray(values).save(folder / path.name)
    return folder / path.name


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_extractor(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def shallow(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine good photos with 8 bits, and one with a faint stain."""
    photos = good_photos(10, 0)
    stain = photos[9].astype(int)
    stain[100:140, 100:140] -= 40
    photos[9] = stain.clip(0, 255)
    return write_photos(tmp_path_factory.mktemp("shallow"), photos)


@pytest.fixture(scope="module")
def raised(shallow: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same as a 12-bit camera stores them."""
    folder = tmp_path_factory.mktemp("deep")
    return [deep(path, folder) for path in shallow]


@pytest.fixture(scope="module")
def detector(raised: list[Path], weights: Path) -> MemoryDetector:
    return teach(raised[:8], "part", folder=weights)


def test_the_depth_is_recognised_kept_and_said(
    detector: MemoryDetector, tmp_path: Path, weights: Path
) -> None:
    assert detector.metadata.bit_depth == detector.metadata.calibration["bit_depth"] == 12
    assert detector.teaching is not None
    (note,) = [n for n in detector.teaching.notes if "12 bits" in n]
    assert isinstance(note, Message) and note.key == "teach_bit_depth"
    detector.save(tmp_path / "part.safetensors")
    assert load(tmp_path / "part.safetensors", folder=weights).metadata.bit_depth == 12


def test_a_deep_photo_scores_as_its_twin_of_8_bits(
    detector: MemoryDetector, shallow: list[Path], raised: list[Path], weights: Path
) -> None:
    twins = [np.asarray(Image.open(path).convert("L")) for path in shallow]
    twin = teach(twins[:8], "part", folder=weights)
    assert twin.metadata.bit_depth is None and "bit_depth" not in twin.metadata.calibration
    good, stained = (twin(values).score for values in twins[8:])
    assert good < 1 < stained
    for way in (
        [detector(path).score for path in raised[8:]],
        [inspection.score for inspection in detector(raised[8:])],
        [r.score for r in streamed(detector, raised[8:])],
    ):
        assert way == pytest.approx([good, stained], rel=0.25)
        assert way[0] < 1 < way[1]


def streamed(detector: MemoryDetector, paths: list[Path]) -> list[Inspection]:
    found = list(inspect_stream(detector, [PhotoFile(path, path.name) for path in paths]))
    return [result for result in found if not isinstance(result, Unreadable)]


def test_a_depth_that_is_said_is_not_guessed(raised: list[Path], weights: Path) -> None:
    one = teach(raised[:1], "part", bit_depth=12, folder=weights)
    assert one.metadata.bit_depth == 12
    with pytest.raises(ValueError, match="from 8 to 16"):
        teach(raised, "part", bit_depth=7, folder=weights)
    with pytest.raises(ValueError, match="from 8 to 16"):
        inspect_stream(one, [], bit_depth=32)


def test_one_dark_photo_is_no_evidence(raised: list[Path], weights: Path, tmp_path: Path) -> None:
    report = teach(raised[:1], "part", folder=weights).teaching
    assert report is not None
    assert [n.key for n in report.notes if isinstance(n, Message) and "depth" in n.key] == [
        "teach_bit_depth_unknown"
    ]
    (darker,) = write_photos(tmp_path, good_photos(1, 0))
    with pytest.raises(ValueError, match="give its bit depth"):
        teach([deep(darker, tmp_path / "dark", 1)], "part", folder=weights)


def test_faint_stains_are_found_at_12_bits(
    detector: MemoryDetector, tmp_path: Path, weights: Path
) -> None:
    photos = good_photos(5, 4).astype(int)
    for i, photo in enumerate(photos):
        photo[60 + 20 * i : 100 + 20 * i, 90:130] -= 40
    paths = write_photos(tmp_path, photos.clip(0, 255).astype(np.uint8))
    found = detector([deep(path, tmp_path / "deep") for path in paths])
    assert [inspection.defective for inspection in found] == [True] * 5


def test_photos_that_disagree_are_a_warning(
    shallow: list[Path], raised: list[Path], weights: Path, tmp_path: Path
) -> None:
    mixed = [*raised[:4], *(deep(path, tmp_path, 256) for path in shallow[4:8])]
    report = teach(mixed, "part", folder=weights).teaching
    assert report is not None
    assert any(getattr(n, "key", "") == "teach_bit_depths_differ" for n in report.notes)


@pytest.mark.parametrize("depth", ["12", 7, 99, True, 12.0, [12]])
def test_a_forged_depth_is_refused(
    detector: MemoryDetector, weights: Path, tmp_path: Path, depth: object
) -> None:
    forged = {**detector.metadata.calibration, "bit_depth": depth}
    metadata = dataclasses.replace(detector.metadata, calibration=forged)
    data = files.to_bytes({}, detector.memory.tensors(), metadata)
    (tmp_path / "forged.safetensors").write_bytes(data)
    with pytest.raises(WeightsError, match="bit_depth"):
        load(tmp_path / "forged.safetensors", folder=weights)


def test_a_folder_is_read_at_its_depth_by_a_detector_that_knows_none(
    raised: list[Path], shallow: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found, _ = find_photos([raised[0].parent])
    assert sampled_bit_depth(found) == 12
    assert sampled_bit_depth(found[:2]) is None
    assert sampled_bit_depth(find_photos([shallow[0].parent])[0]) is None
    command = ["inspect", "dae", CATEGORY]
    scores = []
    for name, paths, more in (
        ("grey", grey(shallow[:4], tmp_path), []),
        ("guessed", raised[:4], []),
        ("said", raised[:1], ["--bit-depth", "12"]),
    ):
        out = tmp_path / f"{name} report"
        main([*command, *map(str, paths), "--out", str(out), *more])
        rows = csv.DictReader((out / "report.csv").open(encoding="utf-8-sig"))
        scores.append([float(row["score"]) for row in rows])
    assert "12 bits" in capsys.readouterr().out
    assert scores[1] == pytest.approx(scores[0], rel=0.02)
    assert scores[2] == pytest.approx(scores[0][:1], rel=0.02)


def grey(paths: list[Path], folder: Path) -> list[Path]:
    saved = [folder / f"grey_{path.name}" for path in paths]
    for path, target in zip(paths, saved, strict=True):
        with Image.open(path) as image:
            image.convert("L").save(target)
    return saved


@pytest.mark.slow
def test_the_recipe_of_the_brushed_sheets(tmp_path: Path) -> None:
    """A good sheet × 16 scored 137 by the DAE, and taught so, faint stains were lost."""
    write_dataset(tmp_path, [CATEGORY], train=10, good=4, defective=1, seed=3)
    sheets = sorted((tmp_path / CATEGORY / "test/good").iterdir())
    twins = grey(sheets, tmp_path)
    sheets = [deep(path, tmp_path / "deep") for path in sheets]
    detector = load("dae", CATEGORY)
    found, _ = find_photos(sheets)
    depth = sampled_bit_depth(found)
    assert depth == 12
    scores = [r.score for r in inspect_stream(detector, found, 1.0, depth)]  # type: ignore[union-attr]
    assert scores == pytest.approx([detector(path).score for path in twins], rel=0.05)
