"""The feature extractor of the memory detector: EfficientNet-Lite0 (Tan & Le 2019; Liu 2020) up to
stride 16, layers only.

Four maps come out: the last block at stride 4 and at stride 8, and the middle and the last one at
stride 16. Normalisation is part of the network. Batch norms are folded into the convolutions when
the weights file is made (`fold`): the shipped network holds convolutions only, 0.69 M parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDE = 16
"""Height and width of the input must be multiples of it."""
CHANNELS = (24, 40, 80, 112)
"""Of the four maps returned, at strides 4, 8, 16 and 16."""
BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Stage:
    """Blocks of one width; the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS = 32
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
)
RETURNED = (1, 2, 3, 4)
"""Stages whose output is returned."""


class Convolution(nn.Module):
    """Convolution, batch norm and, unless linear, ReLU6.

    Pads as TensorFlow's SAME does for even sides: with stride 2 one pixel more at the bottom and
    right. That is the same as equal padding and a kernel with a row and a column of zeros before
    it, which is much faster than to pad the input.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        linear: bool = False,
    ) -> None:
        super().__init__()
        total = kernel - stride
        after = total - total // 2
        self.widened = after - total // 2
        self.conv = nn.Conv2d(n_in, n_out, kernel, stride, padding=after, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(n_out, eps=BATCH_NORM_EPSILON)
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """N×n_in×H×W → N×n_out×H/stride×W/stride."""
        conv, zeros = self.conv, self.widened
        kernel = F.pad(conv.weight, (zeros, 0, zeros, 0)) if zeros else conv.weight
        x = F.conv2d(x, kernel, conv.bias, conv.stride, conv.padding, groups=conv.groups)
        x = self.norm(x)
        return x if self.linear else F.relu6(x, inplace=True)


class InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project (MobileNetV2); adds its input where shapes allow."""

    def __init__(self, n_in: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = n_in * stage.expansion
        layers = [Convolution(n_in, wide)] if stage.expansion > 1 else []
        layers.append(Convolution(wide, wide, stage.kernel, stride, groups=wide))
        layers.append(Convolution(wide, stage.channels, linear=True))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and n_in == stage.channels

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out + x if self.residual else out


class Extractor(nn.Module):
    """N×3×H×W RGB in 0..1 → maps of 24, 40, 80 and 112 channels at strides 4, 8, 16 and 16."""

    def __init__(self) -> None:
        super().__init__()
        self.channels = sum(CHANNELS)
        self.stem = Convolution(3, STEM_CHANNELS, 3, 2)
        self.stages = nn.ModuleList()
        n_in = STEM_CHANNELS
        for stage in STAGES:
            blocks = []
            for i in range(stage.blocks):
                blocks.append(InvertedResidual(n_in, stage, stage.stride if i == 0 else 1))
                n_in = stage.channels
            self.stages.append(nn.Sequential(*blocks))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """N×3×H×W in 0..1 → [N×24×H/4×W/4, N×40×H/8×W/8, N×80×H/16×W/16, N×112×H/16×W/16].

        Raises:
            ValueError: a side is not a multiple of 16.
        """
        if pixels.shape[-1] % STRIDE or pixels.shape[-2] % STRIDE:
            raise ValueError(f"sides must be multiples of {STRIDE}: {tuple(pixels.shape[-2:])}")
        x = (pixels * 255 - 127) / 128
        x = self.stem(x.contiguous(memory_format=torch.channels_last))
        maps = []
        for i, stage in enumerate(self.stages):
            x = stage(x)
            if i in RETURNED:
                maps.append(x)
        return maps


def fold(extractor: Extractor) -> Extractor:
    """Folds every batch norm into its convolution, in place; for inference only."""
    for module in extractor.eval().modules():
        if isinstance(module, Convolution) and isinstance(module.norm, nn.BatchNorm2d):
            module.conv = fuse_conv_bn_eval(module.conv, module.norm)
            module.norm = nn.Identity()
    extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return extractor.requires_grad_(False)


def folded_extractor() -> Extractor:
    """An extractor with the layers of a weights file, not yet loaded: convolutions with a bias."""
    return fold(Extractor())
