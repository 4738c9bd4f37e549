"""The teacher that the shared encoder and the extractor are distilled from: ImageNet's SqueezeNet.

SqueezeNet 1.1 (Iandola et al. 2016) is used in training only; no part of it is stored or run later.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from defect.datasets import mvtec, neu
from defect.datasets.samples import DataError, load_images
from defect.detectors.scoring import to_tensor
from defect.inspection import Message
from defect.networks.autoencoders import Normalised
from defect.training.loop import split

STAGES = (4, 7, 10)
"""SqueezeNet's fire3 (128 channels), fire5 (256) and fire7 (384)."""
_BATCH = 16

Resize = Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]
"""The three stages (N×128×31×31, N×256×15×15, N×384×7×7) → targets at the student's two grids."""


def load_teacher(path: Path) -> nn.Sequential:
    """SqueezeNet 1.1's layers with the weights of a safetensors file in torchvision's naming.

    Raises:
        DataError: the file is absent, not safetensors, or of another network.
    """
    from torchvision.models import squeezenet1_1

    try:
        tensors = safetensors.torch.load_file(path)
        network = squeezenet1_1()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(
            Message(
                "not_a_teacher",
                '"{name}" does not hold the weights of SqueezeNet 1.1 as safetensors in '
                "torchvision's naming. Check --teacher.",
                name=path.name,
            )
        ) from error
    layers: nn.Sequential = network.features[: STAGES[-1] + 1]
    return layers.eval()


class Teacher(Normalised):
    """What the teacher computes, each channel scaled to zero mean and unit standard deviation.

    Args:
        layers: what `load_teacher` returns.
        images: N×256×256×3 uint8, to measure the channels' statistics on.
        resize: the stages to the student's grids.
        augment: applied to the photos first, as in training.
        batches: of 16 random photos the statistics are taken from.
        device: where it runs.
    """

    def __init__(
        self,
        layers: nn.Sequential,
        images: np.ndarray,
        resize: Resize,
        augment: Callable[[Tensor, torch.Generator], Tensor],
        *,
        batches: int,
        seed: int,
        device: torch.device,
    ) -> None:
        super().__init__()
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.resize = resize
        self.to(device).requires_grad_(False)
        generator = torch.Generator().manual_seed(seed)
        targets = []
        for _ in range(batches):
            chosen = torch.randint(len(images), (_BATCH,), generator=generator).numpy()
            pixels = augment(to_tensor(images[chosen]), generator)
            targets.append(self._targets(pixels.to(device)))
        grids = [torch.cat(batch) for batch in zip(*targets, strict=True)]
        self.means = [grid.mean((0, 2, 3), keepdim=True) for grid in grids]
        self.deviations = [grid.std((0, 2, 3), keepdim=True).clamp_min(1e-3) for grid in grids]

    @torch.no_grad()
    def _targets(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x, stages = self.normalise(pixels), []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in STAGES:
                stages.append(x.float())
        return self.resize(*stages)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> list[Tensor]:
        """N×3×256×256 in 0..1 → the standardised targets at the student's two grids."""
        scales = zip(self._targets(pixels), self.means, self.deviations, strict=True)
        return [(target - mean) / deviation for target, mean, deviation in scales]


def load_photos(data: Path, seed: int, neu_step: int) -> tuple[np.ndarray, list[str]]:
    """Defect-free photos of many products: N×256×256×3 uint8, and the names of their sources.

    Only photos that later trainings fit on, so that every held-out photo stays unseen.

    Args:
        data: categories in MVTec AD layout. NEU is taken from `neu` beside it, where it exists.
        neu_step: every how many-th NEU training photo is used, as texture.

    Raises:
        DataError: there is no category.
    """
    names = [name for name in mvtec.CATEGORIES if (data / name / "train/good").is_dir()]
    if not names:
        raise DataError(
            Message(
                "no_mvtec_category",
                "This training needs MVTec AD categories; --data holds none.",
            )
        )
    images = [split(load_images(mvtec.train_samples(data, name)), seed)[0] for name in names]
    steel = data.parent / "neu"
    if steel.is_dir():
        images.append(load_images(neu.split(neu.samples(steel), seed)[0][::neu_step]))
        names.append("NEU steel")
    return np.concatenate(images), names


def dataset_of(names: list[str]) -> str:
    """The data sets of `load_photos`, as a header states them."""
    return "MVTec AD, NEU surface defects" if "NEU steel" in names else "MVTec AD"
