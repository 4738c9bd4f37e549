"""Inspections as rows and CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import numpy as np
import pytest

from defect.imaging.photo import ImageError
from defect.inspection import Inspection
from defect.reports.rows import COLUMNS, Row, row_of, row_of_error, to_csv
from tests.factories import make_inspection


@pytest.fixture
def inspection() -> Inspection:
    """A strong anomaly at the upper left and a weaker one at the lower right."""
    anomaly_map = np.full((256, 256), 0.2, np.float32)
    anomaly_map[20:40, 20:40] = 2.5
    anomaly_map[220:230, 230:240] = 1.4
    return make_inspection(
        anomaly_map,
        notes=("Turned upright as its EXIF data says.",),
        thesis_score=0.0123456789,
    )


def test_row(inspection: Inspection) -> None:
    row = row_of(inspection)
    assert (row.file, row.verdict, row.score, row.threshold) == ("part.png", "defective", 2.5, 1.0)
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
def test_a_file_name_is_not_a_formula(inspection: Inspection, name: str) -> None:
    text = to_csv([row_of(replace(inspection, name=name))])
    cell = next(csv.DictReader(io.StringIO(text)))["file"]
    assert cell == "'" + name


def test_what_a_detector_does_not_have_is_an_empty_cell() -> None:
    memory = make_inspection(thesis_score=None, thesis_limit=None, reconstruction=None)
    row = row_of(memory)
    assert row.thesis_score is None and row.verdict == "normal" and row.largest_percent == 0
    assert next(csv.DictReader(io.StringIO(to_csv([row]))))["thesis_score"] == ""


def test_numbers_below_zero_stay_numbers(inspection: Inspection) -> None:
    row = Row("a.png", "normal", -1.5, 1.0, 0.1, 0.0, 0, 0.0, "cae", "bottle", "", "")
    assert next(csv.DictReader(io.StringIO(to_csv([row]))))["score"] == "-1.5"


def test_the_largest_box_is_in_pixels_of_the_photo(inspection: Inspection) -> None:
    row = row_of(replace(inspection, photo_size=(512, 1024)))
    assert row.largest_box == "80,40,160,80" and row.regions == 2
    assert row_of(inspection.at(2.6)).largest_box == ""
    bare = replace(inspection, photo=np.zeros((0, 0, 3), np.uint8))
    assert row_of(bare).largest_box == ""
    assert row_of(replace(bare, photo_size=(512, 1024))).largest_box == "80,40,160,80"
