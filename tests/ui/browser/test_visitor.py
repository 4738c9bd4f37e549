"""What a visitor does in the tabs beside Inspect, in a real browser."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from defect.datasets.rendered import render
from tests.conftest import EXAMPLES
from tests.ui.browser.steps import move_slider, no_request, open_tab, pick_example

pytestmark = pytest.mark.browser


def test_steel(page: Page) -> None:
    open_tab(page, "Steel surface")
    page.locator("#steel-examples button.thumbnail-item").nth(10).click()
    expect(page.locator("#steel-verdict .word")).to_have_text("scratches")
    expect(page.locator("#steel-bars .row")).to_have_count(6)
    page.locator("#steel-cam img").wait_for()


def test_a_batch_and_its_csv(page: Page, tmp_path: Path) -> None:
    open_tab(page, "Batch")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nbut no more")
    cap = EXAMPLES / "rendered_cap"
    files = [cap / "good.jpg", cap / "chip.jpg", cap / "contamination.jpg", tmp_path / "torn.png"]
    page.locator("#batch-files input[type=file]").set_input_files(files)
    expect(page.locator("#batch-files")).to_contain_text("contamination")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-summary")).to_contain_text("2 defective · 1 normal")
    expect(page.locator("#batch-summary")).to_contain_text("1 not read")
    expect(page.locator("#batch-gallery img")).to_have_count(3)
    expect(page.locator("#batch-table")).to_contain_text("torn.png")

    with page.expect_download() as download:
        page.locator("#batch-csv").click()
    target = tmp_path / "report.csv"
    download.value.save_as(target)
    with target.open(encoding="utf-8-sig") as file:
        rows = {row["file"]: row["verdict"] for row in csv.DictReader(file)}
    assert rows == {
        "good.jpg": "normal",
        "chip.jpg": "defective",
        "contamination.jpg": "defective",
        "torn.png": "not read",
    }

    move_slider(page, "batch-threshold", 0.3)
    expect(page.locator("#batch-summary")).to_contain_text("3 defective")


def test_the_batch_s_threshold_says_what_it_costs(page: Page) -> None:
    open_tab(page, "Batch")
    cost = page.locator("#batch-cost")
    expect(cost).to_contain_text("photos of good parts")
    before = cost.inner_text()
    move_slider(page, "batch-threshold", 0.3)
    expect(cost).not_to_have_text(before)


@pytest.mark.slow
def test_a_taught_detector_is_used_like_any_other(page: Page, tmp_path: Path) -> None:
    open_tab(page, "Your product")
    expect(page.locator("#product-verdict")).to_contain_text("Teach or load a detector")
    good = []
    for seed in range(6):
        good.append(tmp_path / f"washer_{seed}.png")
        Image.fromarray(render("rendered_washer", 40 + seed, "good").image).save(good[-1])
    page.locator("#product-files input[type=file]").set_input_files(good)
    expect(page.locator("#product-files")).to_contain_text("washer_5")
    page.locator("#product-teach").click()
    expect(page.locator("#product-card .word")).to_contain_text(
        "my_part learned from 6 photos", timeout=60_000
    )
    photo = EXAMPLES / "rendered_washer/rust.jpg"
    page.locator("#product-photo input[type=file]").set_input_files(photo)
    page.locator("#product-canvas").wait_for()
    verdict = page.locator("#product-verdict")
    expect(verdict).to_contain_text("MEMORY, my_part")
    with no_request(page):  # the viewer judges by itself, as on the Inspect tab
        move_slider(page, "product-threshold", 3)
        expect(verdict).to_contain_text("threshold 3.00")
    expect(page.locator("#threshold input[type=number]")).to_have_value("1.00")
    expect(page.locator("#product-histogram rect").first).to_be_visible()
    expect(page.locator("#product-viewer .copy")).not_to_be_visible()  # nobody else could open it
    with page.expect_download() as download:
        page.locator("#product-download").click()
    assert download.value.suggested_filename == "my_part.safetensors"

    page.locator("#product-batch").get_by_text("Many photos at once").click()
    name = "a_washer_with_a_rather_long_name_that_is_shown_whole.jpg"
    shutil.copy(photo, tmp_path / name)
    files = [tmp_path / name, EXAMPLES / "rendered_washer/good.jpg"]
    page.locator("#product-batch-files input[type=file]").set_input_files(files)
    expect(page.locator("#product-batch-files")).to_contain_text("good")
    page.locator("#product-batch-run").click()
    expect(page.locator("#product-batch-gallery img")).to_have_count(2)
    expect(page.locator("#product-batch-gallery")).to_contain_text(name)
    expect(page.locator("#product-batch-cost")).to_contain_text("photos of good parts")
    move_slider(page, "product-batch-threshold", 0.3)
    expect(page.locator("#product-batch-summary")).to_contain_text("2 defective · 0 normal")
    page.locator("#product-batch-zip").click()
    expect(page.locator("#product-batch-zip-ready")).to_be_visible()


def scorecard_row(page: Page, number: int) -> list[str]:
    rows = page.locator("#scorecard [role=row]:has([role=gridcell])")
    return rows.nth(number).inner_text().split("\n")


def test_results_open_sort_and_show_what_is_chosen(page: Page) -> None:
    open_tab(page, "Results")
    detail = page.locator("#results-detail")
    expect(detail.locator("svg").first).to_be_visible()
    expect(detail.locator("score-histogram rect").first).to_be_visible()
    page.locator("#results-model").get_by_text("DAE").click()
    expect(page.locator("#results-reconstructions img")).to_have_count(4)
    expect(page.locator("#results-steel svg")).to_have_count(2)

    head = page.locator("#scorecard [data-testid=header-2]:visible")
    for order, better in (("Sort ascending", min), ("Sort descending", max)):
        head.locator(".cell-menu-button").click()
        page.get_by_role("menuitem", name=order).click()
        page.wait_for_timeout(300)
        found = [float(scorecard_row(page, i)[2].split()[0]) for i in range(6)]
        assert found[0] == better(found)
        assert found == sorted(found, reverse=better is max)

    page.locator("#results-category input").click()
    page.get_by_role("option", name="bottle").click()
    note = page.locator("#results-reconstructions-note")
    expect(note).to_contain_text("may not be redistributed")
    expect(page.locator("#results-reconstructions")).not_to_be_visible()
    chosen = detail.inner_text()
    page.locator("#results-model").get_by_text("CAE").click()
    expect(detail).not_to_have_text(chosen)
    page.wait_for_timeout(1000)  # Gradio's dropdown tells of its choice once more when it is left

    name, model, *_ = scorecard_row(page, 0)
    row = page.locator("#scorecard [role=row]:has([role=gridcell])").first
    row.locator("[role=gridcell]").nth(2).click()
    expect(page.locator("#results-category input")).to_have_value(name.removesuffix(" †"))
    expect(page.locator("#results-model input:checked")).to_have_value(model.lower())


def test_the_numbers_can_be_had(page: Page, tmp_path: Path) -> None:
    open_tab(page, "Results")
    page.locator("#results-detail svg").first.wait_for()
    for element, name in (("results-csv", "a.csv"), ("results-json", "a.json")):
        with page.expect_download() as download:
            page.locator(f"#{element}").click()
        download.value.save_as(tmp_path / name)
    with (tmp_path / "a.csv").open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert {row["category"] for row in rows} >= {"bottle", "rendered_cap"}
    assert len(document["scorecard"]) == len(rows)
    assert "/tmp" not in page.locator("body").inner_text()


@pytest.mark.parametrize(
    "page", [(390, "light"), (390, "dark"), (1280, "dark")], indirect=True, ids=str
)
def test_nothing_runs_off_the_side(page: Page) -> None:
    pick_example(page, 1)
    page.locator("#canvas").wait_for()
    width = page.viewport_size["width"] if page.viewport_size else 0
    for tab in ("Inspect", "Steel surface", "Batch", "Your product", "Results", "API"):
        open_tab(page, tab)
        if tab == "Results":
            page.locator("#results-detail svg").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
