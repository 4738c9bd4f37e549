"""A detector from good photos: what is left out, who stands out, and the file that comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect import load, teach
from defect.detectors.memory.detector import MemoryDetector, TeachingReport
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import read_photo
from defect.inspection import Message
from defect.training import memory as training_memory
from defect.training.memory import MAX_PHOTOS, _read_distinct, false_alarm_odds, teach_and_save
from defect.training.memory.outliers import find_outliers, left_out
from defect.weights.errors import NotAvailable, WeightsError
from tests.factories import good_photos, textured_photos, write_extractor, write_photos


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_extractor(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Nine good photos, one with a hole, one a copy, one no photo at all."""
    where = tmp_path_factory.mktemp("photos")
    photos = good_photos(10, 0)
    photos[9, 100:130, 100:130] = 255
    write_photos(where, photos)
    Image.fromarray(photos[0]).save(where / "part_copy.png")
    (where / "part_notes.png").write_bytes(b"not a picture")
    return sorted(where.iterdir())


@pytest.fixture(scope="module")
def detector(folder: Path, paths: list[Path]) -> MemoryDetector:
    return teach(paths, "My <part>/../x", folder=folder)


@pytest.fixture(scope="module")
def report(detector: MemoryDetector) -> TeachingReport:
    assert detector.teaching is not None
    return detector.teaching


def test_an_outlier_is_named_and_what_is_useless_left_out(
    detector: MemoryDetector, report: TeachingReport
) -> None:
    assert [outlier.photo for outlier in report.outliers] == ["part_9.png"]
    assert (len(report.photos), detector.memory.photos) == (10, 9)
    notes = " ".join(report.notes)
    assert "1 photo is a copy" in notes and "part_notes.png" in notes
    assert detector.category == "My__part_____x"
    assert len(detector.to_bytes()) <= 6 * 1024**2
    sentences = [*report.notes, *(outlier.reason for outlier in report.outliers)]
    assert sentences and all(isinstance(sentence, Message) for sentence in sentences)


def test_teaching_again_without_the_outlier(
    folder: Path, paths: list[Path], report: TeachingReport
) -> None:
    names = [outlier.photo for outlier in report.outliers]
    again = teach(paths, "x", without=names, folder=folder)
    assert again.teaching is not None
    assert len(again.teaching.photos) == 9 and not again.teaching.outliers
    bad = next(path for path in paths if path.name == "part_9.png")
    assert again(bad).defective


def test_a_detector_is_saved_and_comes_back(
    folder: Path, detector: MemoryDetector, paths: list[Path], tmp_path: Path
) -> None:
    file = tmp_path / "new folder/mine.safetensors"
    detector.save(file)
    back = load(str(file), folder=folder)
    assert back(paths[0]).score == pytest.approx(detector(paths[0]).score)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(WeightsError, match=r"mine\.safetensors"):
        load(file, folder=folder)
    with file.open("wb") as stream:
        stream.truncate(10**9)
    with pytest.raises(WeightsError, match="too large"):
        load(file, folder=folder)


def test_photos_of_every_kind_can_be_taught(folder: Path, tmp_path: Path) -> None:
    photos = good_photos(5, 1)
    (path,) = write_photos(tmp_path, photos[:1])
    data = write_photos(tmp_path / "more", photos[1:2])[0].read_bytes()
    sources = [path, data, Image.fromarray(photos[2]), photos[3], read_photo(photos[4], "fifth")]
    progress: list[tuple[int, int]] = []
    detector = teach(
        sources,
        "part",
        folder=folder,
        report_progress=lambda done, total: progress.append((done, total)),
    )
    assert detector.teaching is not None
    expected = ("part_0.png", "photo 2", "photo 3", "photo 4", "fifth")
    assert detector.teaching.photos == expected
    assert progress[-1][0] == progress[-1][1] and progress == sorted(progress)


def test_a_taught_header_states_what_was_done(detector: MemoryDetector) -> None:
    training = detector.metadata.training
    assert training.images_fit == 9 and "feature extractor" in training.start
    absent = (training.epochs_run, training.learning_rate, training.images_held_out)
    assert absent == (None, None, None)


