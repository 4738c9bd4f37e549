"""A visitor whose browser asks for Chinese reads no English in any tab, before and after work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import EXAMPLES
from tests.ui.browser.steps import inspect_example, move_slider, open_tab

pytestmark = pytest.mark.browser
SENTENCE = re.compile(r"[A-Za-z][A-Za-z'’-]*(?:[ ,:]+[A-Za-z][A-Za-z'’-]*){2,}")
"""Three words in a row."""
NAMES = ("PNG, JPEG, BMP, WebP, TIFF, GIF, AVIF, JPEG", "Song & Yan")
WRITTEN = """() => {
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), found = [];
    while (nodes.nextNode()) {
        const box = nodes.currentNode.parentElement;
        if (box.checkVisibility() && !box.closest("script, style, code, .cm-editor"))
            found.push(nodes.currentNode.textContent);
    }
    // Gradio's own parts have English ones here and there.
    const ours = "#viewer, #comparison, #history, #product-viewer, .figures, .batch-card";
    for (const box of document.querySelectorAll(":is(" + ours + ") [aria-label]"))
        if (box.checkVisibility()) found.push(box.ariaLabel);
    return found;
}"""


@pytest.fixture(params=[1280, 390], ids=str)
def page(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    context = browser.new_context(
        locale="zh-CN", viewport={"width": request.param, "height": 900}, accept_downloads=True
    )
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(app_url)
    page.locator("#viewer [data-painted]").wait_for(state="attached")
    yield page
    context.close()


def english(page: Page) -> list[str]:
    written = page.evaluate(WRITTEN)
    for name in NAMES:
        written = [text.replace(name, "") for text in written]
    return [text for text in written if SENTENCE.search(text)]


def read(page: Page) -> None:
    page.wait_for_timeout(400)
    assert english(page) == []
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_no_tab_has_english_left(page: Page, tmp_path: Path) -> None:
    torn = tmp_path / "torn.png"
    torn.write_bytes(b"no picture at all")
    caps = [EXAMPLES / f"rendered_cap/{name}.jpg" for name in ("contamination", "chip", "good")]
    expect(page.locator("#examples")).to_contain_text("缺口")
    expect(page).to_have_title("缺陷检测")
    read(page)
    inspect_example(page, 1)
    page.locator("#compare-run").click()
    page.locator("#comparison canvas").first.wait_for()
    page.get_by_text("权重的来源").first.click()
    expect(page.locator("#origin")).to_contain_text("由本项目渲染")
    read(page)

    open_tab(page, "钢材表面")
    read(page)
    page.locator("#steel-examples button.thumbnail-item").nth(10).click()
    expect(page.locator("#steel-verdict .word")).to_have_text("划痕 scratches")
    page.locator("#steel-batch").get_by_text("批量处理多张照片").click()
    files = page.locator("#steel-batch-files input[type=file]")
    files.set_input_files([EXAMPLES / "rendered_steel/patches_1.jpg", caps[0], torn])
    expect(page.locator("#steel-batch-files")).to_contain_text("torn")
    page.locator("#steel-batch-run").click()
    expect(page.locator("#steel-batch-summary")).to_contain_text("无法读取 1")
    expect(page.locator("#steel-batch-table")).to_contain_text("不是本程序能读取的图片")
    read(page)

    open_tab(page, "批量")
    expect(page.locator("#batch-summary")).to_contain_text("全部检测")
    expect(page.locator("#batch-cost")).to_contain_text("良品")
    read(page)
    page.locator("#batch-files input[type=file]").set_input_files([*caps[-2:], torn])
    expect(page.locator("#batch-files")).to_contain_text("torn")
    page.locator("#batch-run").click()
    expect(page.locator("#batch-summary")).to_contain_text("有缺陷 1")
    expect(page.locator("#batch-gallery")).to_contain_text("有缺陷")
    expect(page.locator("#batch-table")).to_contain_text("判定")
    read(page)
    move_slider(page, "batch-threshold", 0.3)
    expect(page.locator("#batch-summary")).to_contain_text("有缺陷 2")
    read(page)

    open_tab(page, "您的产品")
    expect(page.locator("#product-card")).to_contain_text("尚无检测器")
    read(page)
    page.locator("#product-files input[type=file]").set_input_files([*caps, torn])
    expect(page.locator("#product-files")).to_contain_text("torn")
    page.locator("#product-teach").click()
    expect(page.locator("#product-card .word")).to_contain_text("学会 我的零件", timeout=60_000)
    page.locator("#product-photo input[type=file]").set_input_files(caps[0])
    page.locator("#product-canvas").wait_for()
    expect(page.locator("#product-verdict")).to_contain_text("异常峰值")
    read(page)

    open_tab(page, "结果")
    page.locator("#results-detail svg").first.wait_for(timeout=60_000)
    expect(page.locator("#scorecard")).to_contain_text("误报率")
    expect(page.locator("#results-steel")).to_contain_text("压入氧化铁皮")
    read(page)
    open_tab(page, "接口")
    read(page)


def test_another_language_chosen_in_the_settings_reaches_the_server(
    browser: Browser, app_url: str
) -> None:
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    page.goto(app_url)
    page.locator("#viewer [data-painted]").wait_for(state="attached")
    assert context.cookies() == []
    page.evaluate("document.documentElement.lang = 'zh-CN'")  # what Gradio's settings do
    open_tab(page, "Steel surface")
    examples = page.locator("#steel-examples button.thumbnail-item")
    examples.nth(10).click()
    expect(page.locator("#steel-verdict .word")).to_have_text("划痕 scratches")
    page.reload()  # which forgets the choice
    page.locator("#viewer [data-painted]").wait_for(state="attached")
    open_tab(page, "Steel surface")
    examples.nth(10).click()
    expect(page.locator("#steel-verdict .word")).to_have_text("scratches")
    context.close()
