"""Drawn photos of one product and a tiny extractor, for the tests of what is taught."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from defect.networks.extractor import Extractor
from defect.weights.files import Metadata, Training, save


def good_photos(count: int, seed: int) -> np.ndarray:
    """N×256×256×3: the same disc before the same ground, with other light, place and noise."""
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


def tiny_extractor() -> Extractor:
    """Random weights that see edges and colours well enough for drawn photos."""
    torch.manual_seed(0)
    return Extractor((72, 72), 8).eval()


def write_extractor(folder: Path) -> None:
    """Saves the tiny extractor as the folder's own."""
    training = Training(images_fit=0, seed=0, device="cpu", precision="float32", seconds=0.0)
    metadata = Metadata("extractor", "shared", "none", "none", training)
    save(folder, tiny_extractor().state_dict(), {}, metadata)
