"""Distils the feature extractor: from random weights, it learns to see what a teacher sees.

Photos of many products, turned, scaled, relit, blended into one another and spoiled, and rendered
textures go through the teacher (ImageNet's SqueezeNet 1.1) and through our smaller network, which
learns to say the same at every place: in value (squared error of standardised channels) and in
direction (cosine), in the manner of Bergmann et al., "Uninformed Students" (CVPR 2020). Nothing of
the teacher is stored; the extractor alone runs later.
"""

from __future__ import annotations

import copy
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from defect.datasets import mvtec, neu
from defect.datasets import rendered as synthetic
from defect.datasets.samples import DataError, load_images
from defect.detectors.scoring import to_tensor
from defect.imaging.photo import network_input
from defect.networks.extractor import Extractor
from defect.training.autoencoder import (
    GRADIENT_NORM,
    learning_rate_at,
    pick_device,
    pick_precision,
    split,
)
from defect.training.checkpoint import Progress, load_checkpoint, save_checkpoint, snapshot
from defect.training.corruption import paste_anomalies
from defect.training.encoder import TEACHER_STAGES, load_teacher, vary
from defect.weights.files import Metadata, Training, save
from defect.weights.index import IndexEntry
from defect.weights.quantisation import as_stored

RUNS_FOLDER = Path("runs")
MODEL, NAME = "extractor", "shared"
EPOCHS = 32
LEARNING_RATE = 3e-3
BATCH_SIZE = 16
SPOILED_SHARE = 0.5
BLENDED_SHARE = 0.25
CLOSE_SHARE = 0.25
"""Part of the photos looked at closely: a sixteenth to a quarter of the area fills the view."""
COSINE_WEIGHT = 0.5
EMA_DECAY = 0.998
NEU_STEP = 3
"""Every third NEU training photo joins in, as texture."""
RENDERED_PARTS, RENDERED_STEEL = 60, 12
"""Rendered photos a category and a steel class; their seeds are far from the data sets'."""
RENDERED_SEED = 700_000
TERMS = (384, 384)
"""Channels of the targets: fire3 and fire5 at stride 8, fire7 at stride 16."""
_STATISTICS_BATCHES = 8


def photos(data: Path, seed: int) -> tuple[np.ndarray, list[str]]:
    """What the extractor learns from: N×256×256×3 uint8, and the names of their sources.

    Of every category only the training photos that later trainings fit on, so that every held-out
    photo stays unseen; NEU's training photos where `data` has them beside it; and rendered ones.

    Raises:
        DataError: there is no category.
    """
    names = [n for n in mvtec.CATEGORIES if (data / n / "train/good").is_dir()]
    if not names:
        raise DataError("The extractor learns from MVTec AD categories; --data holds none.")
    parts = [split(load_images(mvtec.train_samples(data, n)), seed)[0] for n in names]
    steel = data.parent / "neu"
    if steel.is_dir():
        parts.append(load_images(neu.split(neu.samples(steel), seed)[0][::NEU_STEP]))
        names.append("NEU steel")
    parts.append(_rendered())
    return np.concatenate(parts), [*names, "rendered parts"]


def _rendered() -> np.ndarray:
    pictures = [
        synthetic.render(name, RENDERED_SEED + k).image
        for name in synthetic.CATEGORIES
        for k in range(RENDERED_PARTS)
    ]
    pictures += [
        synthetic.render_steel(name, RENDERED_SEED + k)
        for name in synthetic.STEEL_CLASSES
        for k in range(RENDERED_STEEL)
    ]
    return np.stack([network_input(picture) for picture in pictures])


