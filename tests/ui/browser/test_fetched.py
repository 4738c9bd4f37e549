"""A model that is only on the Hub and takes its time: the photo is inspected when it is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from defect.weights import index
from tests.conftest import ROOT, running_app
from tests.hub_server import REPO, REVISION, HubServer
from tests.ui.browser.steps import inspect_example, pick_example

pytestmark = [pytest.mark.browser, pytest.mark.slow]
HERE, THERE = "cae/rendered_cap.safetensors", "dae/rendered_cap.safetensors"


@pytest.fixture
def url(tmp_path: Path, hub_server: HubServer) -> Iterator[str]:
    """A copy of the app with two models: one bundled, one on a Hub that holds it back."""
    copy = tmp_path / "copy"
    for folder in ("defect", "examples"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "app.py", copy)
    listed = {entry.file: entry for entry in index.read_index()}
    (copy / "weights/cae").mkdir(parents=True)
    shutil.copy2(ROOT / "weights" / HERE, copy / "weights" / HERE)
    hub = {"repo": REPO, "revision": REVISION, "files": [asdict(listed[THERE])]}
    index.write_index(copy / "weights", [listed[HERE]], hub)
    unbundled = {"schema_version": index.SCHEMA_VERSION, "files": []}
    (copy / "weights/unbundled.json").write_text(json.dumps(unbundled))
    hub_server.files[THERE] = (ROOT / "weights" / THERE).read_bytes()
    hub_server.fault = "held"
    settings = {
        "HF_ENDPOINT": hub_server.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DOWNLOAD_TIMEOUT": "120",
    }
    with running_app(copy, tmp_path, settings) as address:
        yield address


def test_the_verdict_comes_by_itself(browser: Browser, url: str, hub_server: HubServer) -> None:
    page = browser.new_page()
    page.goto(url)
    verdict = page.locator("#verdict")
    inspect_example(page, 1)
    expect(verdict).to_contain_text("CAE, rendered_cap")
    for number, turn in ((0, "first"), (1, "again")):
        page.locator("#model").get_by_text("DAE").click()
        expect(page.locator("#availability")).to_contain_text("Downloading DAE")
        pick_example(page, number)
        expect(verdict).to_contain_text("inspected automatically when it arrives")
        if turn == "first":  # who goes on to something else meanwhile keeps it
            page.locator("#model").get_by_text("CAE").click()
            expect(verdict).to_contain_text("CAE, rendered_cap")
    hub_server.fault = ""
    expect(verdict).to_contain_text("DAE, rendered_cap")
    assert hub_server.downloads() == 1
    page.close()
