"""Inspections as rows, CSV and sentences."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from defect.imaging.photo import ImageError
from defect.inspection import Inspection, WeightsSource
from defect.reports.rows import COLUMNS, Row, describe, row_of, row_of_error, to_csv


@pytest.fixture
def inspection() -> Inspection:
    """A photo with one strong place at the top left and a weaker one at the bottom right."""
    anomaly_map = np.full((256, 256), 0.2, np.float32)
    anomaly_map[20:40, 20:40] = 2.5
    anomaly_map[220:230, 230:240] = 1.4
    return Inspection(
        photo=np.zeros((64, 64, 3), np.uint8),
        name="part.png",
        notes=("Turned upright as its EXIF data says.",),
        anomaly_map=anomaly_map,
        error_map=np.zeros((256, 256), np.float32),
        reconstruction=np.zeros((256, 256, 3), np.uint8),
        score=2.5,
        thesis_score=0.0123456789,
        thesis_limit=0.02,
        model="cae",
        category="bottle",
        weights=WeightsSource("bundled", "cae/bottle.safetensors", "ab" * 32, 10),
    )


def test_row(inspection: Inspection) -> None:
    row = row_of(inspection)
    assert (row.file, row.verdict, row.score, row.limit) == ("part.png", "defective", 2.5, 1.0)
    assert row.thesis_score == 0.012346
    assert row.area_percent == round(100 * (400 + 100) / 65536, 2)
    assert (row.regions, row.largest_percent) == (2, round(100 * 400 / 65536, 2))
    assert row.weights_sha256 == "ab" * 32
    assert "upright" in row.note
    assert row_of(inspection.at(2.6)).verdict == "normal"


def test_csv_reads_back(inspection: Inspection) -> None:
    bad = row_of_error('torn, "quoted".png', ImageError("It is cut off."), "cae", "bottle")
    text = to_csv([row_of(inspection), bad])
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert rows[0]["score"] == "2.5"
    assert rows[1]["file"] == 'torn, "quoted".png'
    assert (rows[1]["verdict"], rows[1]["score"]) == ("not read", "")
    assert rows[1]["note"] == "It is cut off."


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-a.png", "@a.png", "\ta.png"])
def test_a_file_name_is_no_formula(inspection: Inspection, name: str) -> None:
    text = to_csv([row_of(replace(inspection, name=name))])
    cell = next(csv.DictReader(io.StringIO(text)))["file"]
    assert cell == "'" + name


def test_numbers_below_zero_stay_numbers(inspection: Inspection) -> None:
    row = Row("a.png", "normal", -1.5, 1.0, 0.1, 0.0, 0, 0.0, "cae", "bottle", "", "")
    assert next(csv.DictReader(io.StringIO(to_csv([row]))))["score"] == "-1.5"


def test_sentences(inspection: Inspection) -> None:
    text = describe(inspection)
    assert text.startswith("2.50 × the normal limit, largest region upper left, 0.6 % of the photo")
    assert "(2 regions, 0.8 % in all)" in text
    assert "regions" not in describe(inspection.at(2.0))
    calm = "Its strangest place reaches 2.50 × the normal limit."
    assert describe(inspection.at(3.0)) == calm


def test_a_photo_of_something_else_is_suspected(inspection: Inspection) -> None:
    other = replace(inspection, anomaly_map=np.full((256, 256), 4.0, np.float32), score=4.0)
    assert "Is this a photo of the kind" in describe(other)
