"""Which maps of a timm network a backbone takes, and at what size it sees a photo."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor

from defect.networks.backbone import Backbone, UnfitNetworkError

DINO = "vit_small_patch14_dinov2"


def _meta(architecture: str) -> Backbone:
    with torch.device("meta"):
        return Backbone(architecture).eval()


def _shapes(backbone: Backbone, height: int, width: int) -> list[tuple[int, ...]]:
    with torch.inference_mode(), torch.device("meta"):
        return [tuple(m.shape) for m in backbone(torch.rand(2, 3, height, width))]


def _weights(backbone: Backbone) -> dict[str, Tensor]:
    return {k.removeprefix("model."): v for k, v in backbone.network.state_dict().items()}


@pytest.mark.parametrize(
    ("architecture", "channels"),
    [
        ("resnet18", (128, 256)),  # layer2 and layer3, as PatchCore takes
        ("wide_resnet50_2", (512, 1024)),
        ("efficientnet_lite0", (40, 112)),
        ("mobilenetv3_small_100", (24, 48)),
        ("convnext_atto", (80, 160)),
        ("densenet121", (512, 1024)),
        ("vgg11_bn", (512, 512)),
        ("swin_tiny_patch4_window7_224", (192, 384)),  # gives its maps with the channels last
        ("mobilevit_s", (96, 128)),
    ],
)
def test_maps_at_strides_8_and_16(architecture: str, channels: tuple[int, int]) -> None:
    backbone = _meta(architecture)
    for size in ((384, 384), (640, 224), (256, 256)):
        assert _shapes(backbone, *size) == [
            (2, count, size[0] // stride, size[1] // stride)
            for count, stride in zip(channels, (8, 16), strict=True)
        ]
    assert backbone.channels == sum(channels)


@pytest.mark.parametrize(
    ("architecture", "patch", "channels"),
    [
        (DINO, 14, 384),
        ("vit_small_patch14_reg4_dinov2", 14, 384),
        ("vit_tiny_patch16_224", 16, 192),
        ("vit_small_patch16_dinov3", 16, 384),
        ("eva02_tiny_patch14_224", 14, 192),
    ],
)
def test_a_transformer_gives_two_layers_of_a_larger_photo(
    architecture: str, patch: int, channels: int
) -> None:
    backbone = _meta(architecture)
    assert (backbone.input_multiple, backbone.channels) == (patch, 2 * channels)
    for size, seen in (
        ((384, 384), (448, 448)),
        ((640, 224), (747, 261)),
        ((256, 256), (299, 299)),
    ):
        rows, columns = (round(side / patch) for side in seen)
        assert backbone.input_size(*size) == (rows * patch, columns * patch)
        assert _shapes(backbone, *size) == [(2, channels, rows, columns)] * 2


def test_sides_are_resized_to_multiples() -> None:
    backbone = Backbone("test_resnet").eval()
    assert backbone.input_multiple == 16
    assert backbone.input_size(100, 7) == (96, 16)
    pixels = torch.rand(1, 3, 100, 60)
    with torch.inference_mode():
        resized = F.interpolate(pixels, (96, 64), mode="bilinear")
        for own, expected in zip(backbone(pixels), backbone(resized), strict=True):
            torch.testing.assert_close(own, expected, rtol=0, atol=0)


@torch.inference_mode()
def test_the_maps_of_a_resnet_are_its_layers() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.3, 0.2, 0.1)
    backbone = Backbone("resnet18", mean, std).eval()
    own: Any = timm.create_model("resnet18").eval()
    own.load_state_dict(_weights(backbone), strict=False)
    pixels = torch.rand(1, 3, 64, 96)
    x = (pixels - torch.tensor(mean).view(1, 3, 1, 1)) / torch.tensor(std).view(1, 3, 1, 1)
    x = own.layer1(own.maxpool(own.act1(own.bn1(own.conv1(x)))))
    fine = own.layer2(x)
    for view, expected in zip(backbone(pixels), (fine, own.layer3(fine)), strict=True):
        torch.testing.assert_close(view, expected)


@torch.inference_mode()
def test_the_maps_of_a_transformer_are_its_middle_and_last_tokens() -> None:
    backbone = Backbone("test_vit").eval()
    own: Any = timm.create_model("test_vit", dynamic_img_size=True).eval()
    own.load_state_dict(_weights(backbone), strict=False)
    last = len(own.blocks) - 1
    pixels = torch.rand(1, 3, 96, 192)
    larger = F.interpolate(pixels, (112, 224), mode="bilinear")
    expected = own.forward_intermediates(
        (larger - backbone.mean) / backbone.std,
        indices=[last // 2, last],
        norm=True,  # with the weights of a new network: 1 and 0
        intermediates_only=True,
    )
    for view, tokens in zip(backbone(pixels), expected, strict=True):
        torch.testing.assert_close(view, tokens, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("architecture", "why"),
    [
        ("beit_base_patch16_224", "photos of any size"),
        ("no_such_network", "no maps"),
    ],
)
def test_a_network_that_cannot_be_used_is_an_error(architecture: str, why: str) -> None:
    with pytest.raises(UnfitNetworkError, match=why):
        _meta(architecture)
