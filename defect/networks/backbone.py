"""A torchvision network's features in place of our extractor's, for who wants ImageNet's.

Off unless `DEFECT_BACKBONE` names a repository on the Hub: `[ARCHITECTURE=]OWNER/NAME[@COMMIT]`,
such as `timm/resnet18.tv_in1k`, whose `model.safetensors` holds weights in torchvision's naming.
Without an architecture, its first letters, digits and underscores are taken for it.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.networks.extractor import PLACES
from defect.weights import hub
from defect.weights.files import NotAvailable, WeightsError

VARIABLE = "DEFECT_BACKBONE"
FILE = "model.safetensors"
MOST_PARAMETERS = 75_000_000
"""Their file has 300 MB, the most that is fetched."""
_FORM = re.compile(r"(?:(\w+)=)?([\w-][\w.-]*/(\w+)[\w.-]*?)(?:@([0-9a-f]{40}))?", re.ASCII)
_OTHERWISE = ("googlenet", "inception_v3")
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


_LOADED: dict[str, tuple[Backbone, str]] = {}
_LOCK = threading.Lock()


def chosen() -> str:
    """What `DEFECT_BACKBONE` names; empty by default."""
    return os.environ.get(VARIABLE, "").strip()


def load_backbone(name: str, wait: float | None = None) -> tuple[Backbone, str]:
    """The network a name stands for, and its file's SHA-256; the last one is kept.

    Args:
        name: `[ARCHITECTURE=]OWNER/NAME[@COMMIT]`; without a commit, the newest one.
        wait: seconds until an error says how far its download is; None: until it is done.

    Raises:
        NotAvailable: the file cannot be had (yet); the text says why.
        WeightsError: the name is none, or the file does not fit.
    """
    if kept := _LOADED.get(name):
        return kept
    form = _FORM.fullmatch(name)
    if form is None:
        raise WeightsError(
            f'"{name}" names no backbone. Set {VARIABLE} to [ARCHITECTURE=]OWNER/NAME[@COMMIT], '
            f"such as timm/resnet18.tv_in1k, or unset it."
        )
    architecture = form[1] or form[3]
    _check(architecture)
    try:
        pin, wanted = hub.find(form[2], FILE, form[4] or "main", VARIABLE)
        data = hub.fetch(pin, wanted, wait)
    except hub.HubError as error:
        raise NotAvailable(str(error)) from error
    with _LOCK:
        if name not in _LOADED:
            made = _build(architecture, data, form[2]), wanted.sha256
            _LOADED.clear()
            _LOADED[name] = made
        return _LOADED[name]


def _check(architecture: str) -> None:
    """Before anything is fetched; raises WeightsError."""
    from torchvision import models

    if architecture not in models.list_models(module=models):
        raise WeightsError(
            f'torchvision has no network "{architecture}". Write {VARIABLE} as '
            f"ARCHITECTURE=OWNER/NAME, such as resnet18=timm/resnet18.tv_in1k."
        )
    if architecture in _OTHERWISE:
        raise WeightsError(
            f"{architecture} expects photos prepared in another way. Name another network."
        )
    size = models.get_model_weights(architecture).DEFAULT.meta["num_params"]
    if size > MOST_PARAMETERS:
        raise WeightsError(
            f"{architecture} has {size / 1e6:.0f} million parameters; at most "
            f"{MOST_PARAMETERS / 1e6:.0f} million are taken. Name a smaller network."
        )


def _build(architecture: str, data: bytes, repo: str) -> Backbone:
    """Raises WeightsError."""
    from torchvision import models

    try:
        backbone = Backbone(models.get_model(architecture, weights=None))
    except ValueError as error:
        raise WeightsError(f"{architecture} is no backbone for a memory: {error}.") from error
    try:
        given = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{FILE} of {repo} is no safetensors file. Name another.") from error
    for name, step in zip(backbone.names, backbone.steps, strict=True):
        needed = step.state_dict()
        for key, tensor in needed.items():
            # Some save a step counter that inference never reads, some do not.
            if key.endswith("num_batches_tracked"):
                continue
            full = f"{name}.{key}"
            if full not in given or given[full].shape != tensor.shape:
                raise WeightsError(
                    f"{FILE} of {repo} does not hold {architecture} in torchvision's naming "
                    f"({full} is missing or of another shape). Name another."
                )
            needed[key] = given[full].to(tensor.dtype)
        step.load_state_dict(needed)
    return backbone.eval().requires_grad_(False)
