"""A backbone by its name: the right layers, fetched, compared; detectors that know theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn
from torchvision import models

from defect import backbone, hub, taught
from defect.backbone import FILE, VARIABLE, Backbone, load_backbone
from defect.product import Product, load_product, teach_product
from defect.weights import NotAvailable, WeightsError
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
    load_backbone.cache_clear()
    yield hub_server
    load_backbone.cache_clear()


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


def test_the_features_are_the_networks_own() -> None:
    made = models.get_model("resnet18", weights=None).eval()
    kept: list[Tensor] = []
    made.layer2.register_forward_hook(lambda module, given, out: kept.append(out))
    pixels = torch.rand(1, 3, 256, 256)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        made((pixels - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
        torch.testing.assert_close(Backbone(made)(pixels)[0], kept[0])


def test_a_product_is_taught_through_it_and_loads_only_where_it_is_chosen(
    server: HubServer, folder: Path, photos: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = teach_product(photos, "own", folder=folder)
    monkeypatch.setenv(VARIABLE, NAME)
    through = teach_product(photos, "other", folder=folder)
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
    again = load_product(str(path), folder).inspector(photo)
    return bool(again.score == pytest.approx(product.inspector(photo).score, rel=1e-3))


def test_off_by_default(folder: Path) -> None:
    _, sha256, name = taught.teaching_extractor(folder)
    assert (sha256, name) == (taught.load_extractor(folder)[1], "")


def test_at_a_commit_the_cache_answers_alone(server: HubServer) -> None:
    first, sha256 = load_backbone(f"{NAME}@{REVISION}")
    asked = len(server.asked)
    load_backbone.cache_clear()
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
        (f"swin_t={REPO}", "no maps of a photo"),
        (f"resnet18={REPO}", "does not hold resnet18"),
        ("resnet18=nobody/nothing", "no nobody/nothing on the Hub"),
        (f"{NAME}@{'0' * 40}", f"no revision 00000000…. Check {VARIABLE}"),
    ],
)
def test_a_name_that_does_not_do_is_told(server: HubServer, name: str, told: str) -> None:
    with pytest.raises(WeightsError, match=told):
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
        load_backbone(NAME, 0.5)
    server.fault = ""
    assert isinstance(load_backbone(NAME, 30.0)[0], backbone.Backbone)
