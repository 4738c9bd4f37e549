"""Ray's workers write what a single process writes, and resume after an interruption."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from defect import load, teach
from defect.cli import main
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile, list_photos
from defect.imaging.buckets import AddressError, BucketPhoto, find
from defect.reports import ray_engine
from defect.reports.ray_engine import Job, RayProgress, Worker, inspect_parts
from defect.reports.writer import About
from tests.conftest import EXAMPLES
from tests.factories import write_extractor

MODEL, CATEGORY = "cae", "rendered_cap"
BROKEN = "m_broken.png"


@pytest.fixture(scope="module")
def photos(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 14 or more photos, one of them broken, and a text file."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in (tiny_data / CATEGORY / "test").glob("*/*.png"):
        shutil.copy(photo, folder / f"{photo.parent.name}_{photo.name}")
    for photo in (EXAMPLES / CATEGORY).glob("*.jpg"):
        shutil.copy(photo, folder)
    (folder / BROKEN).write_bytes((folder / "good_000.png").read_bytes()[:200])
    (folder / "notes.txt").write_text("No photo.")
    return folder


@pytest.fixture(scope="module")
def single(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a single process."""
    out = tmp_path_factory.mktemp("single") / "report"
    assert main(["inspect", MODEL, CATEGORY, str(photos), "--out", str(out)]) == 3
    return out


@pytest.fixture
def with_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "pyarrow"):
        pytest.importorskip(name, reason=f"{name} is not installed: see requirements-dev.txt")
    monkeypatch.setattr(ray_engine, "PART", 8)


