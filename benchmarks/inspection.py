"""What an inspection costs, as multiples of one CAE forward pass measured in the same run.

Run it: python -m benchmarks.inspection
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from defect import load
from defect.datasets.synthetic import render
from defect.inspector import Inspection
from defect.networks import build_autoencoder
from defect.overlay import draw_overlay

ROUNDS = 60


def encoded(side: int, kind: str) -> bytes:
    """A rendered cap at side×side pixels with fresh sensor noise, as a PNG or JPEG file."""
    photo = Image.fromarray(render("rendered_cap", 1, "chip").image)
    pixels = np.asarray(photo.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels += np.random.default_rng(0).normal(0, 2, pixels.shape)
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def medians(tasks: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Median milliseconds of each task, run in turn so that noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_ in range(ROUNDS + 5):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if round_ >= 5:
                times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    inspect = load("cae", "rendered_cap")
    network = build_autoencoder("cae").eval()
    pixels = torch.rand(1, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    large, small = encoded(900, "PNG"), encoded(200, "JPEG")
    held = inspect(large)

    @torch.inference_mode()
    def forward() -> object:
        return network(pixels)

    def overlay(result: Inspection) -> object:
        return draw_overlay(result.photo, result.anomaly_map, result.limit)

    measured = medians(
        {
            "CAE forward, batch 1, float32, channels_last": forward,
            "900² PNG, decode to overlay": lambda: overlay(inspect(large)),
            "200² JPEG, decode to overlay": lambda: overlay(inspect(small)),
            "new threshold on a 900² photo": lambda: overlay(held.at(1.3)),
            "decoding the 900² PNG alone": lambda: Image.open(io.BytesIO(large)).load(),
        }
    )
    unit = next(iter(measured.values()))
    print(f"{'':46}{'ms':>8}{'forwards':>10}   torch threads: {torch.get_num_threads()}")
    for name, value in measured.items():
        print(f"{name:46}{value:8.1f}{value / unit:10.2f}")


if __name__ == "__main__":
    main()
