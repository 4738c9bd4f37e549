"""Brightness jitter, noise and synthetic anomalies: what training and calibration do to photos.

Gaussian noise is the thesis's denoising corruption. Synthetic anomalies are irregular patches and
scratches with foreign texture, in the spirit of CutPaste (Li et al., CVPR 2021), DRAEM (Zavrtanik
et al., ICCV 2021) and NSA (Schlüter et al., ECCV 2022). On held-out normal photos they also stand
in for defects where a scoring choice is made, so that no test label is needed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GAUSSIAN_SIGMA = 0.3
"""Of the normalised input (thesis)."""
MASK_WEIGHT = 2.0
"""How much more the error of a corrupted pixel counts."""
BRIGHTNESS_JITTER = 0.08
"""Photos are made up to so much brighter or darker: varying light is not a defect."""


def jitter_brightness(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """N×3×S×S in 0..1 → the same, each photo with its own random brightness."""
    random = torch.rand(len(pixels), 1, 1, 1, generator=generator)
    return (pixels * (1 + BRIGHTNESS_JITTER * (2 * random - 1))).clamp_(0, 1)


def add_gaussian_noise(normalised: Tensor, generator: torch.Generator) -> Tensor:
    """Adds noise of σ = 0.3 to a batch that is already in the network's normalised space."""
    noise = torch.randn(normalised.shape, generator=generator, dtype=normalised.dtype)
    noise = noise.to(normalised.device, memory_format=torch.channels_last)
    return normalised + GAUSSIAN_SIGMA * noise


def anomaly_masks(count: int, side: int, generator: torch.Generator) -> Tensor:
    """Soft irregular blobs and scratches, N×1×S×S in 0..1, about 0.1 % to 10 % of the area."""
    rows = torch.linspace(0, 1, side)
    masks = torch.empty(count, 1, side, side)
    for i in range(count):
        cx, cy, u, v, w = torch.rand(5, generator=generator).tolist()
        angle = math.pi * u
        dx, dy = rows[None, :] - cx, rows[:, None] - cy
        along = dx * math.cos(angle) + dy * math.sin(angle)
        across = dy * math.cos(angle) - dx * math.sin(angle)
        scratch = w < 0.35
        length, width = (0.08 + 0.3 * v, 0.006 + 0.02 * v) if scratch else (0.03 + 0.13 * v,) * 2
        window = 1 - (along / length) ** 2 - (across / width) ** 2
        cells = int(torch.randint(4, 24, (1,), generator=generator))
        noise = torch.randn(1, 1, cells, cells, generator=generator)
        noise = F.interpolate(noise, (side, side), mode="bicubic", align_corners=False)[0, 0]
        masks[i, 0] = torch.sigmoid(12 * (window + (0.3 if scratch else 0.9) * noise - 0.2))
        masks[i, 0] *= window > -2
    return masks


def paste_anomalies(
    pixels: Tensor, generator: torch.Generator, share: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Pastes synthetic anomalies onto normal photos.

    Args:
        pixels: N×3×S×S in 0..1.
        generator: the only source of randomness.
        share: probability that a photo is corrupted, 0..1; the others are returned unchanged.

    Returns:
        the corrupted photos, same shape, and the masks, N×1×S×S in 0..1.
    """
    n, _, side, _ = pixels.shape
    masks = anomaly_masks(n, side, generator)
    twice = (torch.rand(n, 1, 1, 1, generator=generator) < 0.4).float()
    masks = torch.maximum(masks, twice * anomaly_masks(n, side, generator))
    masks = masks * (torch.rand(n, 1, 1, 1, generator=generator) < share)

    order = torch.randperm(n, generator=generator)
    source = pixels[order]
    for i in range(n):
        shift = torch.randint(side // 8, side - side // 8, (2,), generator=generator).tolist()
        source[i] = torch.roll(source[i], shift, (1, 2))
    flat = torch.rand(n, 3, 1, 1, generator=generator).expand(-1, -1, side, side)
    tint = 0.35 * torch.randn(n, 3, 1, 1, generator=generator)
    shade = 0.30 * torch.randn(n, 1, 1, 1, generator=generator)
    kind = torch.rand(n, 1, 1, 1, generator=generator)
    foreign = torch.where(kind < 0.45, source, torch.where(kind < 0.6, flat, pixels + tint))
    foreign = torch.where(kind > 0.8, pixels + shade.sign() * (0.1 + shade.abs()), foreign)
    opacity = 0.3 + 0.7 * torch.rand(n, 1, 1, 1, generator=generator)
    blend = masks * opacity
    return (pixels * (1 - blend) + foreign.clamp(0, 1) * blend), masks
