"""What one photo costs by ONNX Runtime and by torch, on one core: `python -m benchmarks.edge`.

The two are timed in turns, so that what else runs on the machine meets both.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime
import torch
from PIL import Image

from defect import load
from defect.detectors.catalogue import EXAMPLES_FOLDER
from defect.detectors.detector import Detector
from defect.weights.onnx_export import export

ROUNDS = 40
_PAIRS = (
    ("cae", "rendered_cap"),
    ("dae", "rendered_cap"),
    ("vae", "bottle"),
    ("memory", "rendered_cap"),
    ("memory", "screw"),
)


def main() -> None:
    """Prints a table: file size, milliseconds by both, and the largest difference of scores."""
    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    paths = sorted((EXAMPLES_FOLDER / "rendered_cap").glob("*.jpg"))
    photos = [np.asarray(Image.open(path).convert("RGB").resize((256, 256))) for path in paths]
    print("| model | ONNX file | ONNX Runtime | torch | ratio | largest difference of scores |")
    print("|---|---|---|---|---|---|")
    for model, category in _PAIRS:
        inspect = load(model, category)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            size = export(inspect.to_module(), inspect.metadata, inspect.source, path)
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        apart = max(
            abs(float(session.run(None, {"photo": photo[None]})[0][0]) - inspect(photo).score)
            for photo in photos
        )
        # A photo of usual brightness, so that torch runs the network once, too.
        grey = np.full((256, 256, 3), round(255 * _usual_brightness(inspect)), np.uint8)
        ours, theirs = _in_turns(
            lambda: session.run(None, {"photo": grey[None]}),  # noqa: B023
            lambda: inspect(grey),  # noqa: B023
        )
        print(
            f"| {model.upper()} {category} | {size / 1e6:.1f} MB | {ours:.1f} ms | {theirs:.1f} ms "
            f"| {theirs / ours:.2f} | {apart:.0e} |"
        )


def _usual_brightness(detector: Detector) -> float:
    """The mean grey of its normal photos, 0..1."""
    calibration = detector.metadata.calibration
    return float(calibration.get("light") or calibration["brightness"][1])


def _in_turns(*functions: Callable[[], object]) -> list[float]:
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(ROUNDS):
        for i, function in enumerate(functions):
            start = time.perf_counter()
            function()
            times[i].append(1000 * (time.perf_counter() - start))
    return [median(found) for found in times]


if __name__ == "__main__":
    main()