def test_senseless_photos_are_errors(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no photos yet"):
        teach([], "x", folder=folder)
    with pytest.raises(ValueError, match=f"at most {MAX_PHOTOS}"):
        teach(["a.png"] * 500, "x", folder=folder)
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ValueError, match="None of the photos"):
        teach([str(tmp_path / "a.png")], "x", folder=folder)
    with pytest.raises(ValueError, match="All photos were left out"):
        teach([str(tmp_path / "a.png")], "x", without=["a.png"], folder=folder)
    with pytest.raises(NotAvailable, match="no feature extractor"):
        teach([np.zeros((64, 64, 3), np.uint8)], "x", folder=tmp_path)


def test_other_kinds_of_outliers() -> None:
    images = good_photos(8, 3)
    images[2] = (images[2] * 0.5).astype(np.uint8)
    images[5] = np.asarray(Image.fromarray(images[5]).reduce(8).resize((256, 256)))
    scores = np.array([0.8, 0.75, 0.8, 0.7, 0.82, 0.8, 3.0, 0.78])
    reasons = dict(find_outliers(images, scores))
    assert "darker" in reasons[2] and "blurred" in reasons[5] and "another product" in reasons[6]
    assert set(reasons) == {2, 5, 6}
    assert find_outliers(images[:4], scores[:4]) == []


def test_the_promise_grows_with_the_photos() -> None:
    odds = [false_alarm_odds(count) for count in (1, 12, 50, 1000)]
    assert odds == sorted(set(odds)) and odds[-1] <= 100


def test_memory_is_bounded_while_photos_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is read again when it is asked for."""
    monkeypatch.setattr(training_memory, "KEPT_BYTES", 256 * 256 * 3)
    paths = write_photos(tmp_path, good_photos(3, 0))
    photos, _ = _read_distinct([PhotoFile(path, path.name) for path in paths])
    assert len(photos._kept) == 1
    assert photos.names == ("part_0.png", "part_1.png", "part_2.png")
    for photo, expected in zip(photos, good_photos(3, 0), strict=True):
        assert np.array_equal(photo, expected)


def test_copies_are_ignored_and_other_shapes_noted(tmp_path: Path) -> None:
    photos = [*good_photos(2, 0), good_photos(1, 0)[0], good_photos(1, 5)[0][:150]]
    paths = write_photos(tmp_path, photos)
    found, notes = _read_distinct([PhotoFile(path, path.name) for path in paths])
    assert len(found) == 3
    assert [note.key for note in notes] == ["teach_copy", "teach_shapes"]


@pytest.mark.parametrize("grey", [0, 255])
def test_photos_that_show_nothing_are_an_error(folder: Path, grey: int) -> None:
    with pytest.raises(ValueError, match=r"shows? nothing"):
        teach([np.full((64, 64, 3), grey, np.uint8)], "x", folder=folder)


def test_a_category_of_a_data_folder_is_taught_and_saved(tmp_path: Path) -> None:
    weights = write_extractor(tmp_path / "weights")
    write_photos(tmp_path / "data/disc/train/good", good_photos(12, 0))
    entry = teach_and_save("disc", tmp_path / "data", weights)
    assert entry.file == "memory/disc.safetensors"
    inspect = load("memory", "disc", folder=weights)
    assert inspect.metadata.training.images_fit == 12
    assert not inspect(good_photos(1, 4)[0]).defective


def test_an_outlier_is_left_out_and_said_so(folder: Path) -> None:
    photos = list(good_photos(12, 2))
    photos[4] = textured_photos(1, 0)[0]
    report = teach(photos, "x", folder=folder).teaching
    assert report is not None
    assert [outlier.photo for outlier in report.outliers] == ["photo 5"]
    assert "teach_outliers_left_out" in [note.key for note in report.notes]  # type: ignore[attr-defined]


def test_scores_of_good_photos_name_none() -> None:
    draw = np.random.default_rng(0)
    images = good_photos(20, 1)
    flagged = [len(find_outliers(images, np.exp(draw.normal(-0.5, 0.15, 20)))) for _ in range(20)]
    assert sum(flagged) <= 0.05 * 400
    assert not left_out(np.exp(draw.normal(-0.5, 0.15, 100))).any()


def test_at_most_a_part_of_the_photos_is_left_out() -> None:
    """Many that differ are a second kind of good part."""
    scores = np.r_[np.full(14, 0.5), np.linspace(5, 9, 6)] * np.random.default_rng(0).uniform(
        0.95, 1.05, 20
    )
    assert left_out(scores).sum() <= 3
