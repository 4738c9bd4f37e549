"""What the page computes is what Python computes: the shared cases, and a report's overlay."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from defect import load
from defect.imaging.overlay import draw_overlay
from defect.ui.static import functions
from tests.conftest import EXAMPLES
from tests.ui import test_page_cases
from tests.ui.browser.steps import drag, inspect_example, pixels
from tests.ui.cases import CASES
from tests.ui.test_page_cases import assert_answers

pytestmark = pytest.mark.browser
CRACK = 3


def test_the_shared_cases_in_a_browser(page: Page) -> None:
    answers = Path(test_page_cases.__file__).with_name("page_answers.js").read_text("utf-8")
    run = f"(cases) => {{ {functions()}\n{answers}\nreturn answer(cases); }}"
    assert_answers(page.evaluate(run, CASES))


@pytest.mark.parametrize(
    "page",
    [(1280, "light", "tab=inspect&model=dae&category=rendered_cap")],
    indirect=True,
    ids=["dae"],
)
def test_a_report_s_overlay_looks_like_the_one_on_screen(page: Page) -> None:
    inspect_example(page, CRACK)
    # Nothing reaches 3 × the normal limit: colours alone, without the contour.
    drag(page, "#threshold-range", 3)
    seen = load("dae", "rendered_cap")(EXAMPLES / "rendered_cap/crack.jpg")
    assert seen.score < 3
    data = base64.b64decode(pixels(page).partition("base64,")[2])
    shown = Image.open(io.BytesIO(data)).convert("RGB")
    saved = draw_overlay(seen.photo, seen.anomaly_map, 3.0)
    small = np.asarray(shown.resize(saved.shape[1::-1], Image.Resampling.BOX), float)
    difference = np.abs(small - saved).max(2)
    coloured = np.abs(saved.astype(float) - seen.photo).max(2) > 8
    assert coloured.sum() > 200
    # JPEG and two ways of scaling leave a few levels.
    assert difference.mean() < 3
    assert difference[coloured].mean() < 8
    plain = np.abs(small - seen.photo).max(2)
    assert plain[coloured].mean() > 2 * difference[coloured].mean()
