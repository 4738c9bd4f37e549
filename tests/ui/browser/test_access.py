"""For a keyboard, a screen reader and a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.ui.browser.steps import inspect_example, open_tab

pytestmark = pytest.mark.browser


@pytest.mark.slow
@pytest.mark.parametrize("page", [(1280, "light"), (390, "dark")], indirect=True, ids=str)
def test_no_serious_violation_in_any_tab(page: Page) -> None:
    inspect_example(page, 1)
    page.locator("#compare-run").click()
    page.locator("#comparison canvas").first.wait_for()
    hidden = page.locator(".tab-container.visually-hidden").first
    names = hidden.locator("button").all_text_contents()
    assert {"Inspect", "Results"} <= set(names)
    for name in names:
        open_tab(page, name)
        if name == "Results":
            page.locator("#results-detail svg").first.wait_for()
        page.wait_for_timeout(900)  # a tab's parts are repaired a moment after they arrive
        found = Axe().run(page).response["violations"]
        serious = [
            (name, each["id"], [node["html"][:200] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert not serious


def tab_to(page: Page, selector: str, most: int = 60) -> None:
    """Presses Tab until the element has the focus, and checks that one can see it."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("s => document.activeElement.matches(s)", selector):
            return
    raise AssertionError(f"{selector} is not reached by the Tab key")


def test_inspecting_with_the_keyboard_alone(page: Page) -> None:
    tab_to(page, "#category input")
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("rendered_washer expects")).to_be_visible()
    tab_to(page, "#model input[value=cae]")
    page.keyboard.press("Space")
    expect(page.locator("#model input:checked")).to_have_value("cae")
    tab_to(page, "#examples button.thumbnail-item")
    page.keyboard.press("Enter")
    expect(page.locator("#verdict")).to_contain_text("CAE, rendered_washer")

    tab_to(page, ".views input")
    ring = page.locator(".views input:focus-visible + span")
    assert ring.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.keyboard.press("ArrowRight")
    expect(page.locator(".views input:checked")).to_have_value("map")

    tab_to(page, "#threshold-range")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#verdict")).to_contain_text("threshold 1.03")
    page.keyboard.press("Home")
    expect(page.locator("#verdict")).to_contain_text("threshold 0.30")
    expect(page.locator("#verdict .word")).to_have_text("Defective")
    expect(page.locator("#viewer .announced")).to_contain_text("Defective. ")
    tab_to(page, "[data-preset=balanced]")
    page.keyboard.press("Space")
    expect(page.locator("#threshold input[type=number]")).to_have_value("1.00")
    tab_to(page, "#wipe-range")
    page.keyboard.press("End")
    assert page.locator("#wipe-range").input_value() == "100"
    tab_to(page, "#compare-run")
    page.keyboard.press("Enter")
    page.locator("#comparison canvas").first.wait_for()


def test_the_tab_key_passes_the_category_by(page: Page) -> None:
    inspect_example(page, 1)
    page.locator("#model").get_by_text("CAE").click()
    expect(page.locator("#verdict")).to_contain_text("CAE, rendered_cap")
    page.locator("#category input").focus()
    page.keyboard.press("Tab")
    page.wait_for_timeout(800)
    expect(page.locator("#verdict")).to_contain_text("CAE, rendered_cap")
    expect(page.locator("#model input:checked")).to_have_value("cae")


def test_every_control_and_picture_has_a_name(page: Page) -> None:
    inspect_example(page, 1)
    nameless = page.evaluate(
        """() => [...document.querySelectorAll(
            "#viewer :is(input, select, button, canvas[role]), #history button")]
            .filter((e) => !(e.labels?.length || e.getAttribute("aria-label") || e.innerText))
            .map((e) => e.outerHTML)"""
    )
    assert nameless == []


@pytest.mark.parametrize("page", [(390, "light")], indirect=True, ids=str)
def test_on_a_phone_the_verdict_comes_before_the_history(page: Page) -> None:
    inspect_example(page, 1)
    tops = page.evaluate(
        """() => ["#photo", "#verdict", "#canvas", "#threshold", "#history"].map(
            (part) => document.querySelector(part).getBoundingClientRect().top)"""
    )
    assert tops == sorted(tops)
    page.locator("#compare-run").click()
    page.locator("#comparison canvas").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
