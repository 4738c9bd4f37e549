"""Which maps of a torchvision network a backbone takes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from defect.networks.backbone import Backbone


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

        def keep(module: nn.Module, inputs: object, out: Tensor, name: str = name) -> None:
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
