"""Photos → inspections, for one model and category.

The network runs once a photo (twice if its light is unusual); thresholds are asked of the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from defect.detectors import scoring
from defect.detectors.scoring import Calibration, Look
from defect.detectors.stream import in_passes
from defect.imaging.photo import Prepared, Source
from defect.networks.autoencoders import (
    DETECTORS,
    MODELS,
    Autoencoder,
    ModelName,
    build_autoencoder,
    fold_batch_norm,
)
from defect.weights import files as weights
from defect.weights import resolution as sources
from defect.weights.files import (
    WEIGHTS_FOLDER,
    Metadata,
    NotAvailable,
    WeightsError,
    WeightsSource,
)

DEFAULT_LIMIT = 1.0


@dataclass(frozen=True, eq=False)
class Inspection:
    """Everything there is to say about one photo; every consumer only formats it."""

    photo: np.ndarray
    """H×W×3 uint8 RGB as shown: upright, at most 1024 pixels a side."""
    name: str
    notes: tuple[str, ...]
    """What was changed when the photo was read, as sentences."""
    anomaly_map: np.ndarray
    """256×256 float32, ≥ 0, in multiples of the normal limit."""
    error_map: np.ndarray | None
    """256×256 float32: the thesis's squared error E, averaged over channels. `None`, as are the
    reconstruction and the thesis score, of a memory: it rebuilds nothing."""
    reconstruction: np.ndarray | None
    """256×256×3 uint8."""
    score: float
    """The map's highest value: 1.0 is the normal limit, 1.3 is 30 % over it."""
    thesis_score: float | None
    """Mean of E."""
    thesis_limit: float | None
    """The bound 99 of 100 normal photos' thesis scores stay under."""
    model: str
    category: str
    weights: WeightsSource
    limit: float = DEFAULT_LIMIT
    """The threshold in use, in multiples of the normal limit."""

    @property
    def defective(self) -> bool:
        """Whether the score reaches the limit; exactly then the mask is not empty."""
        return self.score >= self.limit

    @property
    def mask(self) -> np.ndarray:
        """256×256 bool: where the map reaches the limit."""
        reached: np.ndarray = self.anomaly_map >= self.limit
        return reached

    def at(self, limit: float) -> Inspection:
        """The same look judged by another limit; no network runs.

        Raises:
            ValueError: the limit is not a number above 0.
        """
        check_limit(limit)
        return replace(self, limit=float(limit))


def check_limit(limit: object) -> None:
    """Raises `ValueError` unless the limit is a number above 0."""
    number = isinstance(limit, (int, float, np.number))
    if not (number and np.isfinite(limit) and limit > 0):  # type: ignore[operator, call-overload]
        raise ValueError(f"The threshold is {limit}; give a number above 0, such as 1.0.")


class Inspector:
    """Looks at photos with one trained autoencoder and its calibration."""

    def __init__(
        self,
        network: Autoencoder,
        calibration: Calibration,
        metadata: Metadata,
        source: WeightsSource,
    ) -> None:
        self.network = network.eval()
        self.calibration = calibration
        self.metadata = metadata
        self.source = source

    @overload
    def __call__(self, photos: Source | Prepared) -> Inspection: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Inspection]: ...
    def __call__(self, photos: Source | Prepared | list[Any]) -> Inspection | list[Inspection]:
        """Inspects one photo, or a list of them in batched passes.

        Args:
            photos: a path, a file's bytes, PIL image, array (`images.read_photo`) or `Prepared`;
                or a list of them.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        found: Inspection | list[Inspection] = in_passes(self._inspect, photos)
        return found

    @torch.inference_mode()
    def _inspect(self, photos: Sequence[Prepared]) -> list[Inspection]:
        pixels = scoring.to_tensor(np.stack([photo.seen for photo in photos]))
        seen = scoring.look(self.network, pixels)
        gains = scoring.gains(self.calibration, pixels)
        maps = scoring.anomaly_maps(self.calibration, self._in_usual_light(pixels, gains, seen))
        scores = scoring.scores(maps).tolist()
        thesis_scores = scoring.thesis_scores(seen.error).tolist()
        reconstructions = (seen.reconstruction * 255).round_().byte().permute(0, 2, 3, 1)
        return [
            Inspection(
                photo=photo.shown,
                name=photo.name,
                notes=photo.notes + light_note(float(gains[i])),
                anomaly_map=maps[i].numpy(),
                error_map=seen.error[i].numpy(),
                reconstruction=np.ascontiguousarray(reconstructions[i].numpy()),
                score=scores[i],
                thesis_score=thesis_scores[i],
                thesis_limit=self.calibration.thesis_limit,
                model=self.metadata.model,
                category=self.metadata.category,
                weights=self.source,
            )
            for i, photo in enumerate(photos)
        ]

    def _in_usual_light(self, pixels: Tensor, gains: Tensor, seen: Look) -> Look:
        """The look, with the photos of another light looked at again in the usual one."""
        other = (gains != 1).nonzero().flatten()
        if not len(other):
            return seen
        relit = pixels[other] * gains[other].view(-1, 1, 1, 1)
        again = scoring.look(self.network, relit.clamp_(0, 1))
        return Look(
            *(
                getattr(seen, field.name).index_copy(0, other, getattr(again, field.name))
                for field in fields(Look)
            )
        )


def light_note(gain: float) -> tuple[str, ...]:
    """What to say of a photo whose light was corrected by a factor."""
    if gain == 1:
        return ()
    found = "darker" if gain > 1 else "lighter"
    return (f"{found} than the training photos: judged with its light × {gain:.2f}",)


def load_inspector(model: str, category: str, folder: Path = WEIGHTS_FOLDER) -> Inspector:
    """The inspector of one model and category.

    Raises:
        NotAvailable: there is no such model, or no weights for the category here.
        WeightsError: the weights file must not be used; the text says why.
    """
    name = _model_name(model)
    content = sources.read(folder, name, category)
    network = build_autoencoder(name)
    weights.load_into(network, content)
    try:
        calibration = scoring.restore_calibration(
            content.calibration, content.metadata.calibration, content.packed.get("whitening")
        )
    except ValueError as error:
        raise WeightsError(
            f"weights/{content.source.file} cannot be used: {error}. Train or fetch it again."
        ) from error
    network = fold_batch_norm(network.eval())
    return Inspector(network, calibration, content.metadata, content.source)


def _model_name(model: str) -> ModelName:
    for name in MODELS:
        if name == model:
            return name
    raise NotAvailable(f'There is no model "{model}". Choose one of {", ".join(DETECTORS)}.')