class Teacher(nn.Module):
    """What the teacher sees, each channel brought to zero mean and unit spread."""

    def __init__(self, layers: nn.Sequential, images: np.ndarray, seed: int) -> None:
        super().__init__()
        self.layers = layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        draw = torch.Generator().manual_seed(seed)
        seen: list[tuple[Tensor, Tensor]] = []
        for _ in range(_STATISTICS_BATCHES):
            chosen = torch.randint(len(images), (BATCH_SIZE,), generator=draw).numpy()
            seen.append(self._see(augment(to_tensor(images[chosen]), draw)))
        both = [torch.cat(parts) for parts in zip(*seen, strict=True)]
        self.means = [part.mean((0, 2, 3), keepdim=True) for part in both]
        self.spreads = [part.std((0, 2, 3), keepdim=True).clamp_min(1e-3) for part in both]

    @torch.no_grad()
    def _see(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        mean = pixels.new_tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
        std = pixels.new_tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
        x, stages = (pixels - mean) / std, []
        for number, layer in enumerate(self.layers):
            x = layer(x)
            if number in TEACHER_STAGES:
                stages.append(x.float())
        early, middle, late = stages
        side = pixels.shape[-1] // 8
        fine = [
            F.adaptive_avg_pool2d(early, side),
            F.interpolate(middle, size=side, mode="bilinear"),
        ]
        return torch.cat(fine, 1), F.interpolate(late, size=side // 2, mode="bilinear")

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> list[Tensor]:
        """N×3×256×256 in 0..1 → N×384×32×32 and N×384×16×16."""
        seen = self._see(pixels)
        return [(s - m) / d for s, m, d in zip(seen, self.means, self.spreads, strict=True)]


def augment(pixels: Tensor, draw: torch.Generator) -> Tensor:
    """N×3×256×256 in 0..1 → the same photos seen in many ways, some as nobody would take them."""
    n, _, side, _ = pixels.shape
    close = torch.rand(n, generator=draw) < CLOSE_SHARE
    for i in close.nonzero().flatten().tolist():
        size = int(torch.randint(side // 4, side // 2, (1,), generator=draw))
        top, left = torch.randint(0, side - size, (2,), generator=draw).tolist()
        window = pixels[i : i + 1, :, top : top + size, left : left + size]
        pixels[i] = F.interpolate(window, (side, side), mode="bilinear")[0]
    pixels = vary(pixels, draw)
    blend = torch.rand(n, 1, 1, 1, generator=draw) * 0.7
    blend *= torch.rand(n, 1, 1, 1, generator=draw) < BLENDED_SHARE
    pixels = (1 - blend) * pixels + blend * pixels[torch.randperm(n, generator=draw)].flip(3)
    pixels = paste_anomalies(pixels, draw, SPOILED_SHARE)[0]
    gamma = (0.5 * (2 * torch.rand(n, 1, 1, 1, generator=draw) - 1)).exp()
    pixels = pixels.clamp(1e-4, 1) ** gamma
    # Other colours and the negative: more kinds of surface than the photos hold.
    strange = torch.rand(n, generator=draw)
    pixels = torch.where((strange < 0.1).view(-1, 1, 1, 1), pixels[:, [2, 0, 1]], pixels)
    pixels = torch.where((strange > 0.95).view(-1, 1, 1, 1), 1 - pixels, pixels)
    noise = 0.03 * torch.rand(n, 1, 1, 1, generator=draw) ** 2
    pixels = pixels + noise * torch.randn(pixels.shape, generator=draw)
    return pixels.clamp_(0, 1).contiguous(memory_format=torch.channels_last)


def train_extractor(
    images: np.ndarray,
    layers: nn.Sequential,
    epochs: int = EPOCHS,
    seed: int = 0,
    *,
    network: Extractor | None = None,
    checkpoint: Path | None = None,
) -> tuple[Extractor, list[float], float]:
    """Distils an extractor from random weights, or goes on from a checkpoint of the same training.

    Args:
        images: N×256×256×3 uint8 photos of any products.
        layers: what `encoder.load_teacher` returns.
        network: a fresh one of the shipped size by default.
        checkpoint: written after every epoch, with the running mean of the weights as `best`.

    Returns:
        the running mean of the weights in evaluation mode, each epoch's mean loss, and the seconds.
    """
    device = pick_device()
    precision = pick_precision(device)
    torch.manual_seed(seed)
    network = (network or Extractor(TERMS)).to(device).train()
    smooth = copy.deepcopy(network).requires_grad_(False)
    teacher = Teacher(layers, images, seed + 1).to(device)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=LEARNING_RATE, weight_decay=1e-4, fused=True
    )
    progress = Progress(
        {"epochs": epochs, "seed": seed, "images": len(images), "sum": int(images.sum())}
    )
    resumed = (
        load_checkpoint(checkpoint, progress.recipe, network, optimizer) if checkpoint else None
    )
    if resumed is not None:
        progress, best = resumed
        smooth.load_state_dict(best)
    steps = math.ceil(len(images) / BATCH_SIZE)
    with tqdm(
        total=epochs * len(images),
        initial=progress.epoch * len(images),
        desc="extractor",
        unit="img",
        mininterval=5.0,
    ) as bar:
        while progress.epoch < epochs:
            started = time.perf_counter()
            draw = torch.Generator().manual_seed(seed * 100_003 + progress.epoch)
            order = torch.randperm(len(images), generator=draw).numpy()
            total = 0.0
            for step in range(steps):
                share = (progress.epoch + step / steps) / epochs
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(share, LEARNING_RATE)
                chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
                pixels = augment(to_tensor(images[chosen]), draw).to(device)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    targets = teacher(pixels)
                    described = network(pixels)
                loss = sum(
                    (_distance(t.float(), s) for t, s in zip(described, targets, strict=True)),
                    pixels.new_zeros(()),
                )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
                optimizer.step()
                _follow(smooth, network, progress.epoch * steps + step)
                total += loss.item() * len(chosen)
                bar.update(len(chosen))
            progress.epoch += 1
            progress.loss_curve.append(total / len(images))
            progress.seconds += time.perf_counter() - started
            bar.set_postfix(loss=f"{progress.loss_curve[-1]:.4f}")
            if checkpoint:
                save_checkpoint(checkpoint, progress, network, snapshot(smooth), optimizer)
    return smooth.cpu().eval(), progress.loss_curve, progress.seconds


def _distance(described: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the standardised channels, and how far directions differ."""
    cosine = 1 - F.cosine_similarity(described, target, dim=1).mean()
    return (described - target).square().mean() + COSINE_WEIGHT * cosine


@torch.no_grad()
def _follow(smooth: nn.Module, network: nn.Module, step: int) -> None:
    """Moves the running mean of the weights; at first quickly, as they change quickly."""
    decay = min(EMA_DECAY, (1 + step) / (10 + step))
    for mean, value in zip(
        smooth.state_dict().values(), network.state_dict().values(), strict=True
    ):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def train_and_save(
    data: Path,
    teacher: Path,
    weights: Path,
    epochs: int = EPOCHS,
    seed: int = 0,
    *,
    runs: Path = RUNS_FOLDER,
) -> IndexEntry:
    """Distils the extractor and saves it as `extractor/shared.safetensors`.

    An interrupted training goes on from `runs`, epoch by epoch.

    Raises:
        DataError: no category, or no usable teacher.
    """
    layers = load_teacher(teacher)
    images, names = photos(data, seed)
    checkpoint = runs / "extractor.safetensors"
    network, curve, seconds = train_extractor(images, layers, epochs, seed, checkpoint=checkpoint)
    entry = save(
        weights,
        as_stored(network.state_dict()),
        {},
        _describe(names, len(images), curve, seconds, seed),
    )
    checkpoint.unlink(missing_ok=True)
    return entry


def _describe(
    names: list[str], images: int, curve: list[float], seconds: float, seed: int
) -> Metadata:
    training = Training(
        epochs_planned=len(curve),
        epochs_run=len(curve),
        best_epoch=len(curve),
        learning_rate=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        seed=seed,
        device=pick_device().type,
        precision=str(pick_precision(pick_device())).removeprefix("torch."),
        corruption="photos turned, scaled, relit, blended; pasted defects on 1 of 2",
        images_fit=images,
        images_held_out=0,
        seconds=round(seconds, 1),
        loss_curve=[round(v, 6) for v in curve],
    )
    sources = "MVTec AD, NEU surface defects" if "NEU steel" in names else "MVTec AD"
    return Metadata(
        model=MODEL,
        category=NAME,
        dataset=f"{sources}, rendered by this project",
        licence=mvtec.LICENCE,
        training=training,
        note=f"Learnt from random weights on training photos of {', '.join(names)}, with "
        "ImageNet's SqueezeNet 1.1 as its teacher. The memory of normal looks through it; not a "
        "detector by itself.",
    )
