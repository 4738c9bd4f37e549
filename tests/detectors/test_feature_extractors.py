"""A backbone by its name: fetched, compared; detectors that know theirs."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from torch import Tensor

from defect import load, teach
from defect.detectors import feature_extractors
from defect.detectors.feature_extractors import (
    CONFIG,
    FILE,
    VARIABLE,
    load_backbone,
    load_extractor,
    read_config,
    teaching_extractor,
)
from defect.detectors.memory.detector import MemoryDetector
from defect.networks.backbone import Backbone
from defect.weights import files, hub
from defect.weights.errors import NotAvailable, WeightsError
from tests.factories import good_photos, write_extractor, write_photos
from tests.hub_server import REPO, REVISION, HubServer

ARCHITECTURE = "test_resnet"
"""timm's own for tests: 0.5 million parameters."""
NAME = REPO
CHANNELS = 96 + 144


def repository(architecture: str, side: int = 224) -> dict[str, bytes]:
    """What timm's repositories hold, with random weights."""
    torch.manual_seed(0)
    network: Any = timm.create_model(architecture)
    about = {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "input_size": [3, side, side]}
    config = {"architecture": architecture, "num_classes": 1000, "pretrained_cfg": about}
    return {
        CONFIG: json.dumps(config).encode(),
        FILE: safetensors.torch.save(
            {name: weights.contiguous() for name, weights in network.state_dict().items()}
        ),
    }


@pytest.fixture(scope="module")
def small() -> dict[str, bytes]:
    return repository(ARCHITECTURE, 160)


@pytest.fixture
def server(hub_server: HubServer, small: dict[str, bytes]) -> Iterator[HubServer]:
    hub_server.files |= small
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
    assert len(through.memory.levels[0].views[0].basis.centre) == CHANNELS
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
    ("architecture", "side", "maps"),
    [
        ("resnet18", 224, [(1, 128, 8, 12), (1, 256, 4, 6)]),
        ("efficientnet_lite0", 224, [(1, 40, 8, 12), (1, 112, 4, 6)]),
        ("vit_tiny_patch16_224", 224, [(1, 192, 5, 7)] * 2),
        ("vit_small_patch14_dinov2", 518, [(1, 384, 5, 8)] * 2),
    ],
)
def test_networks_as_the_hub_has_them(
    server: HubServer, architecture: str, side: int, maps: list[tuple[int, ...]]
) -> None:
    server.files |= repository(architecture, side)
    backbone, _ = load_backbone(NAME)
    assert not backbone.training
    assert [tuple(view.shape) for view in backbone(torch.rand(1, 3, 64, 96))] == maps
    assert backbone.channels == sum(shape[1] for shape in maps)
    assert backbone.mean.flatten().tolist() == [0.5, 0.5, 0.5]
    stored = safetensors.torch.load(server.files[FILE])
    weights = {k.removeprefix("model."): v for k, v in backbone.network.state_dict().items()}
    assert {k.replace(".", "_") for k in weights} < {k.replace(".", "_") for k in stored}
    first = next(iter(weights))
    torch.testing.assert_close(weights[first], stored[first], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("resnet18", "names no backbone"),
        (f"{REPO}@main/../..", "names no backbone"),
        (f"resnet18={REPO}", "names no backbone"),
        ("a--b/c..d", "is no name of a repository"),
        ("nobody/nothing", "no nobody/nothing on the Hub"),
        (f"{NAME}@{'0' * 40}", f"no revision 00000000…. Check {VARIABLE}"),
    ],
)
def test_a_name_that_cannot_be_used_is_an_error(server: HubServer, name: str, text: str) -> None:
    with pytest.raises(WeightsError, match=text):
        load_backbone(name)


@pytest.mark.parametrize(
    ("architecture", "text"),
    [
        ("no_such_network", 'timm has no network "no_such_network"'),
        ("vit_giant_patch14_dinov2", "1135 million parameters; at most 75 million"),
        ("beit_base_patch16_224", "does not take photos of any size"),
    ],
)
def test_a_network_that_cannot_be_used_is_an_error_before_its_weights_are_fetched(
    server: HubServer, architecture: str, text: str
) -> None:
    document = json.loads(server.files[CONFIG])
    server.files[CONFIG] = json.dumps(document | {"architecture": architecture}).encode()
    with pytest.raises(WeightsError, match=text):
        load_backbone(NAME)
    assert not server.downloads()


