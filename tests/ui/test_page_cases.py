"""One table of cases for what both Python and the page compute: regions, verdict, cost, colours."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defect.detectors.thresholds import cost
from defect.imaging.colours import heat
from defect.inspection import describe, format_multiple, format_percent
from defect.ui.payload import STEPS
from defect.ui.static import functions
from defect.ui.tabs.cards import threshold_cost
from tests.ui.cases import CASES, build_map, inspection_of, metadata_of

HERE = Path(__file__).parent
WITHOUT_A_PAGE = """
globalThis.document = { documentElement: { lang: "en" } };
globalThis.HTMLElement = class {};
"""


@pytest.mark.parametrize("case", CASES["maps"], ids=lambda case: str(case["name"]))
def test_regions_and_sentence_of_the_library(case: dict[str, Any]) -> None:
    inspection = inspection_of(build_map(case))
    for check in case["checks"]:
        judged = inspection.at(check["threshold"])
        assert judged.defective == check["defective"]
        # The page asks whether the photo is of the product in a box of its own.
        assert describe(judged).partition(" Is this")[0] == check["sentence"]
        found = [{**asdict(region), "peak": region.peak * STEPS} for region in judged.regions]
        assert_regions(found, check["regions"])


def test_costs_numbers_and_colours_of_the_library() -> None:
    for case in CASES["costs"]:
        text = threshold_cost(cost(metadata_of(case), case["threshold"]))
        assert text == case["sentence"]
    for steps, text in CASES["multiples"]:
        assert format_multiple(steps / STEPS) == text
    for fraction, text in CASES["percents"]:
        assert format_percent(fraction) == text
    for steps, colour in CASES["colours"]:
        assert_colours(heat(np.array([[steps / STEPS]]))[0, 0].tolist(), colour)


def test_the_page_s_functions_agree() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no Node here: the browser tests run the same cases")
    answers = (HERE / "page_answers.js").read_text(encoding="utf-8")
    run = f"console.log(JSON.stringify(answer({json.dumps(CASES)})));"
    script = "\n".join([WITHOUT_A_PAGE, functions(), answers, run])
    done = subprocess.run([node, "-"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert_answers(json.loads(done.stdout))


def assert_answers(answers: dict[str, Any]) -> None:
    """What `page_answers.js` found is what the table says."""
    for case, found in zip(CASES["maps"], answers["maps"], strict=True):
        for check, answer in zip(case["checks"], found, strict=True):
            assert answer["sentence"] == check["sentence"]
            assert answer["defective"] == check["defective"]
            assert_regions(answer["regions"], check["regions"])
    assert answers["costs"] == [case["sentence"] for case in CASES["costs"]]
    assert answers["weak"] == [case["weak"] for case in CASES["costs"]]
    assert answers["multiples"] == [text for _, text in CASES["multiples"]]
    assert answers["percents"] == [text for _, text in CASES["percents"]]
    assert answers["histograms"] == CASES["histograms"]
    for (_, expected), found in zip(CASES["colours"], answers["colours"], strict=True):
        assert_colours(found, expected)


def assert_regions(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [region["where"] for region in found] == [region["where"] for region in expected]
    for one, other in zip(found, expected, strict=True):
        for name in ("row", "column", "area", "peak"):
            assert one[name] == pytest.approx(other[name], abs=1e-6), name


def assert_colours(found: list[int], expected: list[int]) -> None:
    """The same row of the colour table, or its neighbour where rounding falls between two."""
    assert np.abs(np.subtract(found, expected)).max() <= 3, (found, expected)
