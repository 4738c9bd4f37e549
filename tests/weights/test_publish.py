"""Publishing to a Hub on this machine: exactly what should go up does, and the card is true."""

from __future__ import annotations

import json
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard, hf_hub_download

from defect import load
from defect.cli import main
from defect.cli.publish import _card
from defect.datasets.rendered import render_examples
from defect.evaluation.scorecard import read_results
from defect.evaluation.scorecard.headers import number_in
from defect.weights import publish, resolution, unbundled
from defect.weights.errors import WeightsError
from defect.weights.index import WEIGHTS_FOLDER, read_index, write_index
from defect.weights.publish import PublishError, describe, plan
from tests.conftest import EXAMPLES
from tests.hub_server import REPO, HubServer

CAP, STEEL = "rendered_cap", "rendered_steel"
EXAMPLE_PATHS = {
    f"examples/{path.parent.name}/{path.name}"
    for folder in (CAP, STEEL)
    for path in (EXAMPLES / folder).glob("*.jpg")
}
EXPECTED = EXAMPLE_PATHS | {
    *("README.md", "LICENSE.md", "index.json", "unbundled.json"),
    *("cae/rendered_cap.safetensors", "dae/rendered_cap.safetensors", "cnn/neu.safetensors"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bundled files, one unbundled, of the project's own."""
    root = tmp_path_factory.mktemp("original")
    folder = root / "weights"
    names = {"cae/rendered_cap.safetensors", "dae/rendered_cap.safetensors", "cnn/neu.safetensors"}
    entries = [e for e in read_index(WEIGHTS_FOLDER) if e.file in names]
    for entry in entries:
        (folder / entry.file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(WEIGHTS_FOLDER / entry.file, folder / entry.file)
    write_index(folder, entries)
    shutil.copy(WEIGHTS_FOLDER / "LICENSE.md", folder)
    unbundled.unbundle(folder, "dae", CAP, root / "unbundled")
    return root


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    shutil.copytree(original, tmp_path / "project")
    return tmp_path / "project"


@cache
def _examples() -> dict[str, bytes]:
    return render_examples()


def _plan(project: Path, repo: str = REPO) -> publish.Plan:
    return plan(repo, project / "weights", project / "unbundled", card=_card, examples=_examples())


def _hub(project: Path) -> dict[str, object]:
    document = json.loads((project / "weights/index.json").read_text())
    assert isinstance(document["hub"], dict)
    return document["hub"]


def test_a_dry_run_shows_everything_and_changes_nothing(
    project: Path,
    hub_server: HubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub_server.exists = False
    monkeypatch.setattr(unbundled, "UNBUNDLED_FOLDER", project / "unbundled")
    arguments = ["publish", REPO, "--dry-run", "--weights", str(project / "weights")]
    assert main(arguments) == 0
    described = capsys.readouterr().out
    assert set(re.findall(r"^new +(\S+)  ", described, re.MULTILINE)) == EXPECTED
    assert (
        f"{len(EXPECTED)} of {len(EXPECTED)} files" in described and "a new repository" in described
    )
    assert {method for method, _ in hub_server.asked} == {"GET"}
    assert not hub_server.commits and _hub(project) == {"repo": None, "revision": None}


def test_publishing_then_pulling_then_publishing_again(
    project: Path, hub_server: HubServer, capsys: pytest.CaptureFixture[str]
) -> None:
    hub_server.exists = False
    revision = publish.publish(_plan(project), project / "weights")
    assert hub_server.commits == [sorted(EXPECTED)] and revision == hub_server.revision
    assert set(hub_server.files) == EXPECTED
    assert (_hub(project)["repo"], _hub(project)["revision"]) == (REPO, revision)
    assert [e.file for e in resolution.only_on_hub(project / "weights")] == [
        "dae/rendered_cap.safetensors"
    ]
    # What went up works: the library fetches what is not bundled, and inspects with it.
    inspection = load("dae", CAP, folder=project / "weights")(EXAMPLES / CAP / "chip.jpg")
    assert inspection.defective and inspection.weights.source == "hub"
    _card_is_true(project, hub_server)
    for path in EXAMPLE_PATHS:
        assert hub_server.files[path] == (EXAMPLES.parent / path).read_bytes(), path

    # Nothing changed: no second commit, even where the unbundled file is only on the Hub now.
    shutil.rmtree(project / "unbundled")
    again = _plan(project)
    assert [u.path for u in again.changed] == [] and again.exists
    assert publish.publish(again, project / "weights") == revision
    assert [e.file for e in again.only_on_hub] == ["dae/rendered_cap.safetensors"]
    # A licence that changed is all that goes up, as index and card stay the same.
    (project / "weights/LICENSE.md").write_text("Other terms.\n")
    assert "changed   LICENSE.md  0 kB" in describe(_plan(project))
    publish.publish(_plan(project), project / "weights")
    assert hub_server.commits[1:] == [["LICENSE.md"]]
    assert _hub(project)["revision"] == hub_server.revision != revision


def _card_is_true(project: Path, server: HubServer) -> None:
    text = server.files["README.md"].decode()
    data: Any = ModelCard(text).data
    assert data.license == "other" and data.library_name == "pytorch"
    assert data.pipeline_tag and data.tags and data.license_link == "LICENSE.md"
    head = yaml.safe_load(text.split("---\n")[1])
    assert [entry["name"] for entry in head["model-index"]] == [REPO.split("/")[1]]
    described = {(e.dataset_config, e.metric_name): e.metric_value for e in data.eval_results or []}
    expected = {}
    for r in read_results(project / "weights"):
        for name, path in {
            "image AUROC": ("image", "auroc", "value"),
            "image AUROC by the mean squared error": ("thesis_image", "auroc", "value"),
            "image average precision": ("image", "average_precision", "value"),
            "F1 at the default threshold": ("image", "f1", "value"),
            "pixel AUROC": ("pixel", "auroc"),
            "AUPRO": ("pixel", "aupro"),
            "accuracy": ("accuracy",),
            "macro F1": ("macro_f1",),
        }.items():
            value = number_in(r.test, *path)
            if value is not None:
                expected[r.category, f"{r.model.upper()}: {name}"] = value
    assert described == expected and len(described) >= 12
    for phrase in (
        "## Use",
        "brightness alone",
        "learning rate",
        "What they cannot do",
        "Apache-2.0",
    ):
        assert phrase in text


def test_the_card_s_snippets_run(
    project: Path, hub_server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish.publish(_plan(project), project / "weights")
    path = hf_hub_download(REPO, "README.md")
    snippets = re.findall(r"```python\n(.*?)```", Path(path).read_text(), re.DOTALL)
    assert len(snippets) == 2
    shutil.copy(EXAMPLES / CAP / "chip.jpg", tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    for snippet in snippets:
        exec(compile(snippet, "card", "exec"), {})


def test_a_file_that_fails_its_checksum_is_not_published(
    project: Path, hub_server: HubServer
) -> None:
    for name in ("weights/cae/rendered_cap.safetensors", "unbundled/dae/rendered_cap.safetensors"):
        good = (project / name).read_bytes()
        (project / name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(WeightsError, match="does not have the checksum"):
            _plan(project)
        (project / name).write_bytes(good)
    assert not hub_server.asked


@pytest.mark.parametrize("name", ["weights/bottle_001.PNG", "unbundled/dae/photo.jpeg"])
def test_pictures_are_not_published(project: Path, hub_server: HubServer, name: str) -> None:
    shutil.copy(EXAMPLES / CAP / "good.jpg", project / name)
    with pytest.raises(PublishError, match="a picture among the weights"):
        _plan(project)
    assert not hub_server.asked


@pytest.mark.parametrize(
    ("fault", "text"),
    [("gated", "does not let you write"), ("403", "does not let you"), ("500", "error 500")],
)
def test_a_hub_that_refuses_is_an_error(
    project: Path,
    hub_server: HubServer,
    fault: str,
    text: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub_server.fault = fault
    with pytest.raises(PublishError, match=text):
        _plan(project)


def test_bad_names_and_empty_folders_are_errors(
    project: Path, hub_server: HubServer, tmp_path: Path
) -> None:
    with pytest.raises(PublishError, match="Give OWNER/NAME"):
        _plan(project, "what/ever/else")
    with pytest.raises(PublishError, match="no weights to publish"):
        plan(REPO, tmp_path / "none", tmp_path / "none", card=_card, examples={})
    hub_server.stop()