def _config(**changes: Any) -> bytes:
    about = {"mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [3, 224, 224]}
    for key in about.keys() & changes.keys():
        about[key] = changes.pop(key)
    return json.dumps({"architecture": "resnet18", "pretrained_cfg": about} | changes).encode()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "architecture"),
        (b"{}", "architecture"),
        (_config(architecture=["resnet18"]), "architecture"),
        (_config(architecture="hf-hub:someone/else"), "architecture"),
        (_config(architecture="../resnet18"), "architecture"),
        (_config(pretrained_cfg=None), "pretrained_cfg"),
        (_config(model_args={"act_layer": "gelu"}), "model_args"),
        (_config(model_args=[]), None),
        (_config(model_args={"num_classes": 5}), None),
        (_config(mean=[0.5, 0.5]), "mean"),
        (_config(mean=[0.5, 0.5, "0.5"]), "mean"),
        (_config(mean=[0.5, 0.5, True]), "mean"),
        (_config(mean=[0.5, 0.5, float("nan")]), "mean"),
        (_config(mean=[127.5, 127.5, 127.5]), "mean"),
        (_config(std=[0.2, 0.2, 0.0]), "std"),
        (_config(std=[0.2, 0.2, float("inf")]), "std"),
        (_config(input_size=[1, 224, 224]), "input_size"),
        (_config(input_size=[3, 224.5, 224]), "input_size"),
        (_config(input_size=[3, 224, 100_000]), "input_size"),
        (_config(input_size=224), "input_size"),
    ],
)
def test_a_config_is_read_with_care(data: bytes, text: str | None) -> None:
    if text is None:
        assert read_config(data, REPO).architecture == "resnet18"
        return
    with pytest.raises(WeightsError, match=f"not that of a timm model.*{text}"):
        read_config(data, REPO)


def test_an_oversized_config_is_not_fetched(server: HubServer) -> None:
    server.files[CONFIG] += b" " * feature_extractors.MAX_CONFIG_BYTES
    with pytest.raises(WeightsError, match="too large"):
        load_backbone(NAME)
    assert ("GET", f"/{REPO}/resolve/{REVISION}/{CONFIG}") not in server.asked


def _without(tensors: dict[str, Tensor]) -> None:
    del tensors["layer2.0.conv1.weight"]


def _narrower(tensors: dict[str, Tensor]) -> None:
    tensors["layer2.0.conv1.weight"] = tensors["layer2.0.conv1.weight"][:-1].contiguous()


def _not_finite(tensors: dict[str, Tensor]) -> None:
    tensors["layer2.0.conv1.weight"][0] = torch.nan


def _ambiguous(tensors: dict[str, Tensor]) -> None:
    tensors["layer2.0_conv1.weight"] = tensors["layer2.0.conv1.weight"].clone()


@pytest.mark.parametrize("damage", [_without, _narrower, _not_finite, _ambiguous])
def test_other_tensors_are_refused(
    server: HubServer, damage: Callable[[dict[str, Tensor]], None]
) -> None:
    tensors = safetensors.torch.load(server.files[FILE])
    damage(tensors)
    server.files[FILE] = safetensors.torch.save(tensors)
    with pytest.raises(WeightsError, match="does not fit test_resnet"):
        load_backbone(NAME)


def test_what_is_not_needed_may_be_missing_and_half_precision_is_enough(
    server: HubServer,
) -> None:
    tensors = safetensors.torch.load(server.files[FILE])
    needed = {k: v.half() for k, v in tensors.items() if not k.startswith(("layer4", "fc"))}
    needed = {k: v for k, v in needed.items() if not k.endswith("num_batches_tracked")}
    server.files[FILE] = safetensors.torch.save(needed)
    backbone, _ = load_backbone(NAME)
    assert {weights.dtype for weights in backbone.parameters()} == {torch.float32}


def test_a_position_embedding_of_another_size_is_refused(server: HubServer) -> None:
    server.files |= repository("test_vit", 160)
    document = json.loads(server.files[CONFIG])
    document["pretrained_cfg"]["input_size"] = [3, 96, 96]
    server.files[CONFIG] = json.dumps(document).encode()
    with pytest.raises(WeightsError, match="pos_embed is missing, of another shape"):
        load_backbone(NAME)


def test_other_bytes_and_other_files_are_refused(server: HubServer) -> None:
    for fault in ("wrong config", "wrong bytes"):
        server.fault = fault
        with pytest.raises(NotAvailable, match="checksum"):
            load_backbone(NAME)
        hub._FETCHES.clear()
    server.fault = ""
    server.files[FILE] = b"no tensors at all"
    with pytest.raises(WeightsError, match="no safetensors file"):
        load_backbone(NAME)


def test_a_repository_without_a_config_is_refused(server: HubServer) -> None:
    del server.files[CONFIG]
    with pytest.raises(NotAvailable, match=f"has no {CONFIG}"):
        load_backbone(NAME)


def test_the_same_weights_after_another_normalisation_are_another_backbone(
    server: HubServer,
) -> None:
    _, before = load_backbone(NAME)
    document = json.loads(server.files[CONFIG])
    document["pretrained_cfg"]["mean"] = [0.4, 0.4, 0.4]
    server.files[CONFIG] = json.dumps(document).encode()
    feature_extractors._LOADED.clear()
    server.revision = "1" * 40
    _, after = load_backbone(NAME)
    assert before != after


def test_without_timm_the_error_says_what_to_install(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotAvailable, match=r'pip install "\.\[backbones\]"'):
        load_backbone(NAME)
    assert not server.asked


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
    names = ("level0.view0.centre", "level0.view0.projection")
    narrow = tensors | {name: tensors[name][:10] for name in names}
    path = folder.parent / "forged.safetensors"
    path.write_bytes(files.to_bytes({}, narrow, detector.metadata))
    with pytest.raises(WeightsError, match="does not fit"):
        load(path, folder=folder)
