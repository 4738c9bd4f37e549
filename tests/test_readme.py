"""The README keeps its promises: the Space's front matter, the commands, the figures."""

from __future__ import annotations

import re

import yaml

from defect.evaluation import scorecard as results
from defect.networks.autoencoders import AUTOENCODERS
from defect.ui.tabs.api import examples
from defect.weights.index import read_index
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
FRONT = yaml.safe_load(README.split("---\n")[1])
KEYS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version"),
    *("app_file", "license", "short_description", "thumbnail", "tags", "models", "datasets"),
    *("suggested_hardware", "preload_from_hub", "pinned", "fullWidth", "header"),
}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_front_matter() -> None:
    assert README.startswith("---\n")
    assert set(FRONT) <= KEYS
    assert (FRONT["sdk"], FRONT["app_file"]) == ("gradio", "app.py")
    assert {FRONT["colorFrom"], FRONT["colorTo"]} <= COLOURS
    assert len(FRONT["short_description"]) <= 60
    assert f"gradio=={FRONT['sdk_version']}\n" in (ROOT / "requirements.txt").read_text()
    assert isinstance(FRONT["sdk_version"], str) and isinstance(FRONT["python_version"], str)
    assert (ROOT / FRONT["thumbnail"]).is_file()


def test_ci_runs_the_readme_s_test_command() -> None:
    last = (ROOT / ".ci/run").read_text().strip().splitlines()[-1]
    assert f"```\n{last}\n```" in README


def test_linked_files_exist() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_api_s_examples_are_the_app_s_own() -> None:
    for name, code in examples():
        assert f"```{'bash' if name == 'curl' else name.lower()}\n{code}\n```" in README, name


def test_the_scorecard_is_the_headers_own() -> None:
    """`python -m defect results --markdown README.md` would change nothing."""
    found = results.read_results()
    transfer = results.transfer_means(found)
    card = results.to_markdown(results.rows(found), results.steel_of(found), transfer)
    assert results.put_scorecard(README, card) == README


def test_every_bundled_model_has_its_line() -> None:
    for entry in read_index():
        if entry.model in AUTOENCODERS:
            named = entry.category, entry.model.upper()
            assert re.search(r"^\| {}(?: †)? \| {} \|".format(*named), README, re.MULTILINE), named
