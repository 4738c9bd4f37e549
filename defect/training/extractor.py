"""Distils the feature extractor: from random weights, it learns to compute what a teacher computes.

Photos of many products and rendered textures, strongly augmented, go through the teacher
(ImageNet's SqueezeNet 1.1) and through our smaller network. It learns to match the teacher at every
position: in value (squared error of standardised channels) and in direction (cosine), in the manner
of Bergmann et al., "Uninformed Students" (CVPR 2020). The extractor alone runs later.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.datasets import mvtec, rendered
from defect.imaging.photo import network_input
from defect.networks.extractor import Extractor
from defect.training import teacher as teaching
from defect.training.checkpoint import History, checkpoint_path
from defect.training.corruption import paste_anomalies
from defect.training.encoder import vary
from defect.training.loop import Batch, Recipe, pick_device, train, training_record
from defect.training.teacher import Teacher, dataset_of, load_teacher
from defect.weights.files import Metadata, save
from defect.weights.index import IndexEntry
from defect.weights.quantisation import as_stored

MODEL, NAME = "extractor", "shared"
RECIPE = Recipe(epochs=32, learning_rate=3e-3)
ANOMALY_SHARE = 0.5
BLEND_SHARE = 0.25
CLOSE_UP_SHARE = 0.25
"""Part of the photos seen close up: a sixteenth to a quarter of the area fills the view."""
COSINE_WEIGHT = 0.5
EMA_DECAY = 0.998
NEU_STEP = 3
RENDERED_PRODUCTS, RENDERED_STEEL = 60, 12
"""Rendered photos per category and per steel class; their seeds are far from the data sets'."""
RENDERED_SEED = 700_000
TARGET_CHANNELS = (384, 384)
"""fire3 and fire5 at stride 8, fire7 at stride 16."""
STATISTICS_BATCHES = 8


def load_photos(data: Path, seed: int) -> tuple[np.ndarray, list[str]]:
    """What the extractor learns from: N×256×256×3 uint8, and the names of their sources.

    Raises:
        DataError: there is no category.
    """
    images, names = teaching.load_photos(data, seed, NEU_STEP)
    return np.concatenate([images, _rendered_photos()]), [*names, "rendered parts"]


def _rendered_photos() -> np.ndarray:
    pictures = [
        rendered.render(name, RENDERED_SEED + k).image
        for name in rendered.CATEGORIES
        for k in range(RENDERED_PRODUCTS)
    ]
    pictures += [
        rendered.render_steel(name, RENDERED_SEED + k)
        for name in rendered.STEEL_CLASSES
        for k in range(RENDERED_STEEL)
    ]
    return np.stack([network_input(picture) for picture in pictures])


