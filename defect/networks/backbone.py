"""The maps of a torchvision classifier at strides 8 and 16: layers only."""

from __future__ import annotations

from contextlib import suppress

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PLACES = 32
_SIDES = range(PLACES - 4, PLACES + 5), range(PLACES // 2 - 2, PLACES // 2 + 3)
"""Places a side of the fine and the coarse map: without padding there are 31 and 15, not 32 and
16."""


class Backbone(nn.Module):
    """N×3×256×256 in 0..1 → what a torchvision network sees at strides 8 and 16, as `Extractor`.

    Args:
        network: one of `torchvision.models`; what comes after the two maps is left behind.

    Raises:
        ValueError: it keeps no map of a photo at these strides, as vision transformers do not.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)
        fine, coarse, self.channels = _last_layers(network.eval())
        # Up to these maps torchvision's networks are chains of their parts.
        chain = _chain(network, fine, coarse)
        self.names = [name for name, _ in chain]
        self.steps = nn.ModuleList(module for _, module in chain)
        self.fine_at = self.names.index(fine)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×256×256 in 0..1 → N×F×32×32, and N×C×16×16 or nearly so."""
        x = fine = (pixels - self.mean) / self.std
        for number, step in enumerate(self.steps):
            x = step(x)
            if number == self.fine_at:
                fine = F.interpolate(x, (PLACES, PLACES), mode="bilinear")
        return fine, x


@torch.no_grad()
def _last_layers(network: nn.Module) -> tuple[str, str, int]:
    """The last layers with maps at strides 8 and 16, among the network's parts or else among
    theirs, and how many channels both have together."""
    found: list[dict[int, tuple[str, int]]] = [{}, {}]

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, given: object, out: object) -> None:
            if isinstance(out, Tensor) and out.ndim == 4 and out.shape[2] == out.shape[3]:
                for by_depth, sides in zip(found, _SIDES, strict=True):
                    if out.shape[2] in sides:
                        by_depth[name.count(".")] = name, out.shape[1]

        return module.register_forward_hook(note)

    modules = [(name, module) for name, module in network.named_modules() if name]
    hooks = [watch(name, module) for name, module in modules if name.count(".") < 2]
    # A transformer refuses a photo of this size; that it has no maps is said below.
    with suppress(AssertionError, RuntimeError):
        network(torch.zeros(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    if not all(found):
        raise ValueError("it keeps no maps of a photo at strides 8 and 16")
    (fine, few), (coarse, more) = (by_depth[min(by_depth)] for by_depth in found)
    return fine, coarse, few + more


def _chain(network: nn.Module, fine: str, coarse: str) -> list[tuple[str, nn.Module]]:
    """The network's parts in order, or theirs where a map is among them, up to the coarse map."""
    chain: list[tuple[str, nn.Module]] = []
    for name, part in network.named_children():
        if fine.startswith(f"{name}.") or coarse.startswith(f"{name}."):
            chain += [(f"{name}.{inner}", module) for inner, module in part.named_children()]
        else:
            chain.append((name, part))
    inside = [f"{name}.".startswith(f"{coarse}.") for name, _ in chain]
    return chain[: len(chain) - inside[::-1].index(True)]
