"""Links that open a state, and what this browser remembers."""

from __future__ import annotations

import json
import re
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import EXAMPLES
from tests.ui.browser.steps import inspect_example, move_slider

pytestmark = pytest.mark.browser
HISTORY = "localStorage.getItem('defect.history.1')"


LINK = "tab=inspect&model=cae&category=rendered_washer&threshold=1.25&example=rust"
NONSENSE = "tab=kitchen&model=x&category=..%2F..&threshold=-7&example=%3Cb%3E"


@pytest.mark.parametrize("page", [(1280, "light", LINK)], indirect=True, ids=["link"])
def test_a_link_opens_the_state_it_was_copied_from(page: Page, app_url: str) -> None:
    verdict = page.locator("#verdict")
    expect(verdict).to_contain_text("CAE, rendered_washer")
    expect(verdict).to_contain_text("threshold 1.25")
    expect(verdict).to_contain_text("Defective")
    expect(page.locator("#model input:checked")).to_have_value("cae")
    expect(page.locator("#category input")).to_have_value("rendered_washer")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".copied")).to_contain_text("Copied")
    copied = urlsplit(page.evaluate("navigator.clipboard.readText()"))
    assert f"{copied.scheme}://{copied.netloc}" == app_url
    assert parse_qs(copied.query) == parse_qs(LINK)


@pytest.mark.parametrize(
    ("page", "limit"),
    [((1280, "light", NONSENSE), "0.30"), ((1280, "light", "threshold=abc"), "1.00")],
    indirect=["page"],
    ids=["nonsense", "no number"],
)
def test_nonsense_in_a_link_is_ignored(page: Page, limit: str) -> None:
    expect(page.locator("#verdict")).to_contain_text("No photo yet")
    expect(page.locator("#threshold input[type=number]")).to_have_value(limit)
    inspect_example(page, 1)


@pytest.mark.parametrize("page", [(1280, "light", "tab=steel")], indirect=True, ids=["steel"])
def test_a_link_opens_a_tab(page: Page) -> None:
    expect(page.locator("#steel-verdict")).to_be_visible()


def test_history_comes_back_after_a_reload_and_can_be_cleared(page: Page) -> None:
    expect(page.locator("#history")).to_contain_text("stays in this browser")
    inspect_example(page, 1)
    entries = page.locator("#history li")
    expect(entries).to_have_count(1)
    move_slider(page, "threshold", 0.5)  # the same inspection: its entry follows
    expect(entries.first.locator("a")).to_have_attribute("href", re.compile("threshold=0.50"))
    expect(entries).to_have_count(1)
    inspect_example(page, 0)
    expect(entries).to_have_count(2)
    expect(entries.first).to_contain_text("good · MEMORY rendered_cap")
    shown = entries.all_inner_texts()

    page.reload()
    expect(entries).to_have_count(2)
    assert entries.all_inner_texts() == shown
    sizes = page.locator("#history img").evaluate_all(
        "images => images.map(i => Math.max(i.naturalWidth, i.naturalHeight))"
    )
    assert max(sizes) <= 96
    entries.nth(1).locator("a").click()  # an example opens again as it was
    expect(page.locator("#verdict")).to_contain_text("Score")
    expect(page.locator("#verdict")).to_contain_text("threshold 0.50")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(entries).to_have_count(0)
    assert page.evaluate(HISTORY) == "[]"


def test_history_is_bounded_and_survives_damage(page: Page) -> None:
    inspect_example(page, 0)
    page.evaluate(
        """() => {
            const one = JSON.parse(localStorage.getItem("defect.history.1"))[0];
            const many = Array.from({ length: 60 }, (_, i) =>
                ({ ...one, id: "x" + i, example: null, thumb: one.thumb + " ".repeat(9000) }));
            localStorage.setItem("defect.history.1", JSON.stringify(many));
        }"""
    )
    inspect_example(page, 1)
    kept = page.evaluate(HISTORY)
    assert len(kept) <= 160_000
    assert 2 <= len(json.loads(kept)) <= 24
    assert json.loads(kept)[0]["example"] == "chip"
    page.evaluate("localStorage.setItem('defect.history.1', '{damaged')")
    page.reload()
    expect(page.locator("#history")).to_contain_text("stays in this browser")


def test_an_upload_is_remembered_but_offers_no_link(page: Page) -> None:
    page.locator("#photo input[type=file]").set_input_files(
        EXAMPLES / "rendered_brushed/scratch.jpg"
    )
    entries = page.locator("#history li")
    expect(entries).to_have_count(1)
    expect(entries.locator("a")).to_have_count(0)


def test_chinese_where_the_browser_asks_for_it(browser: Browser, app_url: str) -> None:
    context = browser.new_context(locale="zh-CN")
    page = context.new_page()
    page.goto(f"{app_url}/?category=rendered_cap&example=chip")
    expect(page.locator("#verdict .word")).to_have_text("有缺陷")
    expect(page.locator("#verdict .why")).to_contain_text("正常上限")
    expect(page.get_by_role("tab", name="检测")).to_be_visible()
    expect(page.locator("#compare-run")).to_have_text("用所有模型比较这张照片")
    expect(page.locator("#cost")).to_contain_text("良品")
    expect(page.get_by_role("button", name="均衡")).to_be_visible()
    context.close()
