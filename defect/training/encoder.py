"""Teaches one encoder to see, before any decoder learns a category.

The thesis's encoder alone, trained on two hundred photos of one product, learns features that tell
little but that product's brightness. Here the same four layers first see the defect-free training
photos of many products at once, turned, scaled, relit and spoiled, and learn two things: to let
their decoder undo the spoiling, and to predict from their last two stages what an ImageNet network
(SqueezeNet 1.1, Iandola et al. 2016) sees at the same place, as in Bergmann et al., "Uninformed
Students" (CVPR 2020). The teacher is used here only; nothing of it is stored or run later.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from defect.datasets import mvtec, neu
from defect.datasets.samples import DataError, load_images
from defect.detectors.scoring import to_tensor
from defect.networks.autoencoders import DAE
from defect.training.autoencoder import (
    GRADIENT_NORM,
    MASK_WEIGHT,
    learning_rate_at,
    pick_device,
    pick_precision,
    split,
)
from defect.training.corruption import add_gaussian_noise, paste_anomalies
from defect.weights.files import Metadata, Training, save
from defect.weights.index import IndexEntry

MODEL, NAME = "encoder", "shared"
EPOCHS = 14
LEARNING_RATE = 2e-3
BATCH_SIZE = 16
TEACHER_WEIGHT = 0.5
SPOILED_SHARE = 0.8
NOISY_SHARE = 0.2
UPRIGHT_SHARE = 0.35
NEU_STEP = 5
"""Every fifth NEU training photo joins in, as texture."""
TEACHER_STAGES = (4, 7, 10)
"""SqueezeNet's fire3 (128 channels), fire5 (256) and fire7 (384)."""
STATISTICS_BATCHES = 6

Targets = Callable[[Tensor], tuple[Tensor, Tensor]]


def load_teacher(path: Path) -> nn.Sequential:
    """SqueezeNet 1.1's layers with the weights of a safetensors file in torchvision's naming.

    Raises:
        DataError: the file is absent, not safetensors, or of another network.
    """
    from torchvision.models import squeezenet1_1

    try:
        tensors = safetensors.torch.load_file(path)
        network = squeezenet1_1()
        network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    except (OSError, RuntimeError, safetensors.SafetensorError) as error:
        raise DataError(
            f'"{path.name}" does not hold the weights of SqueezeNet 1.1 as safetensors in '
            "torchvision's naming. Check --teacher."
        ) from error
    layers: nn.Sequential = network.features[: TEACHER_STAGES[-1] + 1]
    return layers.eval()


def photos(data: Path, seed: int) -> tuple[np.ndarray, list[str]]:
    """What the encoder learns from: N×256×256×3 uint8, and the categories.

    Only photos that later trainings fit on, so that every held-out photo stays unseen. `data` holds
    categories in MVTec AD layout; NEU is taken from `neu` beside them, where it is.

    Raises:
        DataError: there is no category.
    """
    names = [name for name in mvtec.CATEGORIES if (data / name / "train/good").is_dir()]
    if not names:
        raise DataError("The encoder learns from MVTec AD categories; --data holds none.")
    parts = [split(load_images(mvtec.train_samples(data, name)), seed)[0] for name in names]
    steel = data.parent / "neu"
    if steel.is_dir():
        parts.append(load_images(neu.split(neu.samples(steel), seed)[0][::NEU_STEP]))
        names.append("NEU steel")
    return np.concatenate(parts), names


def train_encoder(
    images: np.ndarray, teacher: nn.Sequential, epochs: int = EPOCHS, seed: int = 0
) -> tuple[DAE, list[float], float]:
    """Trains a DAE on all photos at once.

    Args:
        images: N×256×256×3 uint8 defect-free photos of any products.
        teacher: what `load_teacher` returns.

    Returns:
        the network in evaluation mode, the mean loss of each epoch, and the seconds it took.
    """
    device = pick_device()
    precision = pick_precision(device)
    teacher = teacher.to(device)
    torch.manual_seed(seed)
    network = DAE().to(device)
    heads = nn.ModuleList([nn.Conv2d(128, 384, 1), nn.Conv2d(256, 640, 1)]).to(device)
    parameters = [*network.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, weight_decay=1e-4)
    targets = _standardised(teacher, network, images, seed + 1, device)
    steps = math.ceil(len(images) / BATCH_SIZE)
    curve: list[float] = []
    started = time.perf_counter()
    with tqdm(total=epochs * len(images), desc="encoder", unit="img", mininterval=1.0) as bar:
        for epoch in range(epochs):
            draw = torch.Generator().manual_seed(seed * 100_003 + epoch)
            torch.manual_seed(seed * 100_003 + epoch)
            network.train()
            order = torch.randperm(len(images), generator=draw).numpy()
            total = 0.0
            for step in range(steps):
                for group in optimizer.param_groups:
                    share = (epoch + step / steps) / epochs
                    group["lr"] = learning_rate_at(share, LEARNING_RATE)
                chosen = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    loss = _loss(network, heads, to_tensor(images[chosen]), targets, draw, device)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
                optimizer.step()
                total += loss.item() * len(chosen)
                bar.update(len(chosen))
            curve.append(total / len(images))
            bar.set_postfix(loss=f"{curve[-1]:.4f}")
    return network.cpu().eval(), curve, time.perf_counter() - started