@pytest.fixture
def written(with_ray: None, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the parts written, in this process instead of Ray's workers."""
    names: list[str] = []

    def run(
        left: Sequence[tuple[Path, Sequence[PhotoFile | BucketPhoto]]], job: Job, _: int
    ) -> Iterator:
        worker = Worker(job)
        for path, part in left:
            names.append(path.name)
            packed = json.dumps([ray_engine._packed(photo) for photo in part])
            yield worker({"path": [str(path)], "photos": [packed]})["size"][0]

    monkeypatch.setattr(ray_engine, "_run", run)
    return names


def _run(sources: list[Path | str], out: Path, threshold: float = 1.0) -> list:
    return list(inspect_parts(find(sources)[0], MODEL, CATEGORY, out, threshold=threshold))


def _same(one: Path, other: Path) -> None:
    """Table, overlays and masks to the byte; the manifest but for its time."""
    files = [path.relative_to(one) for path in one.rglob("*") if path.is_file()]
    assert len(files) > 14
    for file in files:
        if file.name == "manifest.json":
            ours, theirs = (json.loads((folder / file).read_text()) for folder in (one, other))
            assert {**ours, "created": ""} == {**theirs, "created": ""}
        else:
            assert (one / file).read_bytes() == (other / file).read_bytes(), file


@pytest.mark.slow
def test_ray_writes_the_report_of_a_single_process(
    with_ray: None, photos: Path, single: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "report"
    arguments = ["inspect", MODEL, CATEGORY, str(photos), "--engine", "ray", "--workers", "2"]
    assert main([*arguments, "--out", str(out)]) == 3
    _same(single, out)
    assert len(list((out / "parts").glob("*.parquet"))) == 2
    rows = {
        row["file"]: row for row in csv.DictReader((out / "report.csv").open(encoding="utf-8-sig"))
    }
    assert rows[BROKEN]["verdict"] == "not read" and BROKEN in rows[BROKEN]["note"]
    printed = capfd.readouterr().out
    assert "1 file skipped" in printed and "1 not read" in printed


def test_a_part_that_cannot_be_written_is_an_error(with_ray: None, photos: Path) -> None:
    found = find([photos / "good_000.png"])[0]
    packed = json.dumps([ray_engine._packed(photo) for photo in found])
    about = About(MODEL, CATEGORY, 1.0, load(MODEL, CATEGORY).source)
    worker = Worker(Job(MODEL, CATEGORY, 1.0, ray_engine.WEIGHTS_FOLDER, about))
    result = worker({"path": ["/there/is/no/such/folder/part.parquet"], "photos": [packed]})
    assert "No such file" in result["error"][0]


def test_parts_read_as_a_table(written: list[str], photos: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    verdicts = _run([photos], tmp_path / "report")[-1]
    table = pq.read_table(tmp_path / "report" / "parts").to_pylist()
    assert Counter(row["verdict"] for row in table) == verdicts
    for row in table:
        assert (row["overlay_jpeg"] is None) == (row["file"] == BROKEN)


def test_after_an_interruption_only_the_rest_is_inspected(
    written: list[str], photos: Path, single: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    total = _run([photos], out)[0].total
    assert written == ["part-000000.parquet", "part-000001.parquet"]
    written.clear()
    # A kill while the second part was written, and one while the report was.
    second = out / "parts" / "part-000001.parquet"
    second.write_bytes(second.read_bytes()[:1000])
    (out / "manifest.json").unlink()
    states = _run([photos], out)
    assert states[0] == RayProgress(8, total, 8)
    assert states[-2] == RayProgress(total, total, 8)
    assert written == ["part-000001.parquet"]
    _same(single, out)


def test_parts_of_another_run_are_not_mixed_in(
    written: list[str], photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    _run([photos], out)
    with pytest.raises(ValueError, match="whole report"):
        _run([photos], out)
    (out / "manifest.json").unlink()
    with pytest.raises(ValueError, match="another run"):
        _run([photos], out, threshold=1.5)
    with pytest.raises(ValueError, match="another run"):
        _run([photos / "good_000.png"], out)


def test_an_address_is_read_like_a_folder(
    written: list[str], photos: Path, single: Path, tmp_path: Path
) -> None:
    found, skipped = find([photos.as_uri()])
    assert skipped == 1 and all(isinstance(photo, BucketPhoto) for photo in found)
    _run([photos.as_uri()], tmp_path / "report")
    _same(single, tmp_path / "report")


def test_a_removed_photo_is_a_row(written: list[str], photos: Path, tmp_path: Path) -> None:
    moved = tmp_path / "photos"
    shutil.copytree(photos, moved)
    found = find([moved.as_uri()])[0]
    (moved / "good_001.png").unlink()
    list(inspect_parts(found, MODEL, CATEGORY, tmp_path / "report"))
    rows = {
        r["file"]: r
        for r in csv.DictReader((tmp_path / "report/report.csv").open(encoding="utf-8-sig"))
    }
    assert rows["good_001.png"]["verdict"] == "not read"
    assert "Is it still there" in rows["good_001.png"]["note"]


def test_a_taught_detector_goes_through_the_engine_by_its_file(
    written: list[str], photos: Path, tmp_path: Path
) -> None:
    """A relative path works, as workers may run in another folder."""
    weights = write_extractor(tmp_path / "weights")
    file, out = tmp_path / "cap.safetensors", tmp_path / "report"
    teach(sorted(photos.glob("good_*.png")), "cap", folder=weights).save(file)
    found = find([photos])[0]
    relative = os.path.relpath(file)
    verdicts = list(inspect_parts(found, relative, None, out, weights=weights))[-1]
    assert isinstance(verdicts, Counter)
    inspect = load(file, folder=weights)
    rows = {
        row["file"]: row for row in csv.DictReader((out / "report.csv").open(encoding="utf-8-sig"))
    }
    assert len(rows) == len(found) and verdicts["not read"] == 1
    for result in inspect_stream(inspect, found, 1.0):
        row = rows[result.name]
        if isinstance(result, Unreadable):
            assert row["verdict"] == "not read"
        else:
            assert float(row["score"]) == pytest.approx(result.score, abs=1e-3)
            assert (row["model"], row["category"]) == ("memory", "cap")
            assert row["thesis_score"] == ""
            assert row["weights_sha256"] == inspect.source.sha256
    assert json.loads((out / "manifest.json").read_text())["category"] == "cap"


@pytest.mark.parametrize("address", ["s3x://bucket/line", "file:///there/is/no/such/folder"])
def test_an_address_that_leads_nowhere(with_ray: None, address: str) -> None:
    with pytest.raises(AddressError, match="cannot be listed"):
        find([address])


def test_without_ray_the_error_says_what_to_install(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    arguments = ["inspect", MODEL, CATEGORY, str(photos), "--engine", "ray"]
    assert main([*arguments, "--out", str(tmp_path / "report")]) == 1
    assert "Ray is not installed" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_what_needs_ray_says_so(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", MODEL, CATEGORY, "s3://bucket/line"]) == 1
    assert "--engine ray" in capsys.readouterr().err


def test_a_page_of_a_tiff_survives_packing(tmp_path: Path) -> None:
    first = Image.new("RGB", (40, 30), "grey")
    pages = [Image.new("RGB", (40, 30), colour) for colour in ("black", "white")]
    first.save(tmp_path / "pages.tif", save_all=True, append_images=pages)
    found = list_photos([tmp_path / "pages.tif"]).photos
    packed = json.loads(json.dumps([ray_engine._packed(photo) for photo in found]))
    back = [ray_engine._unpacked(values) for values in packed]
    assert back == [replace(photo, path=photo.path.absolute()) for photo in found]
    assert [int(photo.read().pixels[0, 0, 0]) for photo in back] == [128, 0, 255]
    alike = [replace(photo, name="a.tif") for photo in found]
    assert len({ray_engine._digest([photo]) for photo in alike}) == 3