def augment(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """N×3×256×256 in 0..1 → the same photos in many variations, some of them unnatural."""
    n, _, side, _ = pixels.shape
    close_up = torch.rand(n, generator=generator) < CLOSE_UP_SHARE
    for i in close_up.nonzero().flatten().tolist():
        size = int(torch.randint(side // 4, side // 2, (1,), generator=generator))
        top, left = torch.randint(0, side - size, (2,), generator=generator).tolist()
        window = pixels[i : i + 1, :, top : top + size, left : left + size]
        pixels[i] = F.interpolate(window, (side, side), mode="bilinear")[0]
    pixels = vary(pixels, generator)
    blend = torch.rand(n, 1, 1, 1, generator=generator) * 0.7
    blend *= torch.rand(n, 1, 1, 1, generator=generator) < BLEND_SHARE
    pixels = (1 - blend) * pixels + blend * pixels[torch.randperm(n, generator=generator)].flip(3)
    pixels = paste_anomalies(pixels, generator, ANOMALY_SHARE)[0]
    gamma = (0.5 * (2 * torch.rand(n, 1, 1, 1, generator=generator) - 1)).exp()
    pixels = pixels.clamp(1e-4, 1) ** gamma
    # Permuted colours and the negative: more kinds of surface than the photos hold.
    unnatural = torch.rand(n, generator=generator).view(-1, 1, 1, 1)
    pixels = torch.where(unnatural < 0.1, pixels[:, [2, 0, 1]], pixels)
    pixels = torch.where(unnatural > 0.95, 1 - pixels, pixels)
    noise = 0.03 * torch.rand(n, 1, 1, 1, generator=generator) ** 2
    pixels = pixels + noise * torch.randn(pixels.shape, generator=generator)
    return pixels.clamp_(0, 1).contiguous(memory_format=torch.channels_last)


def train_extractor(
    images: np.ndarray,
    layers: nn.Sequential,
    recipe: Recipe = RECIPE,
    *,
    network: Extractor | None = None,
    checkpoint: Path | None = None,
) -> tuple[Extractor, History]:
    """Distils an extractor from random weights, or resumes the same training.

    Args:
        images: N×256×256×3 uint8 photos of any products.
        layers: what `load_teacher` returns.
        network: a fresh one of the shipped size by default.
        checkpoint: written after every epoch.

    Returns:
        the moving average of the weights in evaluation mode, and the training's history.
    """
    device = pick_device()
    torch.manual_seed(recipe.seed)
    student = (network or Extractor(TARGET_CHANNELS)).to(device)
    teacher = Teacher(
        layers,
        images,
        _resize,
        augment,
        batches=STATISTICS_BATCHES,
        seed=recipe.seed + 1,
        device=device,
    )

    def compute_loss(batch: Batch) -> Tensor:
        pixels = batch.pixels.to(batch.device)
        pairs = zip(student(pixels), teacher(pixels), strict=True)
        return torch.stack([_distance(ours.float(), target) for ours, target in pairs]).sum()

    history = train(
        student,
        images,
        recipe,
        compute_loss,
        optimizer=torch.optim.AdamW(
            student.parameters(), lr=recipe.learning_rate, weight_decay=1e-4, fused=True
        ),
        augment=augment,
        ema_decay=EMA_DECAY,
        identity={"model": MODEL},
        checkpoint=checkpoint,
        title="extractor",
    )
    return student, history


def _resize(early: Tensor, middle: Tensor, late: Tensor) -> tuple[Tensor, Tensor]:
    """fire3 and fire5 at 32×32, fire7 at 16×16."""
    fine = [F.adaptive_avg_pool2d(early, 32), F.interpolate(middle, size=32, mode="bilinear")]
    return torch.cat(fine, 1), F.interpolate(late, size=16, mode="bilinear")


def _distance(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared error of the standardised channels, and how far directions differ."""
    cosine = 1 - F.cosine_similarity(features, target, dim=1).mean()
    return (features - target).square().mean() + COSINE_WEIGHT * cosine


def train_and_save(data: Path, teacher: Path, weights: Path, recipe: Recipe = RECIPE) -> IndexEntry:
    """Distils the extractor and saves it as `extractor/shared.safetensors`.

    An interrupted training resumes from its last finished epoch.

    Args:
        data: categories in MVTec AD layout.
        teacher: SqueezeNet 1.1's weights as safetensors.

    Raises:
        DataError: no category, or no usable teacher.
    """
    layers = load_teacher(teacher)
    images, names = load_photos(data, recipe.seed)
    checkpoint = checkpoint_path(MODEL, NAME)
    network, history = train_extractor(images, layers, recipe, checkpoint=checkpoint)
    metadata = Metadata(
        model=MODEL,
        category=NAME,
        dataset=f"{dataset_of(names)}, rendered by this project",
        licence=mvtec.LICENCE,
        training=training_record(
            recipe,
            history,
            images_fit=len(images),
            corruption="photos turned, scaled, relit, blended; pasted defects on 1 of 2",
        ),
        note=f"Trained from random weights on training photos of {', '.join(names)}, with "
        "ImageNet's SqueezeNet 1.1 as its teacher. The memory compares its features; not a "
        "detector by itself.",
    )
    entry = save(weights, as_stored(network.state_dict()), {}, metadata)
    checkpoint.unlink(missing_ok=True)
    return entry
