"""Ways to spoil a normal photo, so that a network learns to repair it.

`gaussian` is the thesis's denoising corruption. `pasted` draws irregular patches and scratches
taken from elsewhere, in the spirit of CutPaste (Li et al., CVPR 2021), DRAEM (Zavrtanik et al.,
ICCV 2021) and NSA (Schlüter et al., ECCV 2022). The same patches, rendered onto held-out normal
photos, are the defects on which scoring choices are made: no test label is needed for that.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GAUSSIAN_SIGMA = 0.3
"""Of the normalised input (thesis)."""


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
    """Renders foreign patches onto normal photos.

    Args:
        pixels: N×3×S×S in 0..1.
        generator: decides everything; the same state gives the same defects.
        share: part of the photos to spoil, 0..1; the others come back unchanged.

    Returns:
        the spoiled photos, same shape, and the masks, N×1×S×S in 0..1.
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
