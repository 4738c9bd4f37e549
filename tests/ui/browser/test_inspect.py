"""The Inspect tab's main path: what it shows is what the library says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from defect import load
from defect.detectors import catalogue
from defect.detectors.thresholds import cost
from defect.inspection import Inspection, describe, format_multiple, format_percent
from defect.ui.tabs.cards import threshold_cost
from tests.conftest import EXAMPLES
from tests.ui.browser.steps import inspect_example, move_slider, no_request, pick_example

pytestmark = pytest.mark.browser
CAP = EXAMPLES / "rendered_cap"


def verdict_of(inspection: Inspection) -> str:
    word = "Defective" if inspection.defective else "Looks normal"
    return f"{word}. {describe(inspection)}"


def test_the_page_says_what_the_library_says_at_every_threshold(page: Page) -> None:
    expect(page.locator("#verdict")).to_contain_text("No photo yet")
    inspect_example(page, 3)
    seen = load("memory", "rendered_cap")(CAP / "crack.jpg")
    metadata, _ = catalogue.header("memory", "rendered_cap")
    for threshold in (1.0, 0.3, 0.42, 0.55, 0.73, 0.99, 1.21, 3.0):
        with no_request(page):
            move_slider(page, "threshold", threshold)
        expect(page.locator("#viewer [data-painted]")).to_have_attribute(
            "data-painted", f"{threshold:.2f}"
        )
        judged = seen.at(threshold)
        word = page.locator("#verdict .word").inner_text()
        why = page.locator("#verdict .why").text_content()
        assert f"{word}. {why}" == verdict_of(judged)
        assert verdict_of(judged) in (page.locator("#canvas").get_attribute("aria-label") or "")
        assert page.locator("#cost").inner_text() == threshold_cost(cost(metadata, threshold))
        rows = page.locator("#viewer .regions tbody tr").all_inner_texts()
        expected = [
            f"{region.where}\t{format_percent(region.area)}\t{format_multiple(region.peak)}×"
            for region in judged.regions
        ]
        assert rows == expected[:8]
        if len(expected) > 8:
            expect(page.locator("#viewer .regions")).to_contain_text(f"{len(expected) - 8} smaller")


def test_a_good_part_looks_normal_until_the_threshold_is_too_low(page: Page) -> None:
    inspect_example(page, 0)
    expect(page.locator("#verdict .word")).to_have_text("Looks normal")
    expect(page.locator("#viewer .regions")).to_contain_text("Nothing reaches the threshold")
    move_slider(page, "threshold", 0.3)
    expect(page.locator("#verdict .word")).to_have_text("Defective")


def test_another_model_looks_again_and_another_category_starts_anew(page: Page) -> None:
    inspect_example(page, 1)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("MEMORY, rendered_cap")
    page.locator("#model").get_by_text("CAE").click()
    expect(verdict).to_contain_text("CAE, rendered_cap")

    page.locator("#category input").click()
    page.get_by_role("option", name="bottle").click()
    expect(verdict).to_contain_text("No photo yet")
    expect(page.get_by_text("bottle expects the mouth of a bottle")).to_be_visible()
    expect(page.locator("#examples")).not_to_be_visible()
    page.get_by_text("About these weights").first.click()
    expect(page.locator("#origin")).to_contain_text("MVTec AD")


def test_an_upload_one_that_is_none_and_one_of_something_else(page: Page, tmp_path: Path) -> None:
    upload = page.locator("#photo input[type=file]")
    upload.set_input_files(CAP / "chip.jpg")
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("Defective")
    expect(page.locator("#verdict .warning")).not_to_be_visible()
    (tmp_path / "torn.png").write_bytes(b"no picture at all")
    clear = page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first
    clear.click()
    expect(verdict).to_contain_text("No photo yet")
    upload.set_input_files(tmp_path / "torn.png")
    expect(verdict).to_contain_text("Not inspected")
    expect(verdict).to_contain_text("not a picture this program reads")
    expect(page.locator("#canvas")).not_to_be_visible()
    expect(page.locator("#compare-run")).to_be_disabled()
    clear.click()
    expect(verdict).to_contain_text("No photo yet")
    page.locator("#model").get_by_text("DAE").click()
    upload.set_input_files(EXAMPLES / "rendered_weave/good.jpg")
    expect(page.locator("#verdict .warning")).to_contain_text("does not look like")
    move_slider(page, "threshold", 3)
    expect(page.locator("#verdict .warning")).to_be_visible()  # whatever the threshold


def test_all_models_on_one_photo_follow_the_threshold(page: Page) -> None:
    expect(page.locator("#compare-run")).to_be_disabled()
    inspect_example(page, 3)
    page.locator("#compare-run").click()
    cards = page.locator("#comparison .card")
    models = catalogue.categories()["rendered_cap"].models
    expect(cards).to_have_count(len(models))
    for threshold in (1.0, 2.5):
        with no_request(page):
            move_slider(page, "threshold", threshold)
        for i, model in enumerate(models):
            judged = load(model, "rendered_cap")(CAP / "crack.jpg").at(threshold)
            expect(cards.nth(i).locator("h3")).to_have_text(model.upper())
            verdict = verdict_of(judged)
            expect(cards.nth(i).locator("canvas")).to_have_attribute(
                "aria-label", f"{model}. {verdict}"
            )
            expect(cards.nth(i).locator(".word")).to_contain_text(verdict.partition(".")[0])
    pick_example(page, 0)  # another photo: the comparison was of the last
    expect(cards).to_have_count(0)


def test_presets_set_the_slider_and_the_histogram_shows_where_the_photo_falls(page: Page) -> None:
    number = page.locator("#threshold input[type=number]")
    thresholds = []
    for name, text in (("Few", "1 good part in 1000"), ("Balanced", "100,"), ("Most", "10,")):
        page.get_by_role("button", name=re.compile(name)).click()
        expect(page.locator("#viewer .preset-hint")).to_contain_text(text)
        thresholds.append(float(number.input_value()))
    assert thresholds[0] > thresholds[1] == 1.0 > thresholds[2]
    histogram = page.locator("#histogram svg")
    expect(histogram).not_to_have_attribute("aria-label", re.compile("This photo"))
    inspect_example(page, 1)
    expect(histogram).to_have_attribute(
        "aria-label", re.compile(r"Threshold: 0\.\d+\. This photo: \d")
    )
    assert histogram.locator("rect").count() > 10


def test_a_name_from_outside_stays_text(page: Page, tmp_path: Path) -> None:
    name = "<img src=x onerror=document.title=1>.jpg"
    (tmp_path / name).write_bytes((CAP / "good.jpg").read_bytes())
    page.locator("#photo input[type=file]").set_input_files(tmp_path / name)
    page.locator("#canvas").wait_for()
    assert page.title() == "Defect detection"
    stored = page.evaluate("localStorage.getItem('defect.history.1')")
    assert json.loads(stored)[0]["name"]
    assert page.locator("#history img").count() == 1
