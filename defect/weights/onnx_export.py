"""A detector as a single ONNX file: photo in, score and anomaly map out.

Preprocessing, brightness normalisation, calibration and score are inside, so that a device needs
nothing but a runtime. `onnx` and `onnxscript` are optional (the extra `onnx`).
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch

from defect.inspection import Message, WeightsSource
from defect.weights.files import Metadata

OPSET = 18
INPUT, SCORE, MAP = "photo", "score", "anomaly_map"


class ExportError(ValueError):
    """The export cannot be made; the text says what to do."""


def export(module: Any, metadata: Metadata, source: WeightsSource, path: Path) -> int:
    """Writes the ONNX file; returns its size in bytes.

    Input `photo`: 1×h×w×3 uint8 RGB of the size the module expects (`input_size`). Outputs, in
    multiples of the normal limit: `score`, one float32 (1.0 and above: defective), and
    `anomaly_map`, 1×H×W float32.

    Args:
        module: what `Detector.to_module` returns.

    Raises:
        ExportError: `onnx` or `onnxscript` is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # torch's exporter needs it
    except ImportError as error:
        raise ExportError(
            Message(
                "onnx_missing",
                "To export, install onnx and onnxscript: pip install -r requirements-dev.txt",
            )
        ) from error
    height, width = module.input_size
    photo = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    module.eval()
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.inference_mode():
        # The exporter warns about itself, and about the fixed batch size that is meant.
        warnings.simplefilter("ignore")
        module(photo)  # fills the caches of interpolation matrices, constants to the tracer
        torch.onnx.export(
            module,
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
