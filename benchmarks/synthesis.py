"""Segmenting by synthesis, tried small: a light U-Net that learns to mark pasted defects on good
photos of one product (DRAEM, Zavrtanik et al. 2021; NSA, Schlüter et al. 2022; no pretrained net),
measured on the test photos beside the memory. It is not a model of the app: README says why.

Run it: python -m benchmarks.synthesis --data DIR [--categories grid capsule] [--minutes 7]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.teaching import STEP, Test, auroc, load_test
from defect.detectors.memory import normalise_brightness
from defect.detectors.scoring import SMOOTHING, blur, scores, to_tensor
from defect.evaluation.scorecard.averages import MASKED
from defect.training.autoencoder import learning_rate_at, pick_device, pick_precision
from defect.training.corruption import paste_anomalies
from defect.training.encoder import vary

WIDTHS = 16, 32, 64, 128
LEARNING_RATE = 2e-3
BATCH = 8
SPOILED_SHARE = 0.7
GENTLY = 0.15
"""Part of the photos also turned and relit: the others stay as they were taken."""


class UNet(nn.Module):
    """N×3×256×256 in 0..1 → N×256×256 logits of being a defect; 0.5 million parameters."""

    def __init__(self) -> None:
        super().__init__()
        inward = (3, *WIDTHS[:-1])
        self.down = nn.ModuleList(_layers(i, o) for i, o in zip(inward, WIDTHS, strict=True))
        pairs = zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)
        self.up = nn.ModuleList(_layers(below + beside, beside) for below, beside in pairs)
        self.last = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        x, kept = F.avg_pool2d(pixels, 2) - 0.5, []
        for layers in self.down:
            x = layers(x)
            kept.append(x)
            x = F.max_pool2d(x, 2)
        x = kept.pop()
        for layers in self.up:
            x = torch.cat([F.interpolate(x, scale_factor=2.0), kept.pop()], 1)
            x = layers(x)
        return F.interpolate(self.last(x), scale_factor=2.0, mode="bilinear").squeeze(1)


def _layers(n_in: int, n_out: int) -> nn.Sequential:
    def one(n: int) -> list[nn.Module]:
        conv = nn.Conv2d(n, n_out, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]

    return nn.Sequential(*one(n_in), *one(n_out))


def main() -> None:
    """Prints one JSON line a category."""
    parser = argparse.ArgumentParser(description="Tries a U-Net taught on pasted defects.")
    parser.add_argument("--data", type=Path, required=True, help="categories in MVTec AD layout")
    parser.add_argument("--categories", nargs="+", default=list(MASKED))
    parser.add_argument("--minutes", type=float, default=7, help="of training a category")
    options = parser.parse_args()
    for name in options.categories:
        test = load_test(options.data, name, 1)
        light = float(np.median(test.train.mean((1, 2, 3))) / 255)
        network, views = train(test.train, light, 60 * options.minutes)
        print(json.dumps({"category": name, "views": views, **measure(network, test, light)}))


def train(images: np.ndarray, light: float, seconds: float) -> tuple[UNet, int]:
    """Trains for so long; returns the network in evaluation mode and the photos it was shown.

    Args:
        images: N×256×256×3 uint8 good photos.
        light: mean grey in 0..1 they are brought to.
    """
    device = pick_device()
    precision = pick_precision(device)
    torch.manual_seed(0)
    draw = torch.Generator().manual_seed(0)
    network = UNet().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4)
    started, views = time.perf_counter(), 0
    while (share := (time.perf_counter() - started) / seconds) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(share, LEARNING_RATE)
        chosen = torch.randint(len(images), (BATCH,), generator=draw).numpy()
        pixels, masks = _spoil(to_tensor(images[chosen]), light, draw)
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            logits = network(pixels.to(device))
        loss = _loss(logits.float(), masks.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        views += len(chosen)
    return network.cpu().eval(), views


def _spoil(pixels: Tensor, light: float, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    turned = torch.rand(len(pixels), generator=draw) < GENTLY
    if turned.any():
        pixels[turned] = vary(pixels[turned], draw)
    corrupted, masks = paste_anomalies(normalise_brightness(pixels, light)[0], draw, SPOILED_SHARE)
    return corrupted.contiguous(memory_format=torch.channels_last), masks.squeeze(1)


def _loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Focal loss, as most pixels are good, and soft Dice, as defects are of every size."""
    cross = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    focal = ((1 - torch.exp(-cross)) ** 2 * cross).mean()
    found = logits.sigmoid()
    both, either = (found * masks).sum((1, 2)), (found + masks).sum((1, 2))
    return 5 * focal + (1 - (2 * both + 1) / (either + 1)).mean()


@torch.inference_mode()
def measure(network: UNet, test: Test, light: float) -> dict[str, float]:
    """Image and pixel AUROC of the smoothed probabilities; the score is their highest."""
    spread, parts = blur(256, SMOOTHING), []
    for start in range(0, len(test.photos), BATCH):
        pixels, _ = normalise_brightness(to_tensor(test.photos[start : start + BATCH]), light)
        parts.append(spread @ network(pixels).sigmoid() @ spread.T)
    maps = torch.cat(parts)
    cut = slice(STEP // 2, None, STEP)
    return {
        "image_auroc": round(auroc(scores(maps).numpy(), test.defective), 4),
        "pixel_auroc": round(
            auroc(
                maps[:, cut, cut].numpy()[test.known].ravel(),
                test.masks[test.known][:, cut, cut].ravel(),
            ),
            4,
        ),
    }


if __name__ == "__main__":
    main()
