"""One model and category as a single ONNX file: photo in, score and anomaly map out.

Preprocessing, the correction of the photo's light, calibration and score are inside (of a memory:
the extractor and the memory), so that a device needs nothing but a runtime. `onnx` is a development
dependency.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from defect.detectors import memory as normal
from defect.detectors import scoring
from defect.detectors.autoencoder import AutoencoderDetector
from defect.detectors.memory_detector import MemoryDetector

OPSET = 18
INPUT, SCORE, MAP = "photo", "score", "anomaly_map"


class ExportError(ValueError):
    """The export cannot be made; the text says what to do."""


class _Autoencoder(nn.Module):
    """What `AutoencoderDetector` does with one photo's pixels, as one function of tensors."""

    def __init__(self, inspector: AutoencoderDetector) -> None:
        super().__init__()
        self.network = inspector.network
        calibration = inspector.calibration
        self.calibration = replace(calibration, whitening=calibration.triangles())

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """1×256×256×3 uint8 → score of shape 1, map 1×256×256, both in normal limits."""
        pixels = photo.permute(0, 3, 1, 2).to(torch.float32) / 255
        # Runtimes sum in other orders; in double precision that does not show.
        gain = scoring.gains(self.calibration, pixels.double()).float()
        # A gain of 1 changes nothing, so one pass serves photos of every light.
        seen = scoring.look(self.network, (pixels * gain.view(-1, 1, 1, 1)).clamp(0, 1))
        maps = scoring.anomaly_maps(self.calibration, seen)
        return scoring.scores(maps), maps


class _Memory(nn.Module):
    """What `MemoryDetector` does with one photo's pixels."""

    def __init__(self, inspector: MemoryDetector) -> None:
        super().__init__()
        self.extractor = inspector.extractor
        self.memory = inspector.memory

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """As `_Autoencoder.forward`."""
        pixels = photo.permute(0, 3, 1, 2).to(torch.float32) / 255
        relit, _ = normal.normalise_brightness(pixels.double(), self.memory.light)
        features = normal.describe(self.extractor, relit.float())
        maps = normal.anomaly_maps(self.memory, features)
        return scoring.scores(maps), maps


def export(inspector: AutoencoderDetector | MemoryDetector, path: Path) -> int:
    """Writes the ONNX file; returns its size in bytes.

    Input `photo`: 1×256×256×3 uint8 RGB. Outputs, in multiples of the normal limit: `score`, one
    float32 (1.0 and above: defective), and `anomaly_map`, 1×256×256 float32.

    Raises:
        ExportError: `onnx` or `onnxscript` is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise ExportError(
            "To export, install onnx and onnxscript: pip install -r requirements-dev.txt"
        ) from error
    exported: nn.Module = (
        _Memory(inspector) if isinstance(inspector, MemoryDetector) else _Autoencoder(inspector)
    )
    photo = torch.zeros(1, 256, 256, 3, dtype=torch.uint8)
    exported.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter warns of itself, and of the one batch size that is meant.
        warnings.simplefilter("ignore")
        exported(photo)  # fills scoring's caches, which then are constants to the tracer
        torch.onnx.export(
            exported,
            (photo,),
            str(path),
            input_names=[INPUT],
            output_names=[SCORE, MAP],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    model = onnx.load(str(path))
    metadata, source = inspector.metadata, inspector.source
    about = {
        "model": metadata.model,
        "category": metadata.category,
        "dataset": metadata.dataset,
        "licence": metadata.licence,
        "weights_sha256": source.sha256,
        "score": "multiple of the normal limit; 1.0 and above is defective",
    }
    for key, value in about.items():
        model.metadata_props.add(key=key, value=value)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path.stat().st_size
