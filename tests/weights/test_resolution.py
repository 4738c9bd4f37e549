"""Bundled folder, then the Hub's cache, then the Hub: whichever has the listed bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from defect.detectors import catalogue
from defect.ui import viewer
from defect.ui.endpoints import answers
from defect.ui.endpoints.inspection import models
from defect.ui.tabs import picker
from defect.weights import files as weights
from defect.weights import hub
from defect.weights import resolution as sources
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.files import Training
from defect.weights.resolution import DownloadPending
from tests.hub_server import REPO, REVISION, HubServer

TRAINING = Training(9, 8, 7, 0.002, 16, 3, "cpu", "float32", "none", 20, 8, 1.5)
BOTTLE = weights.Metadata("cae", "bottle", "MVTec AD", "CC BY-NC-SA 4.0", TRAINING)
CABLE = replace(BOTTLE, model="vae", category="cable")
HERE, THERE = "cae/bottle.safetensors", "vae/cable.safetensors"


def edit_index(folder: Path, **hub_section: Any) -> None:
    document = json.loads((folder / "index.json").read_text())
    document["hub"].update(hub_section)
    (folder / "index.json").write_text(json.dumps(document))


@pytest.fixture
def folder(tmp_path: Path, hub_server: HubServer) -> Path:
    """Bottle is bundled and on the Hub, cable only on the Hub."""
    root = tmp_path / "weights"
    weights.save(root, {"w": torch.ones(40, 40)}, {}, BOTTLE)
    entry = weights.save(root, {"w": torch.full((60, 60), 2.0)}, {}, CABLE)
    hub_server.files = {name: (root / name).read_bytes() for name in (HERE, THERE)}
    (root / THERE).unlink()
    weights.write_index(root, [e for e in weights.read_index(root) if e.file == HERE])
    edit_index(root, repo=REPO, revision=REVISION, files=[asdict(entry)])
    return root


def test_bundled_weights_make_no_request(folder: Path, hub_server: HubServer) -> None:
    assert sources.read(folder, "cae", "bottle").source.source == "bundled"
    assert not hub_server.asked


def test_what_is_not_bundled_comes_from_the_hub_then_from_its_cache(
    folder: Path, hub_server: HubServer
) -> None:
    where = sources.place(folder, "vae", "cable")
    assert where is not None and (where.kind, where.size) == ("hub", len(hub_server.files[THERE]))
    assert not hub_server.asked
    first = sources.read(folder, "vae", "cable")
    assert (first.source.source, first.metadata.category) == ("hub", "cable")
    assert float(first.network["w"][0, 0]) == 2
    asked = len(hub_server.asked)
    assert sources.read(folder, "vae", "cable").source.source == "hub cache"
    where = sources.place(folder, "vae", "cable")
    assert where is not None and where.kind == "hub cache"
    assert sources.start(folder, "vae", "cable") is None
    assert len(hub_server.asked) == asked


def test_damaged_bundled_weights_are_replaced_by_the_hub_s(folder: Path) -> None:
    (folder / HERE).write_bytes(bytes(100))
    assert sources.read(folder, "cae", "bottle").source.source == "hub"


def test_when_every_source_is_wrong_both_are_told(folder: Path, hub_server: HubServer) -> None:
    (folder / HERE).write_bytes(bytes(100))
    hub_server.fault = "wrong bytes"
    with pytest.raises(WeightsError, match=r"Fetch the file again\. .*on the Hub .* refused"):
        sources.read(folder, "cae", "bottle")


def test_the_environment_names_another_place_for_the_same_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_index(folder, repo="someone/else", revision="f" * 40)
    monkeypatch.setenv("DEFECT_HUB_REPO", REPO)
    monkeypatch.setenv("DEFECT_HUB_REVISION", REVISION)
    assert sources.read(folder, "vae", "cable").source.source == "hub"


def test_until_someone_has_published_there_is_no_hub(folder: Path, hub_server: HubServer) -> None:
    edit_index(folder, repo=None, revision=None, files=[])
    assert sources.pin(folder) is None and sources.only_on_hub(folder) == []
    assert sources.place(folder, "vae", "cable") is None
    with pytest.raises(NotAvailable, match="No repository on the Hub is named in weights/index"):
        sources.read(folder, "vae", "cable")
    assert not hub_server.asked


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"repo": "no owner"}, "is no repository on the Hub"),
        ({"repo": "../../etc"}, "is no repository on the Hub"),
        ({"revision": "main"}, "Which commit of someone/defect-weights"),
        ({"revision": None}, "Which commit of"),
        ({"repo": 7}, "index.json is damaged"),
        ({"files": [{"file": "x"}]}, "index.json is damaged"),
        ({"files": 3}, "index.json is damaged"),
    ],
)
def test_a_senseless_index_is_told(folder: Path, section: dict[str, Any], described: str) -> None:
    edit_index(folder, **section)
    with pytest.raises(WeightsError, match=described):
        sources.read(folder, "vae", "cable")


def test_the_index_keeps_what_it_says_of_the_hub(folder: Path) -> None:
    weights.save(folder, {"w": torch.ones(2)}, {}, replace(BOTTLE, category="zipper"))
    assert [entry.file for entry in sources.only_on_hub(folder)] == [THERE]


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app's catalogue, of that folder."""
    monkeypatch.setattr(catalogue, "WEIGHTS_FOLDER", folder)
    monkeypatch.setattr(catalogue, "read_index", lambda: weights.read_index(folder))
    for cache in (catalogue.categories, catalogue._headers_elsewhere):
        cache.cache_clear()
    yield
    for cache in (catalogue.categories, catalogue._headers_elsewhere):
        cache.cache_clear()


