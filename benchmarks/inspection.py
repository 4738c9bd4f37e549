"""What one inspection costs, as multiples of one CAE forward pass, and that against its floor."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.table import Line
from defect import load
from defect.datasets.rendered import render
from defect.detectors.stream import inspect_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.overlay import draw_overlay
from defect.inspection import Inspection
from defect.networks.autoencoders import build_autoencoder, fold_batch_norm

ROUNDS = 60


def encoded(side: int, kind: str, seed: int = 0) -> bytes:
    """A rendered cap at side×side pixels with fresh sensor noise, as a PNG or JPEG file."""
    photo = Image.fromarray(render("rendered_cap", 1, "chip").image)
    pixels = np.asarray(photo.resize((side, side), Image.Resampling.BICUBIC), np.float32)
    pixels += np.random.default_rng(seed).normal(0, 2, pixels.shape)
    stream = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def medians(
    tasks: dict[str, Callable[[], object]], rounds: int = ROUNDS, warm: int = 5
) -> dict[str, float]:
    """Median milliseconds of each task, run in turn so that noise falls on all alike."""
    times: dict[str, list[float]] = {name: [] for name in tasks}
    for round_ in range(rounds + warm):
        for name, task in tasks.items():
            started = time.perf_counter()
            task()
            if round_ >= warm:
                times[name].append(1000 * (time.perf_counter() - started))
    return {name: statistics.median(values) for name, values in times.items()}


def cae_flops() -> float:
    """Floating-point operations of one CAE forward pass (two a multiplication)."""
    total = 0.0

    def count(layer: torch.nn.Module, inputs: tuple[torch.Tensor], out: torch.Tensor) -> None:
        nonlocal total
        if isinstance(layer, torch.nn.Conv2d):
            total += 2 * out.numel() * layer.in_channels * 9
        elif isinstance(layer, torch.nn.ConvTranspose2d):
            # Each input value meets every weight of its channel.
            total += 2 * inputs[0].numel() * layer.out_channels * 9

    network = build_autoencoder("cae").eval()
    for layer in network.modules():
        layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.rand(1, 3, 256, 256))
    return total


def one_photo() -> list[Line]:
    """The network against its floor, and what a photo costs from file to overlay."""
    inspect = load("cae", "rendered_cap")
    network = fold_batch_norm(build_autoencoder("cae").eval())
    pixels = torch.rand(1, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    left, right = torch.rand(2, 1536, 1536)
    large, small = encoded(900, "PNG"), encoded(200, "JPEG")
    held = inspect(large)

    @torch.inference_mode()
    def forward() -> object:
        return network(pixels)

    @torch.inference_mode()
    def multiply() -> object:
        return left @ right

    def overlay(result: Inspection) -> object:
        return draw_overlay(result.photo, result.anomaly_map, result.threshold)

    measured = medians(
        {
            "forward": forward,
            "matmul": multiply,
            "png": lambda: overlay(inspect(large)),
            "jpeg": lambda: overlay(inspect(small)),
            "again": lambda: overlay(held.at(1.3)),
            "decoding": lambda: Image.open(io.BytesIO(large)).load(),
        }
    )
    unit = measured["forward"]
    peak = 2 * 1536**3 / (measured["matmul"] / 1000)
    floor = 1000 * cae_flops() / peak

    def line(what: str, task: str, floor: str = "") -> Line:
        return Line(what, measured[task], "ms", measured[task] / unit, "× CAE forward", floor)

    return [
        Line("matmul 1536³, float32: peak", peak / 1e9, "GFLOP/s"),
        Line("CAE forward, batch 1", unit, "ms", unit / floor, "× float32 floor", "≤ 1.3"),
        line("900² PNG, file to overlay", "png", "≤ 4"),
        line("200² JPEG, file to overlay", "jpeg", "≤ 2.5"),
        line("  decoding that PNG, Pillow alone", "decoding"),
        line("a new threshold on a 900² photo", "again"),
    ]


def many_photos(folder: Path) -> list[Line]:
    """Photos a second of the batch engine, against the network alone in batches of 16."""
    inspect = load("cae", "rendered_cap")
    network = fold_batch_norm(build_autoencoder("cae").eval())
    pixels = torch.rand(16, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    photos = []
    for i in range(100):
        path = folder / f"{i:03}.jpg"
        path.write_bytes(encoded(200, "JPEG", i % 10))
        photos.append(PhotoFile(path, path.name))

    @torch.inference_mode()
    def forward() -> object:
        return network(pixels)

    def engine() -> object:
        return sum(1 for _ in inspect_stream(inspect, photos))

    measured = medians({"forward": forward, "engine": engine}, rounds=5, warm=1)
    rate, most = 1e5 / measured["engine"], 16e3 / measured["forward"]
    wanted = min(60, 0.5 * most)
    return [
        Line("CAE forward, batch 16", most, "photos/s"),
        Line(
            "engine, 100 photos of 200²",
            rate,
            "photos/s",
            rate / wanted,
            "× least of 60 and half of that",
            "≥ 1",
        ),
    ]
