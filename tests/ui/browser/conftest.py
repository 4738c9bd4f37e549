"""A real Chromium: Debian's, or whichever `CHROMIUM` names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

# A busy machine takes its time; what must be quick is measured.
expect.set_options(timeout=15_000)
_QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.skip("no Chromium here: install Debian's chromium, or set CHROMIUM to one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(_QUIET))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, app_url: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The app, opened; `request.param` is (width, theme, query).

    Console errors, and requests to any other host, fail the test.
    """
    asked = (*getattr(request, "param", ()), *(None,) * 3)
    width, theme, query = asked[0] or 1280, asked[1] or "light", asked[2] or ""
    page = browser.new_page(viewport={"width": width, "height": 900}, accept_downloads=True)
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("request", lambda r: errors.append(r.url) if _leaves(r.url, app_url) else None)
    page.goto(f"{app_url}/?__theme={theme}&{query}")
    page.locator("#examples img").first.wait_for(state="attached")
    page.locator("#viewer [data-painted]").wait_for(state="attached")
    yield page
    page.close()
    assert not errors, errors


def _leaves(url: str, app_url: str) -> bool:
    return not url.startswith((f"{app_url}/", "data:", "blob:"))