def test_the_picker_shows_a_size_then_progress_then_no_more(
    app: None, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picker, "_TICK", 0.05)
    cable, bottle = catalogue.categories()["cable"], catalogue.categories()["bottle"]
    assert picker._models(cable) == [("VAE · 8 kB", "vae")]
    assert picker._models(bottle) == [("CAE", "cae")]
    assert "On the Hub, fetched when chosen: VAE (8 kB)." in picker.place_line(cable)
    assert "No weights here: CAE, DAE." in picker.place_line(cable)
    assert not hub_server.asked
    hub_server.fault = "drip"
    described = picker._fetching("vae", "cable")
    assert 'role="progressbar"' in next(described)
    assert "Fetching VAE for cable: " in next(described)
    hub_server.fault = ""
    assert "was fetched from the Hub and checked" in list(described)[-1]
    assert picker._models(cable) == [("VAE", "vae")]


def test_the_picker_tells_why_nothing_came(app: None, hub_server: HubServer) -> None:
    hub_server.fault = "503"
    assert "error 503" in list(picker._fetching("vae", "cable"))[-1]
    assert list(picker._fetching("cae", "bottle")) == [
        picker.place_line(catalogue.categories()["bottle"])
    ]


def test_the_app_goes_on_without_a_file_that_is_slow(
    app: None, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "APP_WAIT", 0.2)
    hub_server.fault = "drip"
    with pytest.raises(DownloadPending, match=r"is being fetched.*Try again in a moment"):
        catalogue.inspector("vae", "cable")
    assert not catalogue._MODELS._loading.locked()
    hub_server.fault = "stopped"


def test_a_photo_that_came_too_early_waits_for_its_weights(
    app: None, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "APP_WAIT", 0.2)
    monkeypatch.setattr(picker, "_TICK", 0.05)
    hub_server.fault = "held"
    given = viewer.look("photo.jpg", "vae", "cable")
    assert given["awaited"] and given["kind"] == "problem"
    assert "VAE for cable is being fetched" in given["text"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(picker.wait_for, "token", "vae", "cable")
        with pytest.raises(TimeoutError):
            waiting.result(0.3)
        hub_server.fault = ""
        assert waiting.result(10) == "token"
    assert sources.start(weights.WEIGHTS_FOLDER, "vae", "cable") is None
    given = viewer.look("photo.jpg", "vae", "cable")  # nothing to wait for any more
    assert "awaited" not in given


def test_models_lists_what_is_only_on_the_hub(app: None, hub_server: HubServer) -> None:
    def listed() -> dict[str, str]:
        return {row["file"]: row["where"] for row in models()}

    assert listed() == {HERE: "bundled", THERE: "hub"}
    assert not hub_server.asked
    sources.read(catalogue.WEIGHTS_FOLDER, "vae", "cable")
    assert listed() == {HERE: "bundled", THERE: "hub cache"}
    for row in models():
        assert row.keys() == {field.name for field in fields(answers.Model)}


def test_a_file_on_the_hub_tells_its_figures_before_it_is_fetched(
    app: None, folder: Path, hub_server: HubServer
) -> None:
    with pytest.raises(NotAvailable):
        catalogue.header("vae", "cable")
    document = {"schema_version": 1, "files": [asdict(CABLE)]}
    (folder / "unbundled.json").write_text(json.dumps(document))
    catalogue._headers_elsewhere.cache_clear()
    metadata, source = catalogue.header("vae", "cable")
    assert (metadata.category, source.source, hub_server.asked) == ("cable", "hub", [])
