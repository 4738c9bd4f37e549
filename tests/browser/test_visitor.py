"""What a visitor does, in a real browser."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import EXAMPLES

pytestmark = pytest.mark.browser


def pick_example(page: Page, number: int) -> None:
    page.locator("#examples button.thumbnail-item").nth(number).click()


def move_slider(page: Page, element: str, value: float) -> None:
    box = page.locator(f"#{element} input[type=number]")
    box.fill(str(value))
    box.press("Enter")
    box.blur()


def image_of(page: Page, element: str) -> str:
    source = page.locator(f"#{element} img").first.get_attribute("src")
    assert source
    return source


def test_an_example_a_verdict_and_a_threshold_that_moves(page: Page) -> None:
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("No photo yet")
    pick_example(page, 1)
    expect(verdict).to_contain_text("Defective")
    expect(verdict).to_contain_text("× the normal limit")
    page.locator("#overlay img").wait_for()
    for shown in ("reconstruction", "error-map"):
        page.locator(f"#{shown} img").wait_for()
    before, rebuilt = image_of(page, "overlay"), image_of(page, "reconstruction")
    score = re.search(r"Score ([\d.]+)", verdict.inner_text())
    assert score is not None

    move_slider(page, "threshold", 3)
    expect(verdict).to_contain_text("threshold 3.00")
    expect(page.locator("#overlay img")).not_to_have_attribute("src", before)
    # The score is the photo's and stays; no network ran, so the reconstruction stays too.
    assert f"Score {score.group(1)}" in verdict.inner_text()
    assert image_of(page, "reconstruction") == rebuilt
    page.locator("#threshold input[type=range]").press("ArrowLeft")
    expect(verdict).to_contain_text("threshold 2.99")


def test_a_good_part_looks_normal_until_the_threshold_is_too_low(page: Page) -> None:
    pick_example(page, 0)
    expect(page.locator("#verdict")).to_contain_text("Looks normal")
    move_slider(page, "threshold", 0.3)
    expect(page.locator("#verdict")).to_contain_text("Defective")


def test_another_model_looks_again_and_another_category_starts_anew(page: Page) -> None:
    pick_example(page, 1)
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("Defective")
    first = verdict.inner_text()
    page.locator("#model").get_by_text("CAE").click()
    expect(verdict).not_to_have_text(first)
    expect(verdict).to_contain_text("Score")

    page.locator("#category input").click()
    page.get_by_role("option", name="bottle").click()
    expect(verdict).to_contain_text("No photo yet")
    expect(page.get_by_text("bottle expects the mouth of a bottle")).to_be_visible()
    expect(page.locator("#examples")).not_to_be_visible()
    page.get_by_text("Where these weights come from").first.click()
    expect(page.locator("#origin")).to_contain_text("MVTec AD")


def test_an_uploaded_photo_and_one_that_is_none(page: Page, tmp_path: Path) -> None:
    page.locator("#photo input[type=file]").set_input_files(EXAMPLES / "rendered_cap/chip.jpg")
    expect(page.locator("#verdict")).to_contain_text("Defective")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nbut no more")
    page.get_by_label("Clear").or_(page.get_by_label("Remove Image")).first.click()
    page.locator("#photo input[type=file]").set_input_files(tmp_path / "torn.png")
    expect(page.locator("#verdict")).to_contain_text("Not inspected")
    expect(page.locator("#verdict")).to_contain_text("not a picture this program reads")


def test_steel(page: Page) -> None:
    page.get_by_role("tab", name="Steel surface").click()
    page.locator("#steel-examples button.thumbnail-item").nth(10).click()
    expect(page.locator("#steel-verdict .word")).to_have_text("scratches")
    expect(page.locator("#steel-bars .row")).to_have_count(6)
    page.locator("#steel-cam img").wait_for()


def test_a_batch_and_its_csv(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Batch").click()
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nbut no more")
    cap = EXAMPLES / "rendered_cap"
    files = [cap / "good.jpg", cap / "chip.jpg", cap / "contamination.jpg", tmp_path / "torn.png"]
    page.locator("#batch-files input[type=file]").set_input_files(files)
    expect(page.locator("#batch-files")).to_contain_text("contamination")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-summary")).to_contain_text("2 of 3 photos called defective")
    expect(page.locator("#batch-summary")).to_contain_text("1 could not be read")
    expect(page.locator("#batch-gallery img")).to_have_count(3)
    expect(page.locator("#batch-table")).to_contain_text("torn.png")

    with page.expect_download() as download:
        page.locator("#batch-csv").click()
    target = tmp_path / "report.csv"
    download.value.save_as(target)
    with target.open(encoding="utf-8") as file:
        rows = {row["file"]: row["verdict"] for row in csv.DictReader(file)}
    assert rows == {
        "good.jpg": "normal",
        "chip.jpg": "defective",
        "contamination.jpg": "defective",
        "torn.png": "not read",
    }

    move_slider(page, "batch-threshold", 0.3)
    expect(page.locator("#batch-summary")).to_contain_text("3 of 3")


def test_the_threshold_says_what_it_costs(page: Page) -> None:
    cost = page.locator("#cost")
    expect(cost).to_contain_text("photos of good parts")
    before = cost.inner_text()
    move_slider(page, "threshold", 0.3)  # no photo is needed
    expect(cost).not_to_have_text(before)
    expect(cost).to_contain_text(re.compile(r"good parts are stopped"))
    page.get_by_role("tab", name="Batch").click()
    cost = page.locator("#batch-cost")
    expect(cost).to_have_text(before)
    move_slider(page, "batch-threshold", 0.3)
    expect(cost).not_to_have_text(before)


def scorecard_row(page: Page, number: int) -> list[str]:
    rows = page.locator("#scorecard [role=row]:has([role=gridcell])")
    return rows.nth(number).inner_text().split("\n")


def test_results_open_sort_and_show_what_is_chosen(page: Page) -> None:
    page.get_by_role("tab", name="Results").click()
    detail = page.locator("#results-detail")
    expect(detail.locator("svg").first).to_be_visible()
    expect(page.locator("#results-rebuilt img")).to_have_count(4)
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
    expect(page.locator("#results-rebuilt-note")).to_contain_text("may not be passed on")
    expect(page.locator("#results-rebuilt")).not_to_be_visible()
    chosen = detail.inner_text()
    page.locator("#results-model").get_by_text("CAE").click()
    expect(detail).not_to_have_text(chosen)

    name, model, *_ = scorecard_row(page, 0)
    row = page.locator("#scorecard [role=row]:has([role=gridcell])").first
    row.locator("[role=gridcell]").nth(2).click()
    expect(page.locator("#results-category input")).to_have_value(name)
    expect(page.locator("#results-model input:checked")).to_have_value(model.lower())


def test_the_numbers_can_be_had(page: Page, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Results").click()
    page.locator("#results-detail svg").first.wait_for()
    for element, name in (("results-csv", "a.csv"), ("results-json", "a.json")):
        with page.expect_download() as download:
            page.locator(f"#{element}").click()
        download.value.save_as(tmp_path / name)
    with (tmp_path / "a.csv").open(encoding="utf-8") as file:
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
    page.locator("#overlay img").wait_for()
    width = page.viewport_size["width"] if page.viewport_size else 0
    for tab in ("Inspect", "Steel surface", "Batch", "Results"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Results":
            page.locator("#results-detail svg").first.wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, tab