def _loss(
    network: DAE,
    heads: nn.ModuleList,
    pixels: Tensor,
    targets: Targets,
    draw: torch.Generator,
    device: torch.device,
) -> Tensor:
    """Repair error plus the two stages' distance from what the teacher sees."""
    pixels = vary(pixels, draw)
    corrupted, masks = paste_anomalies(pixels, draw, SPOILED_SHARE)
    clean, masks = network.normalise(pixels.to(device)), masks.to(device)
    seen = network.normalise(corrupted.to(device, memory_format=torch.channels_last))
    middle, deep = targets(seen)
    noisy = (torch.rand(len(pixels), 1, 1, 1, generator=draw) < NOISY_SHARE).to(device)
    x = torch.where(noisy, add_gaussian_noise(seen, draw), seen)
    stages = []
    for layer in network.encoder:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            stages.append(x)
    repair = ((network.decoder(x).float() - clean).square() * (1 + MASK_WEIGHT * masks)).mean()
    middle = (heads[0](stages[2]).float() - middle.float()).square().mean()
    deep = (heads[1](stages[3]).float() - deep.float()).square().mean()
    return repair + TEACHER_WEIGHT * (middle + deep)


def vary(pixels: Tensor, draw: torch.Generator) -> Tensor:
    """N×3×256×256 in 0..1, two thirds of it turned, scaled, moved and mirrored, all of it relit."""
    n = len(pixels)
    angle = torch.rand(n, generator=draw) * 2 * math.pi
    scale = 0.55 + 0.7 * torch.rand(n, generator=draw)
    shift = 0.3 * (2 * torch.rand(n, 2, generator=draw) - 1)
    mirror = torch.where(torch.rand(n, generator=draw) < 0.5, 1.0, -1.0)
    sine, cosine = scale * angle.sin(), scale * angle.cos()
    top = torch.stack([cosine * mirror, -sine, shift[:, 0]], 1)
    moves = torch.stack([top, torch.stack([sine * mirror, cosine, shift[:, 1]], 1)], 1)
    upright = torch.rand(n, generator=draw) < UPRIGHT_SHARE
    moves[upright] = torch.eye(3)[:2]
    grid = F.affine_grid(moves, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    light = 1 + 0.25 * (2 * torch.rand(n, 1, 1, 1, generator=draw) - 1)
    colour = 1 + 0.1 * (2 * torch.rand(n, 3, 1, 1, generator=draw) - 1)
    return (moved * light * colour).clamp(0, 1).contiguous(memory_format=torch.channels_last)


def _standardised(
    teacher: nn.Sequential, network: DAE, images: np.ndarray, seed: int, device: torch.device
) -> Targets:
    """What the teacher sees at 32×32 (fire3, fire5) and 16×16 (fire5, fire7), each channel to zero
    mean and unit spread over a few batches."""

    @torch.no_grad()
    def see(normalised: Tensor) -> tuple[Tensor, Tensor]:
        stages = []
        for number, layer in enumerate(teacher):
            normalised = layer(normalised)
            if number in TEACHER_STAGES:
                stages.append(normalised.float())
        early, middle, late = stages
        fine = [F.adaptive_avg_pool2d(early, 32), F.interpolate(middle, size=32, mode="bilinear")]
        coarse = [
            F.interpolate(middle, size=16, mode="bilinear", antialias=True),
            F.interpolate(late, size=16, mode="bilinear"),
        ]
        return torch.cat(fine, 1), torch.cat(coarse, 1)

    draw = torch.Generator().manual_seed(seed)
    seen = []
    for _ in range(STATISTICS_BATCHES):
        chosen = torch.randint(len(images), (BATCH_SIZE,), generator=draw).numpy()
        pixels = vary(to_tensor(images[chosen]), draw).to(device)
        seen.append(see(network.normalise(pixels)))
    both = [torch.cat(parts) for parts in zip(*seen, strict=True)]
    means = [part.mean((0, 2, 3), keepdim=True) for part in both]
    spreads = [part.std((0, 2, 3), keepdim=True).clamp_min(1e-3) for part in both]

    def targets(normalised: Tensor) -> tuple[Tensor, Tensor]:
        middle, deep = see(normalised)
        return (middle - means[0]) / spreads[0], (deep - means[1]) / spreads[1]

    return targets


def train_and_save(
    data: Path, teacher: Path, weights: Path, epochs: int = EPOCHS, seed: int = 0
) -> IndexEntry:
    """Trains the shared encoder and saves it as `encoder/shared.safetensors`.

    Raises:
        DataError: no category, or no usable teacher.
    """
    layers = load_teacher(teacher)
    images, names = photos(data, seed)
    network, curve, seconds = train_encoder(images, layers, epochs, seed)
    return save(
        weights, network.state_dict(), {}, describe(names, len(images), curve, seconds, seed)
    )


def describe(
    names: list[str], images: int, curve: list[float], seconds: float, seed: int
) -> Metadata:
    """The header of the shared encoder's file."""
    training = Training(
        epochs_planned=len(curve),
        epochs_run=len(curve),
        best_epoch=len(curve),
        learning_rate=LEARNING_RATE,
        batch_size=BATCH_SIZE,
        seed=seed,
        device=pick_device().type,
        precision=str(pick_precision(pick_device())).removeprefix("torch."),
        corruption="pasted defects on 4 of 5 photos, gaussian noise (sigma 0.3) on 1 of 5",
        images_fit=images,
        images_held_out=0,
        seconds=round(seconds, 1),
        loss_curve=[round(v, 6) for v in curve],
    )
    return Metadata(
        model=MODEL,
        category=NAME,
        dataset="MVTec AD, NEU surface defects" if "NEU steel" in names else "MVTec AD",
        licence=mvtec.LICENCE,
        training=training,
        note=f"Learnt from training photos of {', '.join(names)}, with ImageNet's SqueezeNet 1.1 "
        "as its teacher. Where a DAE starts; not a detector by itself.",
    )
