"""A torchvision network's features in place of our extractor's, for who wants ImageNet's.

Off unless `DEFECT_BACKBONE` names a repository on the Hub: `[ARCHITECTURE=]OWNER/NAME[@COMMIT]`,
such as `timm/resnet18.tv_in1k`, whose `model.safetensors` holds weights in torchvision's naming.
Without an architecture, the repository's name up to its first dot is taken for it.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache

import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect import hub
from defect.extractor import PLACES
from defect.weights import NotAvailable, WeightsError

VARIABLE = "DEFECT_BACKBONE"
FILE = "model.safetensors"
MOST_PARAMETERS = 100_000_000
_FORM = re.compile(r"(?:(\w+)=)?([\w-][\w.-]*/(\w+)[\w.-]*?)(?:@([0-9a-f]{40}))?", re.ASCII)
_SIDES = {"fine": range(PLACES - 4, PLACES + 5), "coarse": range(PLACES // 2 - 2, PLACES // 2 + 3)}
"""A network without padding has 31 places a side, or 15, where others have 32 and 16."""


class Backbone(nn.Module):
    """N×3×256×256 in 0..1 → what a torchvision network sees at strides 8 and 16, as `Extractor`.

    Args:
        network: one of `torchvision.models`.

    Raises:
        ValueError: it keeps no map of a photo at these strides, as vision transformers do not.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module) -> None:
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__()
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1), False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1), False)
        names = _last_layers(network.eval())
        # What comes after them, the classifier above all, is left behind here.
        self.layers: nn.Module = create_feature_extractor(
            network, {name: view for view, name in names.items()}, suppress_diff_warning=True
        )

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """N×3×256×256 in 0..1 → N×F×32×32, and N×C×16×16 or nearly so."""
        seen = self.layers((pixels - self.mean) / self.std)
        fine = F.interpolate(seen["fine"], (PLACES, PLACES), mode="bilinear")
        return fine, seen["coarse"]


@torch.no_grad()
def _last_layers(network: nn.Module) -> dict[str, str]:
    """For each view the last layer of its size, among the network's parts or else among theirs."""
    found: dict[str, dict[int, str]] = {view: {} for view in _SIDES}

    def watch(name: str, module: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def note(_: nn.Module, given: object, out: object) -> None:
            if isinstance(out, Tensor) and out.ndim == 4 and out.shape[2] == out.shape[3]:
                for view, sides in _SIDES.items():
                    if out.shape[2] in sides:
                        found[view][name.count(".")] = name

        return module.register_forward_hook(note)

    modules = [(name, module) for name, module in network.named_modules() if name]
    hooks = [watch(name, module) for name, module in modules if name.count(".") < 2]
    # A transformer refuses a photo of this size; that it has no maps is said below.
    with suppress(AssertionError, RuntimeError):
        network(torch.zeros(1, 3, 256, 256))
    for hook in hooks:
        hook.remove()
    if not all(found.values()):
        raise ValueError("it keeps no maps of a photo at strides 8 and 16")
    return {view: by_depth[min(by_depth)] for view, by_depth in found.items()}


def chosen() -> str:
    """What `DEFECT_BACKBONE` names; empty by default."""
    return os.environ.get(VARIABLE, "").strip()


@lru_cache(maxsize=1)
def load_backbone(name: str, wait: float | None = None) -> tuple[Backbone, str]:
    """The network a name stands for, and its file's SHA-256; kept once loaded.

    Args:
        name: `[ARCHITECTURE=]OWNER/NAME[@COMMIT]`; without a commit, the newest one.
        wait: seconds until an error says how far its download is; None: until it is done.

    Raises:
        NotAvailable: the file cannot be had (yet); the text says why.
        WeightsError: the name is none, or the file does not fit.
    """
    form = _FORM.fullmatch(name)
    if form is None:
        raise WeightsError(
            f'"{name}" names no backbone. Set {VARIABLE} to [ARCHITECTURE=]OWNER/NAME[@COMMIT], '
            f"such as timm/resnet18.tv_in1k, or unset it."
        )
    architecture = form[1] or form[3]
    _check(architecture)
    try:
        pin, wanted = hub.find(form[2], FILE, form[4] or "main", named=VARIABLE)
        data = hub.fetch(pin, wanted, wait)
    except hub.HubError as error:
        raise NotAvailable(str(error)) from error
    return _build(architecture, data, form[2]), wanted.sha256


def _check(architecture: str) -> None:
    """Before anything is fetched; raises WeightsError."""
    from torchvision import models

    if architecture not in models.list_models(module=models):
        raise WeightsError(
            f'torchvision has no network "{architecture}". Write {VARIABLE} as '
            f"ARCHITECTURE=OWNER/NAME, such as resnet18=timm/resnet18.tv_in1k."
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

    # These two would also draw fresh weights slowly, to be overwritten at once.
    slow = architecture in ("googlenet", "inception_v3")
    network = models.get_model(
        architecture, weights=None, **({"init_weights": False} if slow else {})
    )
    try:
        backbone = Backbone(network)
    except (ValueError, RuntimeError) as error:
        why = str(error) if isinstance(error, ValueError) else "it cannot be taken apart"
        raise WeightsError(f"{architecture} is no backbone for a memory: {why}.") from error
    try:
        given = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(f"{FILE} of {repo} is no safetensors file. Name another.") from error
    needed = backbone.layers.state_dict()
    for key, tensor in needed.items():
        if key.endswith("num_batches_tracked"):
            continue
        if key not in given or given[key].shape != tensor.shape:
            raise WeightsError(
                f"{FILE} of {repo} does not hold {architecture} in torchvision's naming "
                f"({key} is missing or of another shape). Name another."
            )
        needed[key] = given[key].to(tensor.dtype)
    backbone.layers.load_state_dict(needed)
    return backbone.eval().requires_grad_(False)
