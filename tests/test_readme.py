"""The README keeps its promises: the Space's front matter, the commands, the figures."""

from __future__ import annotations

import re

import pytest
import yaml

from defect.networks import MODELS
from defect.weights import WEIGHTS_FOLDER, read_index, read_metadata
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


def _row(model: str, category: str) -> list[str]:
    match = re.search(rf"^\| {model.upper()} \| {category} \|(.+)\|$", README, re.MULTILINE)
    assert match, f"no row for {model} {category}"
    return [cell.strip() for cell in match.group(1).split("|")]


@pytest.mark.parametrize(
    "entry", [e for e in read_index() if e.model in MODELS], ids=lambda entry: entry.file
)
def test_figures_are_the_headers_own(entry) -> None:
    metadata = read_metadata(WEIGHTS_FOLDER / entry.file)
    image, thesis = metadata.test["image"], metadata.test["thesis_image"]
    pixel, thesis_pixel = metadata.test["pixel"], metadata.test["thesis_pixel"]
    assert _row(entry.model, entry.category) == [
        str(metadata.training.epochs_run),
        f"{image['auroc']['value']:.3f} ({thesis['auroc']['value']:.3f})",
        f"{pixel['auroc']:.3f} ({thesis_pixel['auroc']:.3f})",
        f"{100 * image['false_alarm_rate']:.0f} % of {image['normal']}",
        f"{100 * image['detection_rate']:.0f} % of {image['defective']}",
    ]


def test_the_classifier_s_figure_is_its_header_s_own() -> None:
    test = read_metadata(WEIGHTS_FOLDER / "cnn/neu.safetensors").test
    assert f"{100 * test['accuracy']:.2f} % of {test['count']} held-out" in README
