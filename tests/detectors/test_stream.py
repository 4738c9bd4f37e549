"""Many photos through one model, and the report they make."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.detectors.stream import CHUNK, Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import Photo
from defect.reports.rows import row_of_error
from defect.reports.writer import About, Entry, ReportWriter, entry_of
from tests.conftest import EXAMPLES

CAP = sorted((EXAMPLES / "rendered_cap").glob("*.jpg"))


def names(photos: list[Photo]) -> list[str]:
    """A model that says what it was shown."""
    assert photos
    return [photo.name for photo in photos]


@pytest.fixture
def given(tmp_path: Path) -> list[PhotoFile]:
    """30 photos, every tenth damaged."""
    found = []
    for i in range(30):
        path = tmp_path / f"{i}.png"
        Image.new("RGB", (20, 20), (i, i, i)).save(path)
        if i % 10 == 3:
            path.write_bytes(path.read_bytes()[:50])
        found.append(PhotoFile(path, path.name))
    return found


def test_every_photo_gets_its_own_result_in_order(given: list[PhotoFile]) -> None:
    looked = inspect_stream(names, given)
    results = list(looked)
    assert [photo.name for photo, _ in results] == [photo.name for photo in given]
    for i, (photo, result) in enumerate(results):
        if i % 10 == 3:
            assert isinstance(result, Unreadable)
            assert "damaged" in str(result.error)
        else:
            assert result == photo.name


def test_who_stops_asking_stops_the_work(given: list[PhotoFile]) -> None:
    asked: list[PhotoFile] = []

    def counted() -> Any:
        for photo in given * 10:
            asked.append(photo)
            yield photo

    results = inspect_stream(names, counted())
    next(results)
    results.close()  # type: ignore[attr-defined]  # a generator
    assert len(asked) <= 2 * CHUNK


def test_a_chunk_of_only_damaged_photos(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no")
    looked = inspect_stream(names, [PhotoFile(tmp_path / "x.png", "x.png")] * (CHUNK + 1))
    results = list(looked)
    assert len(results) == CHUNK + 1
    assert all(isinstance(result, Unreadable) for _, result in results)


@pytest.mark.parametrize("target", ["report", "report.zip"])
def test_a_report_says_what_the_inspections_say(tmp_path: Path, target: str) -> None:
    inspect = load("cae", "rendered_cap")
    torn = tmp_path / "=torn.png"
    torn.write_bytes(b"no")
    about = About("cae", "rendered_cap", 0.9, inspect.source)
    photos = [PhotoFile(path, f"../{path.name}") for path in CAP] + [PhotoFile(torn, torn.name)]
    inspections = {}
    with ReportWriter(tmp_path / target, about) as report:
        for photo, result in inspect_stream(inspect, photos):
            if isinstance(result, Unreadable):
                row = row_of_error(photo.name, result.error, "cae", "rendered_cap")
                report.add(Entry(row, photo.name))
            else:
                inspections[photo.name] = result.at(0.9)
                report.add(entry_of(result.at(0.9)))

    def content(name: str) -> bytes:
        if target.endswith(".zip"):
            with zipfile.ZipFile(tmp_path / target) as archive:
                assert archive.testzip() is None
                return archive.read(name)
        return (tmp_path / target / name).read_bytes()

    lines = list(csv.DictReader(io.StringIO(content("report.csv").decode())))
    assert len(lines) == len(photos)
    for line in lines[:-1]:
        inspection = inspections[line["file"]]
        assert float(line["score"]) == pytest.approx(inspection.score, abs=1e-4)
        assert (line["verdict"] == "defective") == inspection.defective
        with Image.open(io.BytesIO(content(line["overlay"]))) as overlay:
            assert overlay.format == "JPEG"
            assert overlay.size == inspection.photo.shape[1::-1]
        mask = line["overlay"].replace("overlays/", "masks/").replace(".jpg", ".png")
        with Image.open(io.BytesIO(content(mask))) as image:
            assert np.array_equal(np.asarray(image), inspection.mask)
    assert (lines[-1]["file"], lines[-1]["verdict"]) == ("'=torn.png", "not read")
    manifest = json.loads(content("manifest.json"))
    defective = sum(inspection.defective for inspection in inspections.values())
    assert manifest["counts"] == {
        "photos": len(lines),
        "defective": defective,
        "normal": len(inspections) - defective,
        "not_read": 1,
    }
    assert (manifest["model"], manifest["threshold"]) == ("cae", 0.9)
    assert manifest["weights"]["sha256"] == inspect.source.sha256
    assert manifest["complete"] is True
    assert {"python", "torch", "pillow"} <= set(manifest["versions"])
    with pytest.raises(ValueError, match="already"):
        ReportWriter(tmp_path / target, about)


def test_a_report_that_was_stopped_says_so(tmp_path: Path) -> None:
    inspect = load("cae", "rendered_cap")
    about = About("cae", "rendered_cap", 1.0, inspect.source)
    with pytest.raises(KeyboardInterrupt), ReportWriter(tmp_path / "r.zip", about) as report:
        report.add(entry_of(inspect(CAP[0])))
        raise KeyboardInterrupt
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["complete"] is False
        assert archive.read("report.csv").count(b"\n") == 2
