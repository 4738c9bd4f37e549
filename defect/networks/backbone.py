"""Any network of timm as a feature extractor, vision transformers included: layers only.

timm is optional. It is imported when a `Backbone` is made, never before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.inspection import Message

STRIDES = 8, 16
"""Of a convolutional network's maps; the nearest it has are taken."""
ENLARGED = 7 / 6
"""Transformers see photos larger by this factor: 384 pixels a side become 448, the side DINOv2 is
usually compared at. A patch of 14 then covers 12 pixels of the photo."""
_ROUNDS = 1, 2, 4
"""Sides must be multiples of the coarsest stride, or (in networks with windows) of more."""


class UnfitNetworkError(ValueError):
    """A network of timm that cannot be a backbone; the text says why."""


class Backbone(nn.Module):
    """N×3×H×W RGB in 0..1 → maps of a timm network, randomly initialised until it is loaded.

    Of a network with several strides the maps at 8 and 16 are taken, of one with a single stride
    (a vision transformer) the middle and the last layer, each token normalised.
    Built under `torch.device("meta")`, it costs no memory.

    Args:
        architecture: name of a network in timm, without a tag.
        mean: of each channel of the photos it was trained on, in 0..1.
        std: likewise.
        side: height and width it was trained at; position embeddings depend on it.

    Attributes:
        channels: of all maps together.
        input_multiple: sides the network takes are multiples of it; others are resized to the
            nearest.

    Raises:
        UnfitNetworkError: the network has no maps, or takes photos of one size only.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        side: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), False)
        # What the network offers, and whether it runs, is asked of one without memory.
        with torch.device("meta"):
            layers, strides = _choose(_create(architecture, side))
            sketch = _create(architecture, side, out_indices=layers)
        self.channels_last = str(getattr(sketch, "output_fmt", "")) in ("NHWC", "Format.NHWC")
        self.single_stride = len(layers) > 1 and len(set(strides)) == 1
        self.scale = ENLARGED if self.single_stride else 1.0
        self.input_multiple, self.channels = self._measure(sketch, max(strides))
        self.network = _create(architecture, side, out_indices=layers)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """N×3×H×W in 0..1 → N×C×h×w maps, the finest first; `input_multiple` says of what H and W
        are made multiples first."""
        size = self.input_size(pixels.shape[-2], pixels.shape[-1])
        if size != tuple(pixels.shape[-2:]):
            pixels = F.interpolate(pixels, size=size, mode="bilinear")
        return self._maps(self.network, (pixels - self.mean) / self.std)

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) at which the network sees a photo of that size."""
        step = self.input_multiple
        rounded = [max(1, round(side * self.scale / step)) * step for side in (height, width)]
        return rounded[0], rounded[1]

    def _maps(self, network: nn.Module, normalised: Tensor) -> list[Tensor]:
        maps: list[Tensor] = network(normalised)
        if self.channels_last:
            maps = [tokens.permute(0, 3, 1, 2) for tokens in maps]
        if self.single_stride:
            # As the network's own last norm does, so that no layer outweighs the other.
            maps = [F.layer_norm(m.movedim(1, 3), m.shape[1:2]).movedim(3, 1) for m in maps]
        return maps

    @torch.no_grad()
    def _measure(self, sketch: nn.Module, stride: int) -> tuple[int, int]:
        """(multiple, channels): the least multiple whose sizes it takes."""
        for rounds in _ROUNDS:
            step = stride * rounds
            pixels = torch.empty(1, 3, 5 * step, 7 * step, device="meta")
            with torch.device("meta"):
                maps = _attempt(partial(self._maps, sketch.eval(), pixels))
            if maps and all(m.ndim == 4 and m.shape[2] < m.shape[3] for m in maps):
                return step, sum(m.shape[1] for m in maps)
        raise UnfitNetworkError(Message("backbone_one_size", "it does not take photos of any size"))


def has_network(architecture: str) -> bool:
    """Whether timm knows a network of that name."""
    import timm

    return bool(timm.is_model(architecture))


def _create(
    architecture: str, side: tuple[int, int] | None, out_indices: Sequence[int] | None = None
) -> Any:
    """timm's network with what is above the maps cut off; raises UnfitNetworkError."""
    import timm

    options: dict[str, Any] = {"pretrained": False, "features_only": True}
    if side is not None:
        options["pretrained_cfg_overlay"] = {"input_size": (3, *side)}
    if out_indices is not None:
        options["out_indices"] = tuple(out_indices)
    # Transformers that take any size have to be told; other networks do not know the option.
    # Most networks can be cut off by the "getter", the others by a way of their own.
    getter, any_size = {"feature_cls": "getter"}, {"dynamic_img_size": True}
    for more in (getter | any_size, getter, any_size, {}):
        network = _attempt(partial(timm.create_model, architecture, **options, **more))
        # Hooks keep the maps in the network, where inspections in other threads overwrite them.
        if network is not None and not isinstance(network, timm.models.FeatureHookNet):
            return network
    raise UnfitNetworkError(Message("backbone_no_maps", "it offers no maps of a photo"))


def _attempt(task: Callable[[], Any]) -> Any:
    """The task's result, or None: every network fails in a way of its own at what it cannot do."""
    try:
        return task()
    except Exception:
        return None


def _choose(network: Any) -> tuple[list[int], list[int]]:
    """Which of the network's maps are taken, by number, and their strides."""
    strides = [int(layer["reduction"]) for layer in network.feature_info.info]
    if len(strides) > 1 and len(set(strides)) == 1:
        layers = [len(strides) // 2 - 1, len(strides) - 1]
    else:
        wanted = [_nearest(strides, stride) for stride in STRIDES]
        layers = sorted(set(wanted))
    return layers, [strides[layer] for layer in layers]


def _nearest(strides: Sequence[int], wanted: int) -> int:
    """Number of the last map at the stride nearest to the one wanted, the finer of two."""
    away = [abs(math.log2(stride / wanted)) + stride * 1e-6 for stride in strides]
    return max(i for i, distance in enumerate(away) if distance == min(away))
