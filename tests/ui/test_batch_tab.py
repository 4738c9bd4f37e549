"""The Batch and steel tabs' parts without a browser: histogram, ZIP, steel rows."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from defect import load
from defect.detectors import catalogue
from defect.reports.steel_rows import STEEL_COLUMNS, steel_row_of
from defect.ui import downloads as download
from defect.ui.batches import inspect_files, run_batch, start_batch, write_zip
from defect.ui.score_histogram import score_histogram
from defect.ui.tabs import steel_batch
from defect.ui.tabs.batch import table_of
from tests.conftest import EXAMPLES

CAP = sorted((EXAMPLES / "rendered_cap").glob("*.jpg"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "get_upload_folder", lambda: str(tmp_path / "served"))


@pytest.mark.parametrize("limit", [0.3, 1.0, 1.7])
def test_the_limit_parts_the_bars_as_it_parts_the_verdicts(limit: float) -> None:
    scores = [0.01, limit * 0.9999999, limit, limit * 1.01, 2.5, 400.0]
    drawn = score_histogram(scores, limit)
    counted = {
        kind: sum(int(n) for n in re.findall(rf'class="{kind}".*?: (\d+)</title>', drawn))
        for kind in ("under", "over")
    }
    over = sum(score >= limit for score in scores)
    assert counted == {"under": len(scores) - over, "over": over}
    assert score_histogram([], 1.0) == ""


def test_a_zip_made_later_is_at_the_new_threshold(tmp_path: Path) -> None:
    paths = []
    for path in CAP:
        (tmp_path / path.name).write_bytes(path.read_bytes())
        paths.append(str(tmp_path / path.name))
    batch = inspect_files(paths, "cae", "rendered_cap", 1.0)
    Path(paths[0]).unlink()  # cleaned up meanwhile: its small picture stands in
    with zipfile.ZipFile(write_zip(batch.at(1000.0))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("report.csv").decode())))
        manifest = json.loads(archive.read("manifest.json"))
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == len(CAP)
    assert {row["verdict"] for row in rows} == {"normal"}
    assert {row["limit"] for row in rows} == {"1000.0"}
    assert (manifest["threshold"], manifest["counts"]["normal"]) == (1000.0, len(CAP))


def test_a_batch_grows_photo_by_photo_and_can_be_left(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    photos, started = start_batch(
        [str(tmp_path / "torn.png"), *map(str, CAP)], "cae", "rendered_cap", 1.0
    )
    running = run_batch(photos, started)
    grown = [next(running), next(running)]
    running.close()  # type: ignore[attr-defined]  # a generator
    assert [batch.done for batch in grown] == [1, 2]
    assert grown[1].total == len(CAP) + 1
    assert table_of(grown[1].rows())[0][1] == "not read"


def test_steel_rows_say_how_sure(tmp_path: Path) -> None:
    result = load("cnn")(EXAMPLES / "rendered_steel/scratches_1.jpg")
    row = steel_row_of(result)
    assert row.verdict == result.label != row.second
    assert row.confidence == pytest.approx(result.confidence, abs=1e-4)
    assert row.margin == pytest.approx(
        result.confidence - result.probabilities[row.second], abs=2e-4
    )


def test_a_steel_row_of_another_thing_is_unknown() -> None:
    row = steel_row_of(load("cnn")(EXAMPLES / "rendered_cap/good.jpg"))
    assert row.verdict == "unknown" and row.ood_score is not None and row.ood_score > 1


def test_a_steel_batch_ends_in_table_csv_and_zip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steel_batch, "uploaded", lambda path: path)
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    paths = [str(path) for path in sorted((EXAMPLES / "rendered_steel").glob("*.jpg"))[:3]]
    answers = list(steel_batch.classify_all([*paths, str(tmp_path / "torn.png")]))
    assert "0 of 4" in answers[0][0]
    summary, tiles, table, table_file, report = answers[-1]
    assert "1 not read" in summary
    assert len(tiles) == 3
    assert table["data"][0][0] == "torn.png"
    margins = [line[4] for line in table["data"][1:]]
    assert margins == sorted(margins)
    text = Path(table_file.value["path"] if isinstance(table_file.value, dict) else "").name
    assert text == "steel.csv"
    with zipfile.ZipFile(report.value["path"]) as archive:
        header = archive.read("report.csv").decode().splitlines()[0]
        manifest = json.loads(archive.read("manifest.json"))
    assert header == ",".join(STEEL_COLUMNS)
    assert manifest["counts"]["photos"] == 4
    assert manifest["weights"]["sha256"] == catalogue.classifier().source.sha256


def test_a_steel_batch_without_photos_says_what_to_do() -> None:
    assert "Add some" in list(steel_batch.classify_all(None))[-1][0]
