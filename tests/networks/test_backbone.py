"""A backbone by its name: the right layers, fetched, compared; detectors that know theirs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import safetensors.torch
import torch
from defect.training.teaching import Product, load_taught_file, teach
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from defect.detectors import memory_detector as taught
from defect.networks import backbone
from defect.networks.backbone import FILE, VARIABLE, Backbone, load_backbone
from defect.weights import files as weights
from defect.weights import hub
from defect.weights.files import NotAvailable, WeightsError
from tests.hub_server import REPO, REVISION, HubServer
from tests.memory_photos import good_photos, write_extractor

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
    backbone._LOADED.clear()
    yield hub_server
    backbone._LOADED.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_extractor(tmp_path / "weights")
    return tmp_path / "weights"


@pytest.fixture
def photos(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"part_{i}.png" for i in range(6)]
    for path, photo in zip(paths, good_photos(6, 0), strict=True):
        Image.fromarray(photo).save(path)
    return [str(path) for path in paths]


@pytest.mark.parametrize(
    ("architecture", "fine", "coarse"),
    [
        ("resnet18", (128, 32, 32), (256, 16, 16)),  # layer2 and layer3, as PatchCore takes
        ("squeezenet1_1", (256, 32, 32), (512, 15, 15)),  # without padding, and no class's map
        ("densenet121", (512, 32, 32), (1024, 16, 16)),
        ("mobilenet_v3_small", (24, 32, 32), (48, 16, 16)),
        ("regnet_y_400mf", (104, 32, 32), (208, 16, 16)),
    ],
)
def test_the_last_layers_at_both_strides_are_taken(
    architecture: str, fine: tuple[int, ...], coarse: tuple[int, ...]
) -> None:
    made = Backbone(models.get_model(architecture, weights=None))
    with torch.inference_mode():
        seen = made(torch.rand(2, 3, 256, 256))
    assert [view.shape for view in seen] == [(2, *fine), (2, *coarse)]


@pytest.mark.parametrize(
    ("architecture", "fine", "coarse"),
    [
        ("resnet18", "layer2", "layer3"),
        ("densenet121", "features.denseblock2", "features.denseblock3"),
        ("efficientnet_b0", "features.3", "features.5"),
        ("shufflenet_v2_x0_5", "stage2", "stage3"),
    ],
)
def test_the_features_are_the_networks_own(architecture: str, fine: str, coarse: str) -> None:
    made = models.get_model(architecture, weights=None).eval()
    kept: dict[str, Tensor] = {}
    for name in (fine, coarse):

        def keep(module: nn.Module, given: object, out: Tensor, name: str = name) -> None:
            kept[name] = out

        made.get_submodule(name).register_forward_hook(keep)
    pixels = torch.rand(1, 3, 256, 256)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    seen = Backbone(made)
    with torch.inference_mode():
        made((pixels - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        expected = dict(kept)
        for view, name in zip(seen(pixels), (fine, coarse), strict=True):
            torch.testing.assert_close(view, expected[name])
    assert seen.channels == sum(out.shape[1] for out in expected.values())


def test_a_product_is_taught_through_it_and_loads_only_where_it_is_chosen(
    server: HubServer, folder: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = teach(photos, "own", folder=folder)
    monkeypatch.setenv(VARIABLE, NAME)
    through = teach(photos, "other", folder=folder)
    assert any(NAME in note for note in through.notes)
    assert NAME in through.inspector.metadata.training.start
    assert len(through.inspector.memory.centre) == 48 + 96
    assert own.inspector.memory.extractor != through.inspector.memory.extractor
    assert _loads(own, folder) and _loads(through, folder)
    monkeypatch.delenv(VARIABLE)
    assert _loads(own, folder)
    with pytest.raises(WeightsError, match="another feature extractor"):
        _loads(through, folder)


def _loads(product: Product, folder: Path) -> bool:
    path = folder.parent / f"{product.name}.safetensors"
    path.write_bytes(product.file)
    photo = Image.fromarray(good_photos(1, 5)[0])
    again = load_taught_file(str(path), folder).inspector(photo)
    return bool(again.score == pytest.approx(product.inspector(photo).score, rel=1e-3))


def test_off_by_default(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    _, sha256, name = taught.teaching_extractor(folder)
    assert (sha256, name) == (taught.load_extractor(folder)[1], "")


def test_at_a_commit_the_cache_answers_alone(server: HubServer) -> None:
    first, sha256 = load_backbone(f"{NAME}@{REVISION}")
    asked = len(server.asked)
    backbone._LOADED.clear()
    hub._FETCHES.clear()
    again, same = load_backbone(f"{NAME}@{REVISION}")
    assert len(server.asked) == asked > 0 and sha256 == same
    pixels = torch.rand(1, 3, 256, 256)
    torch.testing.assert_close(first(pixels), again(pixels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "told"),
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
def test_a_name_that_does_not_do_is_told(server: HubServer, name: str, described: str) -> None:
    with pytest.raises(WeightsError, match=described):
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


def test_a_slow_download_is_told_and_goes_on(server: HubServer) -> None:
    server.fault = "held"
    with pytest.raises(NotAvailable, match="is being fetched"):
        load_backbone(NAME, 1.0)
    server.fault = ""
    assert isinstance(load_backbone(NAME, 30.0)[0], backbone.Backbone)


def test_visitors_at_once_get_one_network_and_others_inspect_meanwhile(
    server: HubServer, folder: Path, photos: list[str]
) -> None:
    inspect = teach(photos, "own", folder=folder).inspector
    with ThreadPoolExecutor(6) as pool:
        loads = [pool.submit(load_backbone, NAME, 30.0) for _ in range(4)]
        looks = [pool.submit(inspect, photos[0]) for _ in range(20)]
        assert len({id(load.result()[0]) for load in loads}) == 1
        assert len({look.result().score for look in looks}) == 1
    assert server.downloads() == 1


def test_what_a_detector_needs_and_is_not_here_is_told_as_it_is(
    server: HubServer, folder: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, NAME)
    file = folder.parent / "other.safetensors"
    file.write_bytes(teach(photos, "other", folder=folder).file)
    backbone._LOADED.clear()
    server.fault = "503"
    with pytest.raises(WeightsError, match="error 503"):
        load_taught_file(str(file), folder)
    asked = len(server.asked)
    with pytest.raises(WeightsError, match="error 503"):
        load_taught_file(str(file), folder)
    assert len(server.asked) == asked  # a failure is remembered for a while
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(WeightsError, match="names no backbone"):
        load_taught_file(str(file), folder)


def test_a_forged_detector_of_another_width_is_refused(folder: Path, photos: list[str]) -> None:
    product = teach(photos, "own", folder=folder)
    memory, metadata = product.inspector.memory, product.inspector.metadata
    tensors = memory.tensors()
    narrow = tensors | {name: tensors[name][:10] for name in ("centre", "projection")}
    data = weights.to_bytes({}, narrow, metadata)
    with pytest.raises(WeightsError, match="another feature extractor"):
        taught.from_bytes(data, "forged.safetensors", folder)
