"""Photos → the name of a steel-surface defect, for each of NEU's six classes a probability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch

from defect.detectors.out_of_distribution import (
    OutOfDistribution,
    distances,
    restore_out_of_distribution,
    see,
)
from defect.detectors.scoring import to_tensor
from defect.detectors.stream import run_batched
from defect.imaging.photo import Photo, Source, network_input
from defect.inspection import Message, WeightsSource
from defect.networks.steel_cnn import SteelCNN
from defect.weights import files, resolution
from defect.weights.errors import WeightsError, unusable
from defect.weights.files import Metadata
from defect.weights.index import WEIGHTS_FOLDER


@dataclass(frozen=True, eq=False)
class Classification:
    """What the classifier says of one photo."""

    photo: np.ndarray
    """H×W×3 uint8 RGB as shown, at most 1024 pixels a side."""
    name: str
    notes: tuple[str, ...]
    probabilities: dict[str, float]
    """Class → 0..1, summing to 1, in the order of the classes."""
    cam: np.ndarray
    """16×16 float32 in 0..1: the evidence for the class named (Grad-CAM)."""
    weights: WeightsSource
    ood_score: float | None = None
    """How unlike every class the photo is: 1.0 is the limit that 999 of 1,000 photos of the six
    stay under. None where the weights hold no measure of it."""

    @property
    def known(self) -> bool:
        """Whether the photo resembles one of the classes at all; if not, the label means little."""
        return self.ood_score is None or self.ood_score <= 1

    @property
    def label(self) -> str:
        """The most probable class."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The label's probability."""
        return self.probabilities[self.label]

    @property
    def second(self) -> str:
        """The second most probable class."""
        return sorted(self.probabilities, key=self.probabilities.__getitem__)[-2]

    @property
    def margin(self) -> float:
        """The label's probability less the second's, 0..1."""
        return self.confidence - self.probabilities[self.second]


class SteelClassifier:
    """Names one of the six NEU classes, and says where a photo is like none of them."""

    def __init__(
        self,
        network: SteelCNN,
        classes: Sequence[str],
        ood: OutOfDistribution | None,
        metadata: Metadata,
        source: WeightsSource,
        *,
        device: str | None = None,
    ) -> None:
        self.device = torch.device(device or "cpu")
        self.network = network.eval().to(self.device)
        self.ood = ood
        self.classes = tuple(classes)
        self.metadata = metadata
        self.source = source

    @overload
    def __call__(self, photos: Source) -> Classification: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Classification]: ...
    def __call__(self, photos: Source | list[Any]) -> Classification | list[Classification]:
        """Classifies one photo, or a list of them in batched passes.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        return run_batched(self._classify, photos)

    @torch.inference_mode()
    def _classify(self, photos: Sequence[Photo]) -> list[Classification]:
        pixels = to_tensor(np.stack([network_input(photo.pixels) for photo in photos]))
        features, activations = see(self.network, pixels.to(self.device))
        probabilities = self.network.classify(features).softmax(1)
        # Behind an average pool and one linear layer the gradient Grad-CAM averages (Selvaraju et
        # al., ICCV 2017) is that layer's own row, so no backward pass is needed.
        rows = self.network.head.weight[probabilities.argmax(1)]
        cams = torch.einsum("nc,nchw->nhw", rows, features).clamp_min(0)
        cams = (cams / cams.amax((1, 2), keepdim=True).clamp_min(1e-6)).cpu()
        unlike = distances(self.ood, activations.cpu()).tolist() if self.ood else None
        return [
            Classification(
                photo=photo.shown,
                name=photo.name,
                notes=photo.notes,
                probabilities=dict(zip(self.classes, probabilities[i].tolist(), strict=True)),
                cam=cams[i].numpy(),
                weights=self.source,
                ood_score=unlike[i] if unlike else None,
            )
            for i, photo in enumerate(photos)
        ]


def load_steel_classifier(
    folder: Path = WEIGHTS_FOLDER, *, device: str | None = None
) -> SteelClassifier:
    """The steel classifier.

    Args:
        device: where the network runs, such as `cuda`; the CPU by default.

    Raises:
        WeightsError: its weights are absent or must not be used.
    """
    content = resolution.read(folder, "cnn", "neu")
    classes = content.metadata.calibration.get("classes", [])
    if len(classes) != 6:
        raise WeightsError(
            Message(
                "classes_missing",
                "weights/{file} does not name its six classes. Fetch it again.",
                file=content.source.file,
            )
        )
    try:
        ood = restore_out_of_distribution(content.calibration, content.metadata.calibration)
    except ValueError as error:
        raise unusable(content.source.file, error) from error
    network = SteelCNN()
    files.load_into(network, content)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stub lacks it
    return SteelClassifier(network, classes, ood, content.metadata, content.source, device=device)
