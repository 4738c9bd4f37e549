"""Pretrains one encoder on many products, before any decoder learns a category.

Trained on two hundred photos of one product, the thesis's encoder learns features that tell little
but brightness. Here the same four layers first see the defect-free training photos of many
products, rotated, scaled, relit and corrupted. They learn two things: to let their decoder remove
the corruption, and to predict from their last two stages what a teacher computes at the same
position, as in Bergmann et al., "Uninformed Students" (CVPR 2020).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.datasets import mvtec
from defect.networks.autoencoders import DAE
from defect.training.checkpoint import History, checkpoint_path
from defect.training.corruption import MASK_WEIGHT, add_gaussian_noise, paste_anomalies
from defect.training.loop import Batch, Recipe, pick_device, train, training_record
from defect.training.teacher import Teacher, dataset_of, load_photos, load_teacher
from defect.weights.errors import NotAvailable
from defect.weights.files import Metadata, read, save
from defect.weights.index import IndexEntry

MODEL, NAME = "encoder", "shared"
RECIPE = Recipe(epochs=14)
TEACHER_WEIGHT = 0.5
ANOMALY_SHARE = 0.8
NOISE_SHARE = 0.2
UPRIGHT_SHARE = 0.35
NEU_STEP = 5
STATISTICS_BATCHES = 6


def shared_encoder(folder: Path) -> dict[str, Tensor] | None:
    """The weights a DAE starts from, where the folder has them."""
    try:
        return read(folder, MODEL, NAME).network
    except NotAvailable:
        return None


def train_encoder(
    images: np.ndarray,
    layers: nn.Sequential,
    recipe: Recipe = RECIPE,
    *,
    checkpoint: Path | None = None,
) -> tuple[DAE, History]:
    """Trains a DAE on all photos at once, or resumes from the checkpoint of the same training.

    Args:
        images: N×256×256×3 uint8 defect-free photos of any products.
        layers: what `load_teacher` returns.
        checkpoint: written after every epoch.

    Returns:
        the network in evaluation mode, and its training's history.
    """
    device = pick_device()
    torch.manual_seed(recipe.seed)
    network = DAE().to(device)
    heads = nn.ModuleList([nn.Conv2d(128, 384, 1), nn.Conv2d(256, 640, 1)]).to(device)
    student = nn.ModuleDict({"network": network, "heads": heads})
    teacher = Teacher(
        layers,
        images,
        _resize,
        vary,
        batches=STATISTICS_BATCHES,
        seed=recipe.seed + 1,
        device=device,
    )
    history = train(
        student,
        images,
        recipe,
        lambda batch: _loss(network, heads, teacher, batch),
        optimizer=torch.optim.AdamW(
            student.parameters(), lr=recipe.learning_rate, weight_decay=1e-4
        ),
        augment=vary,
        identity={"model": MODEL},
        checkpoint=checkpoint,
        title="encoder",
    )
    return network, history


def _loss(network: DAE, heads: nn.ModuleList, teacher: Teacher, batch: Batch) -> Tensor:
    """Repair error plus the distance of the last two stages from the teacher's."""
    corrupted, masks = paste_anomalies(batch.pixels, batch.generator, ANOMALY_SHARE)
    clean, masks = network.normalise(batch.pixels.to(batch.device)), masks.to(batch.device)
    corrupted = corrupted.to(batch.device, memory_format=torch.channels_last)
    middle, deep = teacher(corrupted)
    x = network.normalise(corrupted)
    noisy = torch.rand(len(x), 1, 1, 1, generator=batch.generator) < NOISE_SHARE
    x = torch.where(noisy.to(batch.device), add_gaussian_noise(x, batch.generator), x)
    stages = []
    for layer in network.encoder:
        x = layer(x)
        if isinstance(layer, nn.ReLU):
            stages.append(x)
    repair = ((network.decoder(x).float() - clean).square() * (1 + MASK_WEIGHT * masks)).mean()
    middle_error = (heads[0](stages[2]).float() - middle.float()).square().mean()
    deep_error = (heads[1](stages[3]).float() - deep.float()).square().mean()
    return repair + TEACHER_WEIGHT * (middle_error + deep_error)


def vary(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """N×3×256×256 in 0..1: two thirds rotated, scaled, shifted and mirrored, all of them relit."""
    n = len(pixels)
    angle = torch.rand(n, generator=generator) * 2 * math.pi
    scale = 0.55 + 0.7 * torch.rand(n, generator=generator)
    shift = 0.3 * (2 * torch.rand(n, 2, generator=generator) - 1)
    mirror = torch.where(torch.rand(n, generator=generator) < 0.5, 1.0, -1.0)
    sine, cosine = scale * angle.sin(), scale * angle.cos()
    top = torch.stack([cosine * mirror, -sine, shift[:, 0]], 1)
    moves = torch.stack([top, torch.stack([sine * mirror, cosine, shift[:, 1]], 1)], 1)
    upright = torch.rand(n, generator=generator) < UPRIGHT_SHARE
    moves[upright] = torch.eye(3)[:2]
    grid = F.affine_grid(moves, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    light = 1 + 0.25 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)
    colour = 1 + 0.1 * (2 * torch.rand(n, 3, 1, 1, generator=generator) - 1)
    return (moved * light * colour).clamp(0, 1).contiguous(memory_format=torch.channels_last)


def _resize(early: Tensor, middle: Tensor, late: Tensor) -> tuple[Tensor, Tensor]:
    """fire3 and fire5 at 32×32, fire5 and fire7 at 16×16."""
    fine = [F.adaptive_avg_pool2d(early, 32), F.interpolate(middle, size=32, mode="bilinear")]
    coarse = [
        F.interpolate(middle, size=16, mode="bilinear", antialias=True),
        F.interpolate(late, size=16, mode="bilinear"),
    ]
    return torch.cat(fine, 1), torch.cat(coarse, 1)


def train_and_save(data: Path, teacher: Path, weights: Path, recipe: Recipe = RECIPE) -> IndexEntry:
    """Trains the shared encoder and saves it as `encoder/shared.safetensors`.

    An interrupted training resumes from its last finished epoch.

    Args:
        data: categories in MVTec AD layout.
        teacher: SqueezeNet 1.1's weights as safetensors.

    Raises:
        DataError: no category, or no usable teacher.
    """
    layers = load_teacher(teacher)
    images, names = load_photos(data, recipe.seed, NEU_STEP)
    checkpoint = checkpoint_path(MODEL, NAME)
    network, history = train_encoder(images, layers, recipe, checkpoint=checkpoint)
    metadata = encoder_metadata(names, len(images), recipe, history)
    entry = save(weights, network.state_dict(), {}, metadata)
    checkpoint.unlink(missing_ok=True)
    return entry


def encoder_metadata(names: list[str], images: int, recipe: Recipe, history: History) -> Metadata:
    """The header of the shared encoder's file."""
    return Metadata(
        model=MODEL,
        category=NAME,
        dataset=dataset_of(names),
        licence=mvtec.LICENCE,
        training=training_record(
            recipe,
            history,
            images_fit=images,
            corruption="pasted defects on 4 of 5 photos, gaussian noise (sigma 0.3) on 1 of 5",
        ),
        note=f"Trained on the training photos of {', '.join(names)}, with ImageNet's SqueezeNet "
        "1.1 as its teacher. A DAE starts from it; not a detector by itself.",
    )
