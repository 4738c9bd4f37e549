"""What a memory of normal looks through: the bundled extractor, or a backbone from the Hub.

A backbone is off unless `DEFECT_BACKBONE` names a repository on the Hub:
`[ARCHITECTURE=]OWNER/NAME[@COMMIT]`, such as `timm/resnet18.tv_in1k`, whose `model.safetensors`
holds weights in torchvision's naming. Without an architecture, the first letters, digits and
underscores of NAME are taken for it.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import safetensors
import safetensors.torch

from defect.inspection import Message
from defect.networks.backbone import Backbone
from defect.networks.extractor import Extractor, folded_extractor
from defect.weights import files, hub
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.index import WEIGHTS_FOLDER, read_index

EXTRACTOR = ("extractor", "shared")
FeatureExtractor = Extractor | Backbone
VARIABLE = "DEFECT_BACKBONE"
FILE = "model.safetensors"
MAX_PARAMETERS = 75_000_000
"""Their file has 300 MB, the most that is fetched."""
_FORM = re.compile(r"(?:(\w+)=)?([\w-][\w.-]*/(\w+)[\w.-]*?)(?:@([0-9a-f]{40}))?", re.ASCII)
_OTHER_PREPROCESSING = ("googlenet", "inception_v3")


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
            Message(
                "names_backbone_set_architecture",
                '"{name}" names no backbone. Set {variable} to '
                "[ARCHITECTURE=]OWNER/NAME[@COMMIT], such as timm/resnet18.tv_in1k, or "
                "unset it.",
                name=name,
                variable=VARIABLE,
            )
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
            Message(
                "torchvision_has_network_write",
                'torchvision has no network "{architecture}". Write {variable} as '
                "ARCHITECTURE=OWNER/NAME, such as resnet18=timm/resnet18.tv_in1k.",
                architecture=architecture,
                variable=VARIABLE,
            )
        )
    if architecture in _OTHER_PREPROCESSING:
        raise WeightsError(
            Message(
                "expects_photos_prepared_another",
                "{architecture} expects photos prepared in another way. Name another network.",
                architecture=architecture,
            )
        )
    size = models.get_model_weights(architecture).DEFAULT.meta["num_params"]
    if size > MAX_PARAMETERS:
        raise WeightsError(
            Message(
                "has_million_parameters_most",
                "{architecture} has {value} million parameters; at most {value2} "
                "million are taken. Name a smaller network.",
                architecture=architecture,
                value=f"{size / 1e6:.0f}",
                value2=f"{MAX_PARAMETERS / 1e6:.0f}",
            )
        )


def _build(architecture: str, data: bytes, repo: str) -> Backbone:
    """Raises WeightsError."""
    from torchvision import models

    try:
        backbone = Backbone(models.get_model(architecture, weights=None))
    except ValueError as error:
        raise WeightsError(
            Message(
                "backbone_memory",
                "{architecture} is no backbone for a memory: {error}.",
                architecture=architecture,
                error=str(error),
            )
        ) from error
    try:
        given = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(
            Message(
                "safetensors_file_name_another",
                "{file} of {repo} is no safetensors file. Name another.",
                file=FILE,
                repo=repo,
            )
        ) from error
    for name, step in zip(backbone.names, backbone.steps, strict=True):
        needed = step.state_dict()
        for key, tensor in needed.items():
            # Some save a step counter that inference never reads, some do not.
            if key.endswith("num_batches_tracked"):
                continue
            full = f"{name}.{key}"
            if full not in given or given[full].shape != tensor.shape:
                raise WeightsError(
                    Message(
                        "does_not_hold_torchvision",
                        "{file} of {repo} does not hold {architecture} in torchvision's naming "
                        "({full} is missing or of another shape). Name another.",
                        file=FILE,
                        repo=repo,
                        architecture=architecture,
                        full=full,
                    )
                )
            needed[key] = given[full].to(tensor.dtype)
        step.load_state_dict(needed)
    return backbone.eval().requires_grad_(False)
