"""Steps several browser tests take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Page, expect


def open_tab(page: Page, name: str) -> None:
    """Opens a tab by its name; on a phone most of them are in the menu beside the first."""
    tab = page.get_by_role("tab", name=name, exact=True)
    if tab.count() == 0:
        page.get_by_label("More tabs").click()
        tab = page.locator(".overflow-dropdown button").get_by_text(name, exact=True)
    tab.first.click()


def pick_example(page: Page, number: int) -> None:
    page.locator("#examples button.thumbnail-item").nth(number).click()


def move_slider(page: Page, element: str, value: float) -> None:
    box = page.locator(f"#{element} input[type=number]")
    box.fill(str(value))
    box.press("Enter")
    box.blur()


def inspect_example(page: Page, number: int) -> None:
    """Picks an example and waits until it is drawn."""
    before = page.locator("#viewer [data-inspection]").get_attribute("data-inspection")
    pick_example(page, number)
    expect(page.locator("#viewer [data-inspection]")).not_to_have_attribute(
        "data-inspection", before or ""
    )
    page.locator("#canvas").wait_for()


def drag(page: Page, control: str, value: float) -> None:
    """Sets a range input as a drag does, and waits for the next frame, which shows the change."""
    page.evaluate(
        """async ([control, value]) => {
            const input = document.querySelector(control);
            const frame = () => new Promise(requestAnimationFrame);
            await frame();
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
            await frame(); // the viewer draws in this frame: it asked for it first
            await new Promise((done) => setTimeout(done, 0)); // after it was painted
        }""",
        [control, value],
    )


def pixels(page: Page) -> str:
    """The picture on the stage."""
    return str(page.evaluate("document.querySelector('#canvas').toDataURL()"))


@contextmanager
def no_request(page: Page) -> Iterator[None]:
    """Fails if the page asks the server for anything meanwhile."""
    asked: list[str] = []

    def note(request: object) -> None:
        asked.append(getattr(request, "url", ""))

    page.on("request", note)
    yield
    page.wait_for_timeout(200)
    page.remove_listener("request", note)
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == []
