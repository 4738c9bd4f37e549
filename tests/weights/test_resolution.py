"""Bundled folder, then the Hub's cache, then the Hub: whichever has the listed bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from defect.detectors import catalogue
from defect.weights import files, hub, resolution
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.index import read_index, write_index
from defect.weights.resolution import DownloadPending
from tests.factories import make_metadata
from tests.hub_server import REPO, REVISION, HubServer

BOTTLE = make_metadata()
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
    files.save(root, {"w": torch.ones(40, 40)}, {}, BOTTLE)
    entry = files.save(root, {"w": torch.full((60, 60), 2.0)}, {}, CABLE)
    hub_server.files = {name: (root / name).read_bytes() for name in (HERE, THERE)}
    (root / THERE).unlink()
    write_index(root, [e for e in read_index(root) if e.file == HERE])
    edit_index(root, repo=REPO, revision=REVISION, files=[asdict(entry)])
    return root


def test_bundled_weights_make_no_request(folder: Path, hub_server: HubServer) -> None:
    assert resolution.read(folder, "cae", "bottle").source.source == "bundled"
    assert not hub_server.asked


def test_what_is_not_bundled_comes_from_the_hub_then_from_its_cache(
    folder: Path, hub_server: HubServer
) -> None:
    where = resolution.availability(folder, "vae", "cable")
    assert where is not None and (where.kind, where.size) == ("hub", len(hub_server.files[THERE]))
    assert not hub_server.asked
    first = resolution.read(folder, "vae", "cable")
    assert (first.source.source, first.metadata.category) == ("hub", "cable")
    assert float(first.network["w"][0, 0]) == 2
    asked = len(hub_server.asked)
    assert resolution.read(folder, "vae", "cable").source.source == "hub cache"
    where = resolution.availability(folder, "vae", "cable")
    assert where is not None and where.kind == "hub cache"
    assert resolution.start(folder, "vae", "cable") is None
    assert len(hub_server.asked) == asked


def test_damaged_bundled_weights_are_replaced_by_the_hub_s(folder: Path) -> None:
    (folder / HERE).write_bytes(bytes(100))
    assert resolution.read(folder, "cae", "bottle").source.source == "hub"


def test_when_every_source_is_wrong_the_error_names_both(
    folder: Path, hub_server: HubServer
) -> None:
    (folder / HERE).write_bytes(bytes(100))
    hub_server.fault = "wrong bytes"
    with pytest.raises(WeightsError, match=r"Fetch the file again\. .*on the Hub .* refused"):
        resolution.read(folder, "cae", "bottle")


def test_the_environment_names_another_place_for_the_same_files(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_index(folder, repo="someone/else", revision="f" * 40)
    monkeypatch.setenv("DEFECT_HUB_REPO", REPO)
    monkeypatch.setenv("DEFECT_HUB_REVISION", REVISION)
    assert resolution.read(folder, "vae", "cable").source.source == "hub"


def test_until_someone_has_published_there_is_no_hub(folder: Path, hub_server: HubServer) -> None:
    edit_index(folder, repo=None, revision=None, files=[])
    assert resolution.pin(folder) is None and resolution.only_on_hub(folder) == []
    assert resolution.availability(folder, "vae", "cable") is None
    with pytest.raises(NotAvailable, match="No repository on the Hub is named in weights/index"):
        resolution.read(folder, "vae", "cable")
    assert not hub_server.asked


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"repo": "no owner"}, "is not a repository on the Hub"),
        ({"repo": "../../etc"}, "is not a repository on the Hub"),
        ({"revision": "main"}, "Which commit of someone/defect-weights"),
        ({"revision": None}, "Which commit of"),
        ({"repo": 7}, "index.json is damaged"),
        ({"files": [{"file": "x"}]}, "index.json is damaged"),
        ({"files": 3}, "index.json is damaged"),
    ],
)
def test_a_senseless_index_is_an_error(folder: Path, section: dict[str, Any], text: str) -> None:
    edit_index(folder, **section)
    with pytest.raises(WeightsError, match=text):
        resolution.read(folder, "vae", "cable")


def test_the_index_keeps_what_it_says_of_the_hub(folder: Path) -> None:
    files.save(folder, {"w": torch.ones(2)}, {}, replace(BOTTLE, category="zipper"))
    assert [entry.file for entry in resolution.only_on_hub(folder)] == [THERE]


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The app's catalogue, of that folder."""
    monkeypatch.setattr(catalogue, "WEIGHTS_FOLDER", folder)
    monkeypatch.setattr(catalogue, "read_index", lambda: read_index(folder))
    for cache in (catalogue.categories, catalogue._headers_elsewhere):
        cache.cache_clear()
    yield
    for cache in (catalogue.categories, catalogue._headers_elsewhere):
        cache.cache_clear()


def test_the_app_goes_on_without_a_file_that_is_slow(
    app: None, hub_server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "APP_WAIT", 0.2)
    hub_server.fault = "drip"
    with pytest.raises(DownloadPending, match=r"is being fetched.*Try again in a moment"):
        catalogue.detector("vae", "cable")
    assert not catalogue._MODELS._loading.locked()
    hub_server.fault = "stopped"


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
