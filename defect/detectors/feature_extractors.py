"""What a memory of normal looks through: the bundled extractor, or a backbone from the Hub.

A backbone is off unless `DEFECT_BACKBONE` names a repository of a timm model on the Hub:
`OWNER/NAME[@COMMIT]`, such as `timm/vit_small_patch14_dinov2.lvd142m`. Its `config.json` says which
network it is and how photos are normalised, its `model.safetensors` holds the weights in timm's
naming. Both are fetched and checked here: timm only builds the network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from defect.inspection import Message
from defect.networks.backbone import Backbone, UnfitNetworkError, has_network
from defect.networks.extractor import Extractor, folded_extractor
from defect.weights import files, hub
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.index import WEIGHTS_FOLDER, read_index

EXTRACTOR = ("extractor", "shared")
FeatureExtractor = Extractor | Backbone
VARIABLE = "DEFECT_BACKBONE"
CONFIG = "config.json"
FILE = "model.safetensors"
MAX_CONFIG_BYTES = 1024**2
MAX_PARAMETERS = 75_000_000
"""Their file has 300 MB, the most that is fetched."""
MAX_SIDE = 1_024
_FORM = re.compile(r"([\w-][\w.-]*/[\w.-]+?)(?:@([0-9a-f]{40}))?", re.ASCII)
_HARMLESS_OPTIONS = {"num_classes", "global_pool", "img_size", "dynamic_img_size"}
"""Of a network's own options, those that change nothing below its head."""


@dataclass(frozen=True)
class BackboneConfig:
    """What a backbone's `config.json` says, checked."""

    architecture: str
    """Name of a network in timm."""
    mean: tuple[float, ...]
    """Of each channel, in 0..1."""
    std: tuple[float, ...]
    side: tuple[int, int]
    """Height and width it was trained at."""


def load_extractor(folder: Path = WEIGHTS_FOLDER) -> tuple[Extractor, str]:
    """The extractor every memory of the folder looks through, and its SHA-256; kept once loaded.

    Raises:
        NotAvailable: the folder has none.
        WeightsError: the file must not be used.
    """
    relative = files.relative_path(*EXTRACTOR)
    entry = next((e for e in read_index(folder) if e.file == relative), None)
    return _extractor(folder, entry.sha256 if entry else "")


@lru_cache(maxsize=2)
def _extractor(folder: Path, sha256: str) -> tuple[Extractor, str]:
    if not sha256:
        raise NotAvailable(
            Message(
                "no_extractor",
                "There is no feature extractor here, and without one nothing can be taught. "
                "Restore weights/extractor/, or make it: `python -m defect train extractor`.",
            )
        )
    content = files.read(folder, *EXTRACTOR)
    extractor = folded_extractor()
    files.load_into(extractor, content)
    return extractor.eval(), content.source.sha256


def teaching_extractor(
    folder: Path = WEIGHTS_FOLDER, wait: float | None = None
) -> tuple[FeatureExtractor, str, str]:
    """What a new product is taught through, its SHA-256, and its name where it is a backbone.

    Args:
        wait: seconds until an error says how far a backbone's download is; None: until it is done.

    Raises:
        NotAvailable: the folder has no extractor, or the backbone is not here (yet).
        WeightsError: it must not be used.
    """
    backbone = chosen_backbone()
    if not backbone:
        return *load_extractor(folder), ""
    return *load_backbone(backbone, wait), backbone


def extractor_for(sha256: str, folder: Path, wait: float | None) -> FeatureExtractor | None:
    """What a memory was taught through, if it is the folder's extractor or the backbone chosen.

    Raises:
        WeightsError: the one asked for cannot be had, or must not be used.
    """
    backbone = chosen_backbone()
    if not backbone:
        extractor, own = load_extractor(folder)
        return extractor if sha256 == own else None
    with suppress(NotAvailable):
        extractor, own = load_extractor(folder)
        if sha256 == own:
            return extractor
    other, found = load_backbone(backbone, wait)
    return other if sha256 == found else None


_LOADED: dict[str, tuple[Backbone, str]] = {}
_LOCK = threading.Lock()


def chosen_backbone() -> str:
    """What `DEFECT_BACKBONE` names; empty by default."""
    return os.environ.get(VARIABLE, "").strip()


def load_backbone(name: str, wait: float | None = None) -> tuple[Backbone, str]:
    """The network a name stands for, and a SHA-256 of its weights and config; the last is kept.

    Args:
        name: `OWNER/NAME[@COMMIT]`; without a commit, the newest one.
        wait: seconds until an error says how far its download is; None: until it is done.

    Raises:
        NotAvailable: timm is not installed, or a file cannot be had (yet); the text says why.
        WeightsError: the name is none, or a file does not fit.
    """
    if kept := _LOADED.get(name):
        return kept
    form = _FORM.fullmatch(name)
    if form is None:
        raise WeightsError(
            Message(
                "backbone_name",
                '"{name}" names no backbone. Set {variable} to OWNER/NAME[@COMMIT], such as '
                "timm/vit_small_patch14_dinov2.lvd142m, or unset it.",
                name=name,
                variable=VARIABLE,
            )
        )
    if importlib.util.find_spec("timm") is None:
        raise NotAvailable(
            Message(
                "backbone_needs_timm",
                'A backbone needs timm. Install it with `pip install ".[backbones]"`, or unset '
                "{variable}.",
                variable=VARIABLE,
            )
        )
    repo = form[1]
    try:
        pin, weights = hub.find(repo, FILE, form[2] or "main", VARIABLE)
        _, about = hub.find(repo, CONFIG, pin.revision, VARIABLE)
        if about.size > MAX_CONFIG_BYTES:
            raise _not_timm(repo, Message("backbone_config_large", "it is too large"))
        config = read_config(hub.fetch(pin, about, wait), repo)
        check_architecture(config, repo)
        data = hub.fetch(pin, weights, wait)
    except hub.HubError as error:
        raise NotAvailable(error.args[0]) from error
    with _LOCK:
        if name not in _LOADED:
            made = _build(config, data, repo), _fingerprint(config, data)
            _LOADED.clear()
            _LOADED[name] = made
        return _LOADED[name]


