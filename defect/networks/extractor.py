"""The feature extractor the memory of normal looks through: layers only, trained by this project.

Residual blocks at strides 4, 8 and 16; two linear heads name what was learnt there in the terms of
the teacher it was distilled from (`training.extractor`). 1.8 million parameters, 1.6 GFLOP a photo.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

BLOCKS = 3
PLACES = 32
"""Places a side at which features are compared."""


class _Block(nn.Module):
    """x + a narrow look at its neighbourhood."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, channels // 2, 1, bias=False)
        self.squeeze_norm: nn.Module = nn.BatchNorm2d(channels // 2)
        self.look = nn.Conv2d(channels // 2, channels, 3, padding=1, bias=False)
        self.look_norm: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        narrow = F.relu(self.squeeze_norm(self.squeeze(x)), inplace=True)
        return F.relu(x + self.look_norm(self.look(narrow)), inplace=True)


def _down(n_in: int, n_out: int) -> nn.Sequential:
    conv = nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True))


class Extractor(nn.Module):
    """N×3×256×256 in 0..1 → what stands at each place, at strides 8 and 16.

    Args:
        terms: channels of the two heads: how many the teacher has at those strides.
        width: of the first layer; 32 is the shipped one, tests take less.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, terms: Sequence[int] = (384, 384), width: int = 32) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)
        self.stem = nn.Sequential(_down(3, width), _down(width, 2 * width), _Block(2 * width))
        fine = [_Block(4 * width) for _ in range(BLOCKS)]
        self.fine = nn.Sequential(_down(2 * width, 4 * width), *fine)
        coarse = [_Block(8 * width) for _ in range(BLOCKS)]
        self.coarse = nn.Sequential(_down(4 * width, 8 * width), *coarse)
        self.channels = sum(terms)
        self.fine_terms = nn.Conv2d(4 * width, terms[0], 1)
        self.coarse_terms = nn.Conv2d(8 * width, terms[1], 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def stages(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×S×S in 0..1 → N×128×S/8×S/8 and N×256×S/16×S/16."""
        x = ((pixels - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        fine = self.fine(self.stem(x))
        return fine, self.coarse(fine)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×S×S in 0..1 → the two stages in the teacher's terms."""
        fine, coarse = self.stages(pixels)
        return self.fine_terms(fine), self.coarse_terms(coarse)


def fold(extractor: Extractor) -> Extractor:
    """The same function in fewer passes over memory, in place: for inference only."""
    for module in extractor.eval().modules():
        if isinstance(module, _Block):
            module.squeeze = _fused(module.squeeze, module.squeeze_norm)
            module.look = _fused(module.look, module.look_norm)
            module.squeeze_norm = module.look_norm = nn.Identity()
        elif isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
            module[0] = _fused(module[0], module[1])
            module[1] = nn.Identity()
    return extractor.requires_grad_(False)


def _fused(conv: nn.Module, norm: nn.Module) -> nn.Conv2d:
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    fused = fuse_conv_bn_eval(conv, norm)
    fused.weight.data = fused.weight.contiguous(memory_format=torch.channels_last)
    return fused
