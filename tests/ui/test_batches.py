"""Batches without a browser: small, ranked, judged again, reported; inspections and steel alike."""

from __future__ import annotations

import copy
import csv
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from defect.detectors import catalogue
from defect.detectors.steel import load_steel_classifier
from defect.imaging.photo import network_input, read_photo
from defect.reports.steel_rows import STEEL_COLUMNS, steel_row_of
from defect.ui.batches import (
    Task,
    inspection_task,
    run_batch,
    run_to_end,
    start_batch,
    steel_task,
    tile,
    write_csv,
    write_zip,
)
from defect.ui.gradio_private import page as gradio_page
from defect.ui.tabs.batch import inspections_view
from defect.ui.tabs.batch_page import _show, _table
from defect.ui.tabs.steel import _view as steel_view
from tests.conftest import EXAMPLES

CAP = sorted((EXAMPLES / "rendered_cap").glob("*.jpg"))
STEEL = sorted((EXAMPLES / "rendered_steel").glob("*.jpg"))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradio_page, "upload_folder", lambda: tmp_path / "served")


def inspecting(threshold: float = 1.0) -> Task:
    return inspection_task(catalogue.detector("cae", "rendered_cap"), threshold)


def copies(folder: Path) -> list[str]:
    for path in CAP:
        (folder / path.name).write_bytes(path.read_bytes())
    return [str(folder / path.name) for path in CAP]


def test_a_batch_is_small_and_ranked_and_judged_without_a_network() -> None:
    progress: list[tuple[int, int]] = []
    paths = [str(path) for path in CAP] * 3
    batch = run_to_end(paths, inspecting(), lambda *counts: progress.append(counts))
    assert progress[-1] == (12, 12)
    scores = [inspection.score for inspection in batch.results]
    assert scores == sorted(scores, reverse=True)
    for item in batch.items:
        inspection = item.result
        assert inspection.error_map is None and inspection.reconstruction is None
        held = inspection.photo.nbytes + inspection.anomaly_map.nbytes + len(item.thumbnail)
        assert item.size == held < 350_000
        assert inspection.anomaly_map.base is None
    assert {row.verdict for row in batch.at(0.01).rows()} == {"defective"}
    assert {row.verdict for row in batch.at(1000).rows()} == {"normal"}


@pytest.mark.parametrize(
    ("count", "threshold", "text"),
    [(0, 1.0, "no photos yet"), (201, 1.0, "at most 200"), (1, 0.0, "above 0")],
)
def test_senseless_batches_are_refused(count: int, threshold: float, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        run_to_end([str(CAP[0])] * count, inspecting(threshold))


def test_a_batch_grows_photo_by_photo_and_can_be_left(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    task = inspecting()
    photos, started = start_batch([str(tmp_path / "torn.png"), *map(str, CAP)], task)
    running = run_batch(photos, started, task)
    grown = [next(running), next(running)]
    running.close()  # type: ignore[attr-defined]  # a generator
    assert [batch.done for batch in grown] == [1, 2]
    assert grown[1].total == len(CAP) + 1
    table = _table(inspections_view("batch_prompt"), grown[1])
    assert table["data"][0][1] == "not read"
    assert "damaged" in table["data"][0][-1] or "not a picture" in table["data"][0][-1]


def test_a_zip_made_later_is_at_the_new_threshold(tmp_path: Path) -> None:
    paths = copies(tmp_path)
    batch = run_to_end(paths, inspecting())
    Path(paths[0]).unlink()  # cleaned up meanwhile: its small picture stands in
    with zipfile.ZipFile(write_zip(batch.at(1000.0))) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("report.csv").decode("utf-8-sig"))))
        manifest = json.loads(archive.read("manifest.json"))
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == len(CAP)
    assert {row["verdict"] for row in rows} == {"normal"}
    assert {row["threshold"] for row in rows} == {"1000.0"}
    assert (manifest["threshold"], manifest["counts"]["normal"]) == (1000.0, len(CAP))


def test_tiles_are_framed_by_verdict_and_captioned_with_whole_names() -> None:
    batch = run_to_end([str(path) for path in CAP], inspecting())
    for item in batch.items:
        corner = np.asarray(read_photo(tile(batch, item)).pixels)[2, 2].astype(int)
        red, green = corner[0], corner[1]
        assert (red > green) == item.result.defective
    _, tiles, _, csv_button, *_ = _show(inspections_view("batch_prompt"), batch)
    assert {caption.rpartition(" · ")[2] for _, caption in tiles} == {path.name for path in CAP}
    assert csv_button.interactive


def test_the_summary_s_histogram_has_every_photo_on_its_side_of_the_threshold() -> None:
    batch = run_to_end([str(path) for path in CAP], inspecting())
    for threshold in (0.3, 1.0, 1000.0):
        judged = batch.at(threshold)
        summary = inspections_view("batch_prompt").summary(judged)
        assert summary.count("<score-histogram") == 1
        text = summary.partition('scores="')[2].partition('"')[0].replace("&quot;", '"')
        counts = {group: len(scores) for group, scores in json.loads(text).items()}
        defective = sum(result.defective for result in judged.results)
        expected = {"found_normal": len(CAP) - defective, "found_defective": defective}
        assert counts == {group: count for group, count in expected.items() if count}
        assert f'threshold="{threshold:g}"' in summary


