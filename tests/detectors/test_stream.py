"""Many photos through one model: order, bounds, bad files, and an end before the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.detectors import stream
from defect.detectors.stream import CHUNK, Unreadable, inspect_stream, run_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import Photo
from tests.conftest import EXAMPLES


def names(photos: list[Photo]) -> list[str]:
    """A model that says what it was shown."""
    assert photos
    return [photo.name for photo in photos]


@pytest.fixture
def photos(tmp_path: Path) -> list[PhotoFile]:
    """30 photos, every tenth damaged."""
    found = []
    for i in range(30):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (20, 20), (i, i, i)).save(path)
        if i % 10 == 3:
            path.write_bytes(path.read_bytes()[:50])
        found.append(PhotoFile(path, path.name))
    return found


def test_every_photo_gets_its_own_result_in_order(photos: list[PhotoFile]) -> None:
    results = list(run_stream(names, photos))
    assert len(results) == len(photos)
    for i, (photo, result) in enumerate(zip(photos, results, strict=True)):
        if i % 10 == 3:
            assert isinstance(result, Unreadable) and result.name == photo.name
            assert "damaged" in str(result.error)
        else:
            assert result == photo.name


def test_every_result_is_judged_by_the_threshold(tmp_path: Path) -> None:
    inspect = load("cae", "rendered_cap")
    (tmp_path / "torn.png").write_bytes(b"no")
    paths = [EXAMPLES / "rendered_cap/good.jpg", tmp_path / "torn.png"]
    paths.append(EXAMPLES / "rendered_cap/chip.jpg")
    sources = [PhotoFile(path, path.name) for path in paths]
    good, torn, chip = inspect_stream(inspect, sources, 1.25)
    assert isinstance(torn, Unreadable) and torn.name == "torn.png"
    assert not isinstance(good, Unreadable) and not isinstance(chip, Unreadable)
    assert [(r.name, r.threshold) for r in (good, chip)] == [("good.jpg", 1.25), ("chip.jpg", 1.25)]
    assert chip.score == pytest.approx(inspect(paths[2]).score, rel=1e-3)
    with pytest.raises(ValueError, match="above 0"):  # at once, not at the first photo
        inspect_stream(inspect, sources, 0)


class Counted:
    """Photos that count how many were asked for, and the threads that read them."""

    def __init__(self, photos: list[PhotoFile]) -> None:
        self.photos = photos
        self.asked = 0
        self.readers: set[threading.Thread] = set()

    def __iter__(self) -> Iterator[PhotoFile]:
        for photo in self.photos * 10:
            self.asked += 1
            self.readers.add(threading.current_thread())
            yield photo


def test_closing_the_iterator_cancels_the_work(photos: list[PhotoFile]) -> None:
    counted = Counted(photos)
    results = run_stream(names, counted)
    next(results)
    results.close()
    assert counted.asked <= 2 * CHUNK
    assert counted.readers and not any(reader.is_alive() for reader in counted.readers)


def test_closing_inspections_ends_the_reading_thread(photos: list[PhotoFile]) -> None:
    counted = Counted(photos)
    results: Any = inspect_stream(load("cae", "rendered_cap"), counted, 1.0)
    next(results)
    results.close()
    assert counted.asked <= 2 * CHUNK
    assert counted.readers and not any(reader.is_alive() for reader in counted.readers)


def test_a_model_that_fails_ends_the_reading_thread(photos: list[PhotoFile]) -> None:
    def fail(chunk: list[Photo]) -> list[str]:
        raise RuntimeError("out of memory")

    counted = Counted(photos)
    with pytest.raises(RuntimeError, match="out of memory"):
        next(run_stream(fail, counted))
    assert counted.readers and not any(reader.is_alive() for reader in counted.readers)


def test_a_chunk_is_bounded_by_its_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((100, 100, 3), np.uint8)

    class Held:
        name = "held"

        def read(self, bit_depth: int | None = None) -> Photo:
            return Photo(pixels, self.name)

    sizes: list[int] = []

    def count(chunk: list[Photo]) -> list[int]:
        sizes.append(len(chunk))
        return sizes[-1:] * len(chunk)

    for most, expected in ((10 * pixels.nbytes, [8, 2]), (2.5 * pixels.nbytes, [3, 3, 3, 1])):
        monkeypatch.setattr(stream, "CHUNK_BYTES", most)
        sizes.clear()
        assert len(list(run_stream(count, [Held()] * 10))) == 10
        assert sizes == expected
    monkeypatch.setattr(stream, "CHUNK_BYTES", 1)  # a photo larger than the bound goes alone
    sizes.clear()
    assert len(list(run_stream(count, [Held()] * 3))) == 3
    assert sizes == [1, 1, 1]


def test_a_chunk_of_only_damaged_photos(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no")
    results = list(run_stream(names, [PhotoFile(tmp_path / "x.png", "x.png")] * (CHUNK + 1)))
    assert len(results) == CHUNK + 1
    assert all(isinstance(result, Unreadable) for result in results)


def test_no_photo_no_result() -> None:
    assert list(run_stream(names, [])) == []
