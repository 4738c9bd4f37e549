"""The feature extractor's layers: shapes, padding and preprocessing."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from defect.networks.extractor import CHANNELS, Convolution, Extractor
from tests.factories import tiny_extractor


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160)])
def test_four_maps_at_their_strides(height: int, width: int) -> None:
    with torch.inference_mode():
        maps = tiny_extractor()(torch.rand(2, 3, height, width))
    expected = [
        (2, channels, height // stride, width // stride)
        for channels, stride in zip(CHANNELS, (4, 8, 16, 16), strict=True)
    ]
    assert [tuple(one.shape) for one in maps] == expected


def test_other_sides_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 16"):
        tiny_extractor()(torch.rand(1, 3, 64, 72))


@pytest.mark.parametrize(("kernel", "padding"), [(3, (0, 1, 0, 1)), (5, (1, 2, 1, 2))])
def test_stride_two_pads_as_tensorflow_does(
    kernel: int, padding: tuple[int, int, int, int]
) -> None:
    layer = Convolution(4, 4, kernel, 2, groups=4, linear=True).eval()
    x = torch.randn(1, 4, 16, 16)
    with torch.inference_mode():
        plain = F.conv2d(F.pad(x, padding), layer.conv.weight, stride=2, groups=4)
        torch.testing.assert_close(layer(x), layer.norm(plain))


def test_a_photo_s_features_do_not_depend_on_the_batch() -> None:
    pixels = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = tiny_extractor()
    with torch.inference_mode():
        for one, other in zip(network(pixels), network(pixels[1:2]), strict=True):
            torch.testing.assert_close(one[1:2], other, rtol=1e-3, atol=1e-3)


def test_parameters() -> None:
    """Folded; with batch norms there would be two more a channel."""
    assert sum(p.numel() for p in tiny_extractor().parameters()) == 692_688
    assert Extractor().channels == sum(CHANNELS) == 256
