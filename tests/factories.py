"""Values that many tests need, written once: inspections, headers, tiny weights, drawn photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw
from scipy import ndimage
from torch import nn

from defect.inspection import Inspection, WeightsSource
from defect.networks.extractor import Extractor, folded_extractor
from defect.weights.files import Metadata, Training, save
from defect.weights.index import IndexEntry


def make_source(**changes: Any) -> WeightsSource:
    """Where bundled CAE weights for bottles came from."""
    fields: dict[str, Any] = {
        "source": "bundled",
        "file": "cae/bottle.safetensors",
        "sha256": "ab" * 32,
        "size": 10,
    }
    return WeightsSource(**{**fields, **changes})


def make_inspection(anomaly_map: np.ndarray | float = 0.2, **changes: Any) -> Inspection:
    """An inspection by a CAE whose score is the map's highest value.

    Args:
        anomaly_map: 256×256, or one value everywhere.
        changes: other fields of `Inspection`.
    """
    values = np.broadcast_to(np.asarray(anomaly_map, np.float32), (256, 256)).copy()
    fields: dict[str, Any] = {
        "photo": np.zeros((60, 90, 3), np.uint8),
        "name": "part.png",
        "notes": (),
        "anomaly_map": values,
        "error_map": np.zeros((256, 256), np.float32),
        "reconstruction": np.zeros((256, 256, 3), np.uint8),
        "score": float(values.max()),
        "thesis_score": 0.01,
        "thesis_limit": 0.02,
        "model": "cae",
        "category": "bottle",
        "weights": make_source(),
    }
    return Inspection(**{**fields, **changes})


def make_training(**changes: Any) -> Training:
    """A short training on the CPU."""
    fields: dict[str, Any] = {
        "images_fit": 20,
        "seed": 3,
        "device": "cpu",
        "precision": "float32",
        "seconds": 1.5,
        "images_held_out": 8,
        "epochs_planned": 9,
        "epochs_run": 8,
        "best_epoch": 7,
        "learning_rate": 0.002,
        "batch_size": 16,
    }
    return Training(**{**fields, **changes})


def make_metadata(**changes: Any) -> Metadata:
    """The header of CAE weights for bottles."""
    fields: dict[str, Any] = {
        "model": "cae",
        "category": "bottle",
        "dataset": "MVTec AD",
        "licence": "CC BY-NC-SA 4.0",
        "training": make_training(),
    }
    return Metadata(**{**fields, **changes})


def make_entry(category: str = "bottle", model: str = "cae", **changes: Any) -> IndexEntry:
    """A line of `index.json`."""
    fields: dict[str, Any] = {
        "file": f"{model}/{category}.safetensors",
        "model": model,
        "category": category,
        "sha256": "ab" * 32,
        "size": 10,
    }
    return IndexEntry(**{**fields, **changes})


def good_photos(count: int, seed: int) -> np.ndarray:
    """N×256×256×3: the same disc on the same background; brightness, position and noise vary."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:256, :256]
    photos = np.empty((count, 256, 256, 3), np.uint8)
    for i in range(count):
        dx, dy = draw.uniform(-3, 3, 2)
        disc = np.hypot(x - 128 - dx, y - 128 - dy) < 90
        part = 60 + x[..., None] * [0.2, 0.1, 0.05] + 90 * disc[..., None]
        part = part * draw.uniform(0.95, 1.05) + draw.normal(0, 4, (256, 256, 3))
        photos[i] = part.clip(0, 255)
    return photos


def write_photos(folder: Path, photos: np.ndarray | Sequence[np.ndarray]) -> list[Path]:
    """Saves photos as `part_0.png`, `part_1.png`, …"""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"part_{i}.png" for i in range(len(photos))]
    for path, photo in zip(paths, photos, strict=True):
        Image.fromarray(photo).save(path)
    return paths


def tiny_extractor() -> Extractor:
    """The extractor's layers with seeded random weights that keep the signal's scale (He et al.
    2015): enough to tell drawn photos apart."""
    torch.manual_seed(0)
    extractor = folded_extractor()
    for module in extractor.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return extractor


def write_extractor(folder: Path) -> Path:
    """Saves the tiny extractor as the folder's own; returns the folder."""
    metadata = make_metadata(model="extractor", category="shared", dataset="none", licence="none")
    save(folder, tiny_extractor().state_dict(), {}, metadata)
    return folder


def textured_photos(count: int, seed: int, size: tuple[int, int] = (256, 256)) -> list[np.ndarray]:
    """N of h×w×3: a coarse grain that lies differently in every photo and reaches its edges."""
    draw = np.random.default_rng(seed)
    photos = []
    for _ in range(count):
        grain = ndimage.gaussian_filter(draw.standard_normal(size), 2)
        grey = 128 + 25 * grain / grain.std()
        photos.append(np.repeat(grey[..., None], 3, 2).clip(0, 255).astype(np.uint8))
    return photos


def turned_parts(count: int, seed: int, side: int = 256) -> list[np.ndarray]:
    """N of side×side×3: one bright bracket at any angle on an even dark ground."""
    draw = np.random.default_rng(seed)
    return [
        bracket(float(draw.uniform(0, 360)), tuple(draw.uniform(-0.03, 0.03, 2) * side), draw, side)
        for _ in range(count)
    ]


def bracket(
    degrees: float, shift: tuple[float, ...], draw: np.random.Generator, side: int = 256
) -> np.ndarray:
    """side×side×3: the bracket turned counter-clockwise and moved by (y, x) pixels."""
    image = Image.new("L", (4 * side, 4 * side), 40)
    pen, unit = ImageDraw.Draw(image), 4 * side / 256
    for box, grey in (
        ((60, 100, 196, 150), 190),
        ((60, 60, 95, 150), 190),
        ((150, 112, 176, 138), 90),
    ):
        pen.rectangle([value * unit for value in box], fill=grey)
    dy, dx = shift
    turned = image.rotate(
        degrees, Image.Resampling.BICUBIC, translate=(round(4 * dx), round(4 * dy)), fillcolor=40
    )
    brightness = np.asarray(turned.reduce(4), np.float64) + draw.normal(0, 2, (side, side))
    return np.repeat(brightness[..., None], 3, 2).clip(0, 255).astype(np.uint8)
