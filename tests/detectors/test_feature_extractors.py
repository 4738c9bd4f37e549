"""A backbone by its name: fetched, compared; detectors that know theirs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn
from torchvision import models

from defect import load, teach
from defect.detectors import feature_extractors
from defect.detectors.feature_extractors import (
    FILE,
    VARIABLE,
    load_backbone,
    load_extractor,
    teaching_extractor,
)
from defect.detectors.memory.detector import MemoryDetector
from defect.networks.backbone import Backbone
from defect.weights import files, hub
from defect.weights.errors import NotAvailable, WeightsError
from tests.factories import good_photos, write_extractor, write_photos
from tests.hub_server import REPO, REVISION, HubServer

ARCHITECTURE = "shufflenet_v2_x0_5"
NAME = f"{ARCHITECTURE}={REPO}"


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    made: nn.Module = models.get_model(ARCHITECTURE, weights=None)
    return made.eval()


@pytest.fixture
def server(hub_server: HubServer, network: nn.Module) -> Iterator[HubServer]:
    hub_server.files[FILE] = safetensors.torch.save(network.state_dict())
    feature_extractors._LOADED.clear()
    yield hub_server
    feature_extractors._LOADED.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_extractor(tmp_path / "weights")


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    return [str(path) for path in write_photos(tmp_path, good_photos(3, 0))]


def test_a_product_is_taught_through_it_and_loads_only_where_it_is_chosen(
    server: HubServer, folder: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = teach(photos, "own", folder=folder)
    monkeypatch.setenv(VARIABLE, NAME)
    through = teach(photos, "other", folder=folder)
    assert through.teaching is not None
    assert any(NAME in note for note in through.teaching.notes)
    assert NAME in through.metadata.training.start
    assert len(through.memory.centre) == 48 + 96
    assert own.memory.extractor != through.memory.extractor
    assert _loads(own, folder) and _loads(through, folder)
    monkeypatch.delenv(VARIABLE)
    assert _loads(own, folder)
    with pytest.raises(WeightsError, match="another feature extractor"):
        _loads(through, folder)


def _loads(detector: MemoryDetector, folder: Path) -> bool:
    path = folder.parent / f"{detector.category}.safetensors"
    detector.save(path)
    photo = good_photos(1, 5)[0]
    again = load(path, folder=folder)(photo)
    return bool(again.score == pytest.approx(detector(photo).score, rel=1e-3))


def test_off_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    _, sha256, name = teaching_extractor(folder)
    assert (sha256, name) == (load_extractor(folder)[1], "")


def test_at_a_commit_the_cache_answers_alone(server: HubServer) -> None:
    first, sha256 = load_backbone(f"{NAME}@{REVISION}")
    asked = len(server.asked)
    feature_extractors._LOADED.clear()
    hub._FETCHES.clear()
    again, same = load_backbone(f"{NAME}@{REVISION}")
    assert len(server.asked) == asked > 0 and sha256 == same
    pixels = torch.rand(1, 3, 256, 256)
    torch.testing.assert_close(first(pixels), again(pixels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnet18", "names no backbone"),
        (f"resnet18={REPO}@main/../..", "names no backbone"),
        (REPO, 'no network "defect"'),
        (f"vgg16={REPO}", "138 million parameters"),
        (f"inception_v3={REPO}", "prepared in another way"),
        ("resnet18=a--b/c..d", "is no name of a repository"),
        (f"swin_t={REPO}", "no maps of a photo"),
        (f"resnet18={REPO}", "does not hold resnet18"),
        ("resnet18=nobody/nothing", "no nobody/nothing on the Hub"),
        (f"{NAME}@{'0' * 40}", f"no revision 00000000…. Check {VARIABLE}"),
    ],
)
def test_a_name_that_cannot_be_used_is_an_error(server: HubServer, name: str, text: str) -> None:
    with pytest.raises(WeightsError, match=text):
        load_backbone(name)


def test_other_bytes_and_other_files_are_refused(server: HubServer) -> None:
    server.fault = "wrong bytes"
    with pytest.raises(NotAvailable, match="checksum"):
        load_backbone(NAME)
    server.fault = ""
    server.files[FILE] = b"no tensors at all"
    hub._FETCHES.clear()
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_backbone(NAME)


def test_a_slow_download_is_an_error_for_now_and_goes_on(server: HubServer) -> None:
    server.fault = "held"
    with pytest.raises(NotAvailable, match="is being fetched"):
        load_backbone(NAME, 1.0)
    server.fault = ""
    assert isinstance(load_backbone(NAME, 30.0)[0], Backbone)


def test_visitors_at_once_get_one_network_and_others_inspect_meanwhile(
    server: HubServer, folder: Path, photos: list[str]
) -> None:
    inspect = teach(photos, "own", folder=folder)
    with ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(load_backbone, NAME, 30.0) for _ in range(4)]
        inspections = [pool.submit(inspect, photos[0]) for _ in range(20)]
        assert len({id(load.result()[0]) for load in loads}) == 1
        assert len({inspection.result().score for inspection in inspections}) == 1
    assert server.downloads() == 1


def test_why_the_backbone_of_a_detector_is_not_here_is_passed_on(
    server: HubServer, folder: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, NAME)
    file = folder.parent / "other.safetensors"
    teach(photos, "other", folder=folder).save(file)
    feature_extractors._LOADED.clear()
    server.fault = "503"
    with pytest.raises(WeightsError, match="error 503"):
        load(file, folder=folder)
    asked = len(server.asked)
    with pytest.raises(WeightsError, match="error 503"):
        load(file, folder=folder)
    assert len(server.asked) == asked  # a failure is remembered for a while
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(WeightsError, match="names no backbone"):
        load(file, folder=folder)


def test_a_forged_detector_of_another_width_is_refused(folder: Path, photos: list[str]) -> None:
    detector = teach(photos, "own", folder=folder)
    tensors = detector.memory.tensors()
    narrow = tensors | {name: tensors[name][:10] for name in ("centre", "projection")}
    path = folder.parent / "forged.safetensors"
    path.write_bytes(files.to_bytes({}, narrow, detector.metadata))
    with pytest.raises(WeightsError, match="another feature extractor"):
        load(path, folder=folder)
