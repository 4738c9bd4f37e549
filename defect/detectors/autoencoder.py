"""Photos → inspections by one trained autoencoder.

The network runs once a photo (twice if its brightness is unusual); thresholds are asked of the
result.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from defect.detectors import scoring
from defect.detectors.scoring import Calibration, Observation
from defect.detectors.stream import run_batched
from defect.imaging.photo import NETWORK_SIDE, Photo, Source, network_input
from defect.inspection import Inspection, Message, WeightsSource
from defect.networks.autoencoders import (
    AUTOENCODERS,
    Autoencoder,
    build_autoencoder,
    fold_batch_norm,
)
from defect.weights import files, resolution
from defect.weights.errors import WeightsError
from defect.weights.files import Metadata, Weights
from defect.weights.index import WEIGHTS_FOLDER


class AutoencoderDetector:
    """Inspects photos with one trained autoencoder and its calibration."""

    def __init__(
        self,
        network: Autoencoder,
        calibration: Calibration,
        metadata: Metadata,
        source: WeightsSource,
        *,
        folder: Path = WEIGHTS_FOLDER,
        path: Path | None = None,
        device: str | None = None,
    ) -> None:
        """
        Args:
            network: with its batch norms folded.
            folder: the weights folder the file lies in.
            path: the file itself where it lies in none.
        """
        self.device = torch.device(device or "cpu")
        self.network = network.eval().to(self.device)
        self.calibration = calibration
        self.metadata = metadata
        self.source = source
        self.folder = folder
        self.path = path

    @property
    def name(self) -> str:
        return self.metadata.model

    @property
    def category(self) -> str:
        return self.metadata.category

    @overload
    def __call__(self, photos: Source) -> Inspection: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Inspection]: ...
    def __call__(self, photos: Source | list[Any]) -> Inspection | list[Inspection]:
        """Inspects one photo, or a list of them in batched passes.

        Args:
            photos: a path, a file's bytes, PIL image, array or `Photo` (`imaging.photo.read_photo`
                says which); or a list of them.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        return run_batched(self._inspect, photos, self.metadata.bit_depth)

    def save(self, path: Path) -> None:
        """Writes the weights file; `load(path)` restores the detector.

        Raises:
            WeightsError: the weights are no longer where they were loaded from, or are others.
        """
        # Folding the batch norms cannot be undone, so the file itself is copied.
        if self.path is None:
            data = resolution.read_bytes(self.folder, self.metadata.model, self.metadata.category)
        else:
            data = self.path.read_bytes() if self.path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != self.source.sha256:
            raise WeightsError(
                Message(
                    "weights_replaced",
                    "The weights this detector was loaded from ({file}) were replaced or removed. "
                    "Load it again.",
                    file=self.source.file,
                )
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def to_module(self) -> nn.Module:
        """The detector as one function of tensors, for export."""
        return _AutoencoderModule(self)

    @torch.inference_mode()
    def _inspect(self, photos: Sequence[Photo]) -> list[Inspection]:
        pixels = scoring.to_tensor(np.stack([network_input(photo.pixels) for photo in photos]))
        observed = self._observe(pixels)
        gains = scoring.brightness_gains(self.calibration, pixels)
        normalised = self._with_usual_brightness(pixels, gains, observed)
        maps = scoring.anomaly_maps(self.calibration, normalised)
        scores = scoring.scores(maps).tolist()
        thesis_scores = scoring.thesis_scores(observed.error).tolist()
        reconstructions = (observed.reconstruction * 255).round_().byte().permute(0, 2, 3, 1)
        return [
            Inspection(
                photo=photo.shown,
                photo_size=photo.size,
                name=photo.name,
                notes=photo.notes + brightness_note(float(gains[i])),
                anomaly_map=maps[i].numpy(),
                error_map=observed.error[i].numpy(),
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

    def _observe(self, pixels: Tensor) -> Observation:
        observed = scoring.observe(self.network, pixels.to(self.device))
        return Observation(*(getattr(observed, field.name).cpu() for field in fields(Observation)))

    def _with_usual_brightness(
        self, pixels: Tensor, gains: Tensor, observed: Observation
    ) -> Observation:
        """The observation, with photos of unusual brightness observed again after correction."""
        other = (gains != 1).nonzero().flatten()
        if not len(other):
            return observed
        corrected = pixels[other] * gains[other].view(-1, 1, 1, 1)
        again = self._observe(corrected.clamp_(0, 1))
        return Observation(
            *(
                getattr(observed, field.name).index_copy(0, other, getattr(again, field.name))
                for field in fields(Observation)
            )
        )


class _AutoencoderModule(nn.Module):
    """`AutoencoderDetector` on pixels, without notes and reconstruction."""

    def __init__(self, detector: AutoencoderDetector) -> None:
        super().__init__()
        self.network = detector.network
        self.input_size = NETWORK_SIDE, NETWORK_SIDE
        calibration = detector.calibration
        self.calibration = replace(calibration, whitening=calibration.triangles())

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """N×256×256×3 uint8 → N scores and N×256×256 maps, in multiples of the normal limit."""
        pixels = photo.permute(0, 3, 1, 2).to(torch.float32) / 255
        # Runtimes sum in other orders; in double precision that does not show.
        gain = scoring.brightness_gains(self.calibration, pixels.double()).float()
        # A gain of 1 changes nothing, so one pass serves photos of every brightness.
        corrected = (pixels * gain.view(-1, 1, 1, 1)).clamp(0, 1)
        maps = scoring.anomaly_maps(self.calibration, scoring.observe(self.network, corrected))
        return scoring.scores(maps), maps


def brightness_note(gain: float) -> tuple[str, ...]:
    """What to say of a photo whose brightness was corrected by a factor; nothing for 1."""
    if gain == 1:
        return ()
    values = {"gain": f"{gain:.2f}"}
    if gain > 1:
        text = "Darker than the training photos: brightness normalised by × {gain}."
        return (Message("darker", text, **values),)
    text = "Brighter than the training photos: brightness normalised by × {gain}."
    return (Message("brighter", text, **values),)


def restore(
    content: Weights,
    folder: Path = WEIGHTS_FOLDER,
    *,
    device: str | None = None,
    wait: float | None = None,
) -> AutoencoderDetector:
    """The detector in a weights file's content.

    Args:
        wait: not used; an autoencoder needs nothing but its file.

    Raises:
        WeightsError: the network does not fit; the text says why.
        ValueError: the content does not fit.
    """
    model = next(name for name in AUTOENCODERS if name == content.metadata.model)
    network = build_autoencoder(model)
    try:
        files.load_into(network, content)
    except WeightsError as error:
        if content.source.source == "uploaded":
            raise ValueError("its network does not fit") from error
        raise
    calibration = scoring.restore_calibration(
        content.calibration, content.metadata.calibration, content.packed.get("whitening")
    )
    return AutoencoderDetector(
        fold_batch_norm(network.eval()),
        calibration,
        content.metadata,
        content.source,
        folder=folder,
        path=content.path,
        device=device,
    )
