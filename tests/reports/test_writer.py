"""A batch's report as a folder or a ZIP says what the inspections say."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.detectors.detector import Detector
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.photo import ImageError
from defect.reports import writer
from defect.reports.writer import About, ReportWriter, entry_of, photo_mask
from tests.conftest import EXAMPLES

CAP = sorted((EXAMPLES / "rendered_cap").glob("*.jpg"))


@pytest.fixture(scope="module")
def inspect() -> Detector:
    return load("cae", "rendered_cap")


@pytest.mark.parametrize("target", ["report", "report.zip"])
def test_a_report_says_what_the_inspections_say(
    inspect: Detector, tmp_path: Path, target: str
) -> None:
    torn = tmp_path / "=torn.png"
    torn.write_bytes(b"no")
    about = About("cae", "rendered_cap", 0.9, inspect.source)
    photos = [PhotoFile(path, f"../{path.name}") for path in CAP] + [PhotoFile(torn, torn.name)]
    inspections = {}
    with ReportWriter(tmp_path / target, about) as report:
        for result in inspect_stream(inspect, photos, 0.9):
            if not isinstance(result, Unreadable):
                inspections[result.name] = result
            report.add(entry_of(result, about))

    def content(name: str) -> bytes:
        if target.endswith(".zip"):
            with zipfile.ZipFile(tmp_path / target) as archive:
                assert archive.testzip() is None
                return archive.read(name)
        return (tmp_path / target / name).read_bytes()

    lines = list(csv.DictReader(io.StringIO(content("report.csv").decode("utf-8-sig"))))
    assert len(lines) == len(photos)
    for line in lines[:-1]:
        inspection = inspections[line["file"]]
        assert float(line["score"]) == pytest.approx(inspection.score, abs=1e-4)
        assert float(line["threshold"]) == 0.9
        assert (line["verdict"] == "defective") == inspection.defective
        with Image.open(io.BytesIO(content(line["overlay"]))) as overlay:
            assert overlay.format == "JPEG"
            assert overlay.size == inspection.photo.shape[1::-1]
        mask = line["overlay"].replace("overlays/", "masks/").replace(".jpg", ".png")
        with Image.open(io.BytesIO(content(mask))) as image:
            assert np.array_equal(np.asarray(image), photo_mask(inspection))
            assert image.size == (inspection.size[1], inspection.size[0])
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


def test_a_report_that_was_stopped_says_so(inspect: Detector, tmp_path: Path) -> None:
    about = About("cae", "rendered_cap", 1.0, inspect.source)
    with pytest.raises(KeyboardInterrupt), ReportWriter(tmp_path / "r.zip", about) as report:
        report.add(entry_of(inspect(CAP[0]), about))
        raise KeyboardInterrupt
    with zipfile.ZipFile(tmp_path / "r.zip") as archive:
        assert json.loads(archive.read("manifest.json"))["complete"] is False
        assert archive.read("report.csv").count(b"\n") == 2


@pytest.mark.parametrize("target", ["report", "report.zip"])
def test_regions_and_masks_are_in_pixels_of_the_photo(
    inspect: Detector, tmp_path: Path, target: str
) -> None:
    with Image.open(EXAMPLES / "rendered_cap/chip.jpg") as image:
        image.resize((3000, 2400)).save(tmp_path / "large.jpg")
    inspection = inspect(tmp_path / "large.jpg")
    assert inspection.photo_size == (2400, 3000) and max(inspection.photo.shape) == 1024
    about = About("cae", "rendered_cap", 1.0, inspect.source)
    torn = Unreadable("torn.png", ImageError("It is torn."))
    with ReportWriter(tmp_path / target, about) as report:
        report.add(entry_of(inspection, about))
        report.add(entry_of(torn, about))
        report.add(entry_of(inspect(CAP[0]), about))
    if target.endswith(".zip"):
        with zipfile.ZipFile(tmp_path / target) as archive:
            archive.extractall(tmp_path / "out")
    out = tmp_path / ("out" if target.endswith(".zip") else target)
    found = json.loads((out / "regions.json").read_text(encoding="utf-8"))
    assert [line["file"] for line in found] == ["large.jpg", CAP[0].name]
    assert (found[0]["width"], found[0]["height"]) == (3000, 2400)
    region = found[0]["regions"][0]
    left, top, right, bottom = region["box"]
    assert 0 <= left < right <= 3000 and 0 <= top < bottom <= 2400
    assert left <= region["centre"][0] <= right and top <= region["centre"][1] <= bottom
    with Image.open(out / "masks/0001_large.png") as mask:
        assert mask.size == (3000, 2400)
        inside = np.asarray(mask)
    marked = sum(each["area"] for each in found[0]["regions"])
    assert inside.sum() == pytest.approx(marked, rel=0.02)
    assert inside[top:bottom, left:right].sum() >= 0.98 * region["area"]
    text = (out / "report.csv").read_bytes()
    assert text.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert rows[0]["largest_box"] == f"{left},{top},{right},{bottom}"


def test_a_mask_is_no_larger_than_4096(inspect: Detector) -> None:
    inspection = replace(inspect(CAP[0]), photo_size=(10_000, 2_500))
    assert photo_mask(inspection).shape == (4096, 1024)


def test_a_name_that_is_no_unicode_is_a_row(inspect: Detector, tmp_path: Path) -> None:
    about = About("cae", "rendered_cap", 1.0, inspect.source)
    for target in ("report", "report.zip"):
        with ReportWriter(tmp_path / target, about) as report:
            report.add(entry_of(replace(inspect(CAP[0]), name="\udcc1\udce3.png"), about))
            report.add(entry_of(Unreadable("\udcff.png", ImageError("Torn.")), about))
    manifest = json.loads((tmp_path / "report/manifest.json").read_text(encoding="utf-8"))
    assert manifest["counts"]["photos"] == 2 and manifest["complete"] is True
    assert len((tmp_path / "report/report.csv").read_text("utf-8").splitlines()) == 3


def test_the_manifest_counts_lines_that_were_written(
    inspect: Detector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = About("cae", "rendered_cap", 1.0, inspect.source)

    def full(*_: object) -> str:
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"), ReportWriter(tmp_path / "r", about) as report:
        report.add(entry_of(inspect(CAP[0]), about))
        monkeypatch.setattr(writer, "csv_line", full)
        report.add(entry_of(inspect(CAP[1]), about))
    manifest = json.loads((tmp_path / "r/manifest.json").read_text())
    assert (manifest["counts"]["photos"], manifest["complete"]) == (1, False)
