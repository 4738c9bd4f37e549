"""What moves in the page: at once, and without asking the server."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.ui.browser.steps import drag, inspect_example, no_request, pixels

pytestmark = pytest.mark.browser


def test_the_threshold_repaints_at_once_and_asks_nobody(page: Page) -> None:
    inspect_example(page, 1)
    before = pixels(page)
    with no_request(page):
        for i in range(31):
            drag(page, "#threshold-range", 0.3 + 0.09 * i)
            painted = page.locator("#viewer [data-painted]").get_attribute("data-painted")
            assert painted == f"{0.3 + 0.09 * i:.2f}"  # in the very next frame
    assert pixels(page) != before
    expect(page.locator("#threshold input[type=number]")).to_have_value("3.00")
    expect(page.locator("#verdict")).to_contain_text("threshold 3.00")


@pytest.mark.parametrize(
    "page",
    [(1280, "light", "tab=inspect&model=dae&category=rendered_cap")],
    indirect=True,
    ids=["dae"],
)
def test_wipe_opacity_colours_and_views_change_the_picture_alone(page: Page) -> None:
    inspect_example(page, 1)
    seen = {pixels(page)}
    verdict = page.locator("#verdict").inner_text()
    with no_request(page):
        steps = (
            lambda: drag(page, "#opacity-range", 20),
            lambda: page.locator("#colours-select").select_option("viridis"),
            lambda: drag(page, "#wipe-range", 50),
            lambda: drag(page, "#wipe-range", 100),
            lambda: page.locator(".views input[value=map]").check(force=True),
        )
        for number, step in enumerate(steps, 1):
            step()
            page.wait_for_timeout(60)
            if number < 5:  # wiped away entirely, every view is the photo
                seen.add(pixels(page))
        assert len(seen) == 5
        photo = pixels(page)
        drag(page, "#wipe-range", 0)
        for view in ("map", "reconstruction", "error"):
            page.locator(f".views input[value={view}]").check(force=True)
            page.wait_for_timeout(60)
            assert pixels(page) not in seen | {photo}
            seen.add(pixels(page))
            expect(page.locator(".legend")).to_have_css(
                "visibility", "hidden" if view == "reconstruction" else "visible"
            )
    assert page.locator("#verdict").inner_text() == verdict


def test_the_left_of_the_wipe_is_the_photo(page: Page) -> None:
    inspect_example(page, 1)
    halves = """() => {
        const canvas = document.querySelector("#canvas"), half = canvas.width / 2;
        const context = canvas.getContext("2d");
        return [0, half + 4].map((x) => context.getImageData(x, 0, half - 4, canvas.height).data)
            .map((part) => part.reduce((a, b) => (a * 31 + b) | 0, 7));
    }"""
    _, overlay_right = page.evaluate(halves)
    drag(page, "#wipe-range", 100)
    photo_left, photo_right = page.evaluate(halves)
    drag(page, "#wipe-range", 50)
    left, right = page.evaluate(halves)
    assert (left, right) == (photo_left, overlay_right)
    assert photo_right != overlay_right
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 20)
    page.mouse.up()
    assert page.locator("#wipe-range").input_value() == "75"


def test_results_do_not_push_the_page_about(page: Page) -> None:
    places = """() => ["#viewer .stage", "#threshold", "#viewer .below", "#compare-run"].map(
        (part) => Math.round(document.querySelector(part).getBoundingClientRect().top + scrollY))"""
    empty = page.evaluate(places)
    inspect_example(page, 1)
    assert page.evaluate(places) == empty
    drag(page, "#threshold-range", 3)
    assert page.evaluate(places) == empty