def test_steel_rows_say_how_certain() -> None:
    result = load_steel_classifier()(EXAMPLES / "rendered_steel/scratches_1.jpg")
    row = steel_row_of(result)
    assert row.verdict == result.label != row.second
    assert row.confidence == pytest.approx(result.confidence, abs=1e-4)
    assert row.margin == pytest.approx(
        result.confidence - result.probabilities[row.second], abs=2e-4
    )


def test_a_steel_row_of_another_thing_is_unknown() -> None:
    row = steel_row_of(catalogue.classifier()(EXAMPLES / "rendered_cap/good.jpg"))
    assert row.verdict == "unknown" and row.ood_score is not None and row.ood_score > 1


def test_a_steel_batch_ends_in_table_csv_and_zip(tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"\x89PNG")
    paths = [*map(str, STEEL[:3]), str(tmp_path / "torn.png")]
    batch = run_to_end(paths, steel_task(catalogue.classifier()))
    summary, tiles, table, *_ = _show(steel_view(), batch)
    assert "1 not read" in summary
    assert len(tiles) == 3
    assert table["data"][0][0] == "torn.png"
    margins = [line[4] for line in table["data"][1:]]
    assert margins == sorted(margins)
    assert Path(write_csv(batch)).name == "steel.csv"
    with zipfile.ZipFile(write_zip(batch)) as archive:
        header = archive.read("report.csv").decode("utf-8-sig").splitlines()[0]
        manifest: dict[str, Any] = json.loads(archive.read("manifest.json"))
        assert sum(name.endswith(".jpg") for name in archive.namelist()) == 3
    assert header == ",".join(STEEL_COLUMNS)
    assert manifest["counts"]["photos"] == 4
    assert manifest["weights"]["sha256"] == catalogue.classifier().source.sha256
    assert batch.at(2.0) is batch  # a classifier has no threshold


def test_a_phone_photo_is_shown_small(tmp_path: Path) -> None:
    Image.new("RGB", (4000, 3000), "grey").save(tmp_path / "phone.jpg")
    photo = read_photo(tmp_path / "phone.jpg")
    assert photo.shown.shape == (768, 1024, 3)
    assert network_input(photo.pixels).shape == (256, 256, 3)


def test_two_hundred_photos_with_broken_ones_end_with_the_right_counts(tmp_path: Path) -> None:
    ways = [b"", b"no picture", b"\x89PNG\r\n\x1a\n torn", b"GIF89a" + bytes(20)]
    with Image.open(CAP[0]) as image:
        image.resize((256, 256)).save(tmp_path / "small.jpg", quality=95)
    folder = tmp_path / "line"
    folder.mkdir()
    for i in range(190):
        (folder / f"{i:03d}.jpg").hardlink_to(tmp_path / "small.jpg")
    for i in range(10):
        (folder / f"broken_{i}.jpg").write_bytes(ways[i % len(ways)])
    report = tmp_path / "report.zip"
    batch = run_to_end([str(folder)], inspecting(), report=report)
    assert (batch.total, batch.done, len(batch.items), len(batch.unreadable)) == (200, 200, 190, 10)
    with zipfile.ZipFile(report) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("report.csv").decode("utf-8-sig"))))
        counts = json.loads(archive.read("manifest.json"))["counts"]
    assert len(rows) == counts["photos"] == 200
    assert counts["not_read"] == sum(row["verdict"] == "not read" for row in rows) == 10
    assert all(row["note"] for row in rows if row["verdict"] == "not read")


def test_notes_and_boxes_are_in_the_rows_and_the_csv_is_excel_s(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "rendered_cap/chip.jpg") as image:
        large = image.resize((2400, 2400))
        large.save(tmp_path / "large.jpg")
        frame = image.convert("P")
    frame.save(tmp_path / "turning.gif", save_all=True, append_images=[frame.rotate(9)])
    large.convert("RGB").resize((256, 256)).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-12])
    paths = [str(tmp_path / name) for name in ("large.jpg", "turning.gif", "cut.png")]
    batch = run_to_end(paths, inspecting())
    rows = {row.file: row for row in batch.rows()}
    assert "first frame" in rows["turning.gif"].note
    assert "missing or corrupt" in rows["cut.png"].note
    left, top, right, bottom = map(int, rows["large.jpg"].largest_box.split(","))
    assert 0 <= left < right <= 2400 and 0 <= top < bottom <= 2400
    assert max(right, bottom) > 1024  # not in pixels of what is shown
    assert Path(write_csv(batch)).read_bytes().startswith(b"\xef\xbb\xbf")
    table = _table(inspections_view("batch_prompt"), batch)
    assert any("first frame" in str(line[-1]) for line in table["data"])


def test_a_batch_made_later_is_read_at_the_detector_s_depth(tmp_path: Path) -> None:
    with Image.open(CAP[0]) as image:
        values = np.asarray(image.convert("L")).astype(np.uint16) * 16
    Image.fromarray(values).save(tmp_path / "deep.png")
    detector = copy.copy(catalogue.detector("cae", "rendered_cap"))
    calibration = {**detector.metadata.calibration, "bit_depth": 12}
    detector.metadata = replace(detector.metadata, calibration=calibration)  # type: ignore[misc]
    batch = run_to_end([str(tmp_path / "deep.png")], inspection_task(detector, 1.0))
    with zipfile.ZipFile(write_zip(batch)) as archive:
        (overlay,) = [name for name in archive.namelist() if name.endswith(".jpg")]
        brightness = np.asarray(Image.open(io.BytesIO(archive.read(overlay)))).mean()
        assert json.loads(archive.read("manifest.json"))["bit_depth"] == 12
    assert brightness > 80  # unscaled it would be 10
