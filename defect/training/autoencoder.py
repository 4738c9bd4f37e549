"""Trains, calibrates and saves one autoencoder on one category (thesis, chapter on training).

The held-out fifth of the normal photos picks the epoch and sets the normal limit. The thesis
trained for 100 epochs at a learning rate of 1e-4; each weights file's header states what was done
instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from defect.datasets import mvtec, provenance
from defect.datasets.samples import load_images
from defect.detectors.scoring import to_tensor
from defect.networks.autoencoders import DAE, VAE, Autoencoder, AutoencoderName, build_autoencoder
from defect.training.calibration import fit_calibration
from defect.training.checkpoint import checkpoint_path
from defect.training.corruption import (
    MASK_WEIGHT,
    add_gaussian_noise,
    jitter_brightness,
    paste_anomalies,
)
from defect.training.encoder import shared_encoder
from defect.training.loop import Batch, Recipe, pick_device, split, train, training_record
from defect.weights.files import Metadata, Training, save
from defect.weights.index import IndexEntry
from defect.weights.quantisation import as_stored

RECIPE = Recipe(epochs=40)
PATIENCE = 10
KL_ANNEALING_EPOCHS = 10
ANOMALY_SHARE = 0.75
NOISE_SHARE = 0.5
SHARED_ENCODER_START = "the shared encoder (encoder/shared), frozen"
CORRUPTIONS = {
    "cae": "none",
    "vae": "none",
    "dae": "pasted defects on 3 of 4 photos, gaussian noise (sigma 0.3) on 1 of 2",
}
"""As the headers state it; the page looks these phrases up to translate them."""


@dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, and how it came about."""

    network: Autoencoder
    training: Training
    fit: np.ndarray
    """N×256×256×3 uint8: the photos the weights were fitted on."""
    held_out: np.ndarray
    """M×256×256×3 uint8: the normal photos used only to pick the epoch."""


def train_autoencoder(
    model: AutoencoderName,
    images: np.ndarray,
    recipe: Recipe = RECIPE,
    *,
    title: str = "",
    checkpoint: Path | None = None,
    start: Mapping[str, Tensor] | None = None,
) -> Trained:
    """Trains from scratch, or from the checkpoint of the same recipe and photos.

    Args:
        model: `cae`, `vae` or `dae`.
        images: N×256×256×3 uint8 defect-free photos, N ≥ 16.
        title: shown before the progress bar.
        checkpoint: written after every epoch.
        start: weights of a CAE or DAE to start from; its encoder stays frozen.

    Raises:
        ValueError: too few photos.
    """
    fit, held_out = split(images, recipe.seed)
    device = pick_device()
    torch.manual_seed(recipe.seed)
    network = build_autoencoder(model).to(device)
    identity: dict[str, str | float] = {"model": model}
    if start is not None:
        network.load_state_dict(start)
        network.encoder.requires_grad_(False)
        identity["start"] = sum(float(tensor.double().abs().sum()) for tensor in start.values())
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    history = train(
        network,
        fit,
        recipe,
        lambda batch: _loss(network, batch),
        # Fused: the VAE has 26 million parameters, and stepping them one by one took half its time.
        optimizer=torch.optim.Adam(trainable, lr=recipe.learning_rate, fused=True),
        augment=jitter_brightness,
        held_out_loss=lambda _: held_out_loss(network, held_out, recipe.seed, device),
        patience=PATIENCE,
        identity=identity,
        checkpoint=checkpoint,
        title=title or model,
    )
    training = training_record(
        recipe,
        history,
        images_fit=len(fit),
        images_held_out=len(held_out),
        corruption=CORRUPTIONS[model],
        start="" if start is None else SHARED_ENCODER_START,
    )
    return Trained(network, training, fit, held_out)


def train_and_save(
    model: AutoencoderName,
    category: str,
    data: Path,
    weights: Path,
    recipe: Recipe = RECIPE,
    images: np.ndarray | None = None,
) -> IndexEntry:
    """Trains one model on one category and saves it with its calibration.

    An interrupted training resumes from its last finished epoch. `images`, N×256×256×3 uint8, are
    the category's training photos where the caller has read them already.

    Raises:
        DataError: there are no training photos.
        ValueError: there are too few.
    """
    if images is None:
        images = load_images(mvtec.train_samples(data, category))
    origin = provenance.of_category(category)
    # What this project renders stays free of the terms of the photos the encoder was trained on.
    pretrained = model == "dae" and origin != provenance.RENDERED
    checkpoint = checkpoint_path(model, category)
    trained = train_autoencoder(
        model,
        images,
        recipe,
        title=f"{model.upper()} {category}",
        checkpoint=checkpoint,
        start=shared_encoder(weights) if pretrained else None,
    )
    # Calibrated as it will be loaded: half precision moves the limits a little.
    trained.network.load_state_dict(as_stored(trained.network.state_dict()))
    calibration = fit_calibration(trained.network, trained.fit, trained.held_out, seed=recipe.seed)
    metadata = Metadata(
        model=model,
        category=category,
        dataset=origin.dataset,
        licence=origin.licence,
        training=trained.training,
        calibration=calibration.numbers(),
        note=origin.note,
    )
    entry = save(weights, trained.network.state_dict(), calibration.tensors(), metadata)
    checkpoint.unlink(missing_ok=True)
    return entry


@torch.inference_mode()
def held_out_loss(
    network: Autoencoder, images: np.ndarray, seed: int, device: torch.device
) -> float:
    """Mean squared error of the normalised reconstruction; a DAE repairs a fixed corrupted copy."""
    network.eval()
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for first in range(0, len(images), 16):
        pixels = to_tensor(images[first : first + 16])
        shown = paste_anomalies(pixels, generator)[0] if isinstance(network, DAE) else pixels
        output = network(shown.to(device))
        error = network.normalise(output) - network.normalise(pixels.to(device))
        total += error.square().mean().item() * len(pixels)
    return total / len(images)


def _loss(network: Autoencoder, batch: Batch) -> Tensor:
    """Squared error of the normalised photo, plus the VAE's divergence per pixel value."""
    pixels = batch.pixels.to(batch.device)
    clean = network.normalise(pixels)
    if isinstance(network, VAE):
        output, mean, log_variance = network.sample(pixels)
        error = (output.float() - clean).square().mean()
        mean, log_variance = mean.float(), log_variance.float()
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        annealing = min(1.0, batch.epoch / KL_ANNEALING_EPOCHS)
        return error + annealing * divergence / pixels[0].numel()
    if isinstance(network, DAE):
        corrupted, masks = paste_anomalies(batch.pixels, batch.generator, ANOMALY_SHARE)
        shown = network.normalise(corrupted.to(batch.device))
        noisy = torch.rand(len(pixels), 1, 1, 1, generator=batch.generator) < NOISE_SHARE
        noise = add_gaussian_noise(shown, batch.generator)
        shown = torch.where(noisy.to(batch.device), noise, shown)
        output = network.decode(network.encoder(shown)).float()
        return ((output - clean).square() * (1 + MASK_WEIGHT * masks.to(batch.device))).mean()
    return (network.decode(network.encoder(clean)).float() - clean).square().mean()