def read_config(data: bytes, repo: str) -> BackboneConfig:
    """What is needed of a timm model's `config.json`, which may come from anywhere.

    Raises:
        WeightsError: something is missing or senseless.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _not_timm(repo, Message("backbone_config_json", "it is not JSON")) from error
    document = document if isinstance(document, dict) else {}
    architecture, about = document.get("architecture"), document.get("pretrained_cfg")
    options = document.get("model_args") or {}
    if not isinstance(architecture, str) or not re.fullmatch("[a-z0-9_]{1,80}", architecture):
        raise _unusable_field(repo, "architecture")
    if not isinstance(about, dict):
        raise _unusable_field(repo, "pretrained_cfg")
    # With other options the same weights would be another network.
    if not isinstance(options, dict) or not options.keys() <= _HARMLESS_OPTIONS:
        raise _unusable_field(repo, "model_args")
    mean: Any = about.get("mean")
    std: Any = about.get("std")
    size: Any = about.get("input_size")
    if not _are_numbers(mean, 0.0, 1.0):
        raise _unusable_field(repo, "mean")
    if not _are_numbers(std, 0.001, 1.0):
        raise _unusable_field(repo, "std")
    if not _are_numbers(size, 3, MAX_SIDE) or size[0] != 3 or any(x != int(x) for x in size):
        raise _unusable_field(repo, "input_size")
    return BackboneConfig(
        architecture,
        tuple(float(x) for x in mean),
        tuple(float(x) for x in std),
        (int(size[1]), int(size[2])),
    )


def _are_numbers(values: Any, least: float, most: float) -> bool:
    """Three of them, in that range."""
    if not isinstance(values, list) or len(values) != 3:
        return False
    return all(type(x) in (int, float) and least <= x <= most for x in values)


def _unusable_field(repo: str, field: str) -> WeightsError:
    return _not_timm(
        repo, Message("backbone_config_field", "its {field} cannot be used", field=field)
    )


def _not_timm(repo: str, problem: Message) -> WeightsError:
    return WeightsError(
        Message(
            "backbone_config",
            "{file} of {repo} is not that of a timm model: {problem}. Name another repository.",
            file=CONFIG,
            repo=repo,
            problem=problem,
        )
    )


def check_architecture(config: BackboneConfig, repo: str) -> None:
    """Whether the network can be used, found out without its weights and without memory.

    Raises:
        WeightsError: timm does not know it, it is too large, or it does not give maps.
    """
    if not has_network(config.architecture):
        raise WeightsError(
            Message(
                "backbone_unknown",
                'timm has no network "{architecture}", which {repo} is. Update timm, or name '
                "another repository.",
                architecture=config.architecture,
                repo=repo,
            )
        )
    with torch.device("meta"):
        size = sum(weights.numel() for weights in _network(config).parameters())
    if size > MAX_PARAMETERS:
        raise WeightsError(
            Message(
                "backbone_too_large",
                "{architecture} has {millions} million parameters; at most {most} million are "
                "accepted. Name a smaller network.",
                architecture=config.architecture,
                millions=f"{size / 1e6:.0f}",
                most=f"{MAX_PARAMETERS / 1e6:.0f}",
            )
        )


def _network(config: BackboneConfig) -> Backbone:
    """Not yet loaded; raises WeightsError."""
    try:
        return Backbone(config.architecture, config.mean, config.std, config.side)
    except UnfitNetworkError as error:
        raise WeightsError(
            Message(
                "backbone_unfit",
                "{architecture} cannot be a backbone: {reason}. Name another network.",
                architecture=config.architecture,
                reason=error.args[0],
            )
        ) from error


def _build(config: BackboneConfig, data: bytes, repo: str) -> Backbone:
    """Raises WeightsError."""
    backbone = _network(config)
    try:
        found = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(
            Message(
                "backbone_not_safetensors",
                "{file} of {repo} is no safetensors file. Name another repository.",
                file=FILE,
                repo=repo,
            )
        ) from error
    # Cutting off what is not needed, timm nests the layers anew: `layer1.0` may become `layer1_0`.
    by_name = {name.replace(".", "_"): tensor for name, tensor in found.items()}
    needed = backbone.network.state_dict()
    for name, tensor in needed.items():
        # Some save a step counter that inference never reads, some do not.
        if name.endswith("num_batches_tracked"):
            continue
        own = name.removeprefix("model.")
        weights = by_name.get(own.replace(".", "_"))
        if weights is None or not _fits(weights, tensor) or len(by_name) != len(found):
            raise WeightsError(
                Message(
                    "backbone_tensors",
                    "{file} of {repo} does not fit {architecture}: {tensor} is missing, of another "
                    "shape or not finite. Name another repository.",
                    file=FILE,
                    repo=repo,
                    architecture=config.architecture,
                    tensor=own,
                )
            )
        needed[name] = weights.to(tensor.dtype)
    backbone.network.load_state_dict(needed)
    return backbone.eval().requires_grad_(False)


def _fits(weights: Tensor, wanted: Tensor) -> bool:
    if weights.shape != wanted.shape:
        return False
    return bool(weights.to(wanted.dtype).isfinite().all())


def _fingerprint(config: BackboneConfig, data: bytes) -> str:
    """What a memory remembers of its backbone: the same weights in another network, or after
    another normalisation, do not fit it."""
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()
