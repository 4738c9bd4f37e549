"""A batch's report as a folder or a ZIP says what the inspections say."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect import load
from defect.detectors.detector import Detector
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile
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
