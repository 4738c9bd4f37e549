"""Trains one autoencoder on one category's defect-free photos (thesis, chapter on training).

Adam under one learning-rate cycle; the epoch kept is the one with the lowest reconstruction error
on a held-out fifth of the normal photos. The thesis's learning rate is 1e-4 over 100 epochs; what
was run instead is in each file's metadata.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from defect.detectors.scoring import to_tensor
from defect.networks.autoencoders import DAE, VAE, Autoencoder, AutoencoderName, build_autoencoder
from defect.training.checkpoint import Progress, load_checkpoint, save_checkpoint, snapshot
from defect.training.corruption import add_gaussian_noise, paste_anomalies
from defect.weights.files import Training

HELD_OUT_SHARE = 0.2
HELD_OUT_LEAST = 8
PATIENCE = 10
KL_ANNEALING_EPOCHS = 10
GRADIENT_NORM = 1.0
BRIGHTNESS_JITTER = 0.08
PASTED_SHARE = 0.75
MASK_WEIGHT = 2.0
STARTED = "the encoder taught on many products (encoder/shared), kept as it is"
CORRUPTIONS = {
    "cae": "none",
    "vae": "none",
    "dae": "pasted defects on 3 of 4 photos, gaussian noise (sigma 0.3) on 1 of 2",
}


@dataclass(frozen=True)
class Recipe:
    """What decides a training's result."""

    epochs: int = 40
    learning_rate: float = 2e-3
    batch_size: int = 16
    seed: int = 0


@dataclass(frozen=True)
class Trained:
    """A trained network in evaluation mode, and how it came about."""

    network: Autoencoder
    training: Training
    fit: np.ndarray
    """N×256×256×3 uint8: the photos the weights were fitted on."""
    held_out: np.ndarray
    """M×256×256×3 uint8: the normal photos only looked at to pick the epoch."""


def split(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Seeded split of N×… images into fit and held-out (a fifth, at least 8)."""
    count = max(HELD_OUT_LEAST, round(len(images) * HELD_OUT_SHARE))
    if len(images) < 2 * HELD_OUT_LEAST:
        raise ValueError(
            f"{len(images)} training photos are too few; at least {2 * HELD_OUT_LEAST} are needed."
        )
    order = np.random.default_rng(seed).permutation(len(images))
    return images[np.sort(order[count:])], images[np.sort(order[:count])]


def pick_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pick_precision(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively; elsewhere it is slower than float32."""
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    else:
        native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if native else torch.float32


def learning_rate_at(share: float, peak: float) -> float:
    """One cycle: up in the first 15 % of the training, down along a cosine to nearly nothing."""
    if share < 0.15:
        return peak * (0.04 + 0.96 * share / 0.15)
    return peak * (0.001 + 0.999 * 0.5 * (1 + math.cos(math.pi * (share - 0.15) / 0.85)))


def train_autoencoder(
    model: AutoencoderName,
    images: np.ndarray,
    recipe: Recipe = Recipe(),
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
        checkpoint: written after every epoch and removed at the end.
        start: weights of a CAE or DAE to start from; its encoder then stays as it is.

    Raises:
        ValueError: too few photos.
    """
    fit, held_out = split(images, recipe.seed)
    device = pick_device()
    precision = pick_precision(device)
    torch.manual_seed(recipe.seed)
    network = build_autoencoder(model).to(device)
    if start is not None:
        network.load_state_dict(start)
        network.encoder.requires_grad_(False)
    learning = [p for p in network.parameters() if p.requires_grad]
    # Fused: the VAE has 26 million parameters, and stepping them one by one took half its time.
    optimizer = torch.optim.Adam(learning, lr=recipe.learning_rate, fused=True)

    identity = {**asdict(recipe), "model": model, "images": len(images), "sum": int(images.sum())}
    if start is not None:
        identity["start"] = sum(float(tensor.double().abs().sum()) for tensor in start.values())
    progress, best = Progress(identity), snapshot(network)
    resumed = load_checkpoint(checkpoint, identity, network, optimizer) if checkpoint else None
    if resumed is not None:
        progress, best = resumed

    steps = math.ceil(len(fit) / recipe.batch_size)
    bar = tqdm(
        total=recipe.epochs * len(fit),
        initial=progress.epoch * len(fit),
        desc=title or model,
        unit="img",
        mininterval=1.0,
        dynamic_ncols=True,
    )
    with bar:
        while progress.epoch < recipe.epochs:
            if progress.epoch - progress.best_epoch >= PATIENCE:
                break
            started = time.perf_counter()
            # Seeded by epoch, so that a resumed training draws what an unbroken one would.
            torch.manual_seed(recipe.seed * 100_003 + progress.epoch)
            draw = torch.Generator().manual_seed(recipe.seed * 100_003 + progress.epoch)
            network.train()
            network.encoder.train(start is None)
            total = 0.0
            for step, batch in enumerate(_batches(fit, recipe.batch_size, draw)):
                share = (progress.epoch + step / steps) / recipe.epochs
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(share, recipe.learning_rate)
                kl_weight = min(1.0, (progress.epoch + step / steps) / KL_ANNEALING_EPOCHS)
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    loss = _loss(network, batch, draw, kl_weight, device)
                loss.backward()
                nn.utils.clip_grad_norm_(learning, GRADIENT_NORM)
                optimizer.step()
                total += loss.item() * len(batch)
                bar.update(len(batch))
                bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
            progress.epoch += 1
            progress.loss_curve.append(total / len(fit))
            error = held_out_loss(network, held_out, recipe.seed, device)
            progress.held_out_curve.append(error)
            if error < progress.best_loss:
                progress.best_loss, progress.best_epoch = error, progress.epoch
                best = snapshot(network)
            progress.seconds += time.perf_counter() - started
            bar.set_postfix(loss=f"{loss.item():.4f}", held_out=f"{progress.best_loss:.4f}")
            if checkpoint:
                save_checkpoint(checkpoint, progress, network, best, optimizer)
    network.load_state_dict(best)
    training = Training(
        epochs_planned=recipe.epochs,
        epochs_run=progress.epoch,
        best_epoch=progress.best_epoch,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        device=device.type,
        precision=str(precision).removeprefix("torch."),
        corruption=CORRUPTIONS[model],
        images_fit=len(fit),
        images_held_out=len(held_out),
        seconds=round(progress.seconds, 1),
        loss_curve=[round(v, 6) for v in progress.loss_curve],
        held_out_curve=[round(v, 6) for v in progress.held_out_curve],
        start="" if start is None else STARTED,
    )
    if checkpoint:
        checkpoint.unlink(missing_ok=True)
    return Trained(network.cpu().eval(), training, fit, held_out)


@torch.inference_mode()
def held_out_loss(
    network: Autoencoder, images: np.ndarray, seed: int, device: torch.device
) -> float:
    """Mean squared error of the normalised reconstruction; a DAE repairs a fixed spoiled copy."""
    network.eval()
    draw = torch.Generator().manual_seed(seed)
    total = 0.0
    for start in range(0, len(images), 16):
        pixels = to_tensor(images[start : start + 16])
        fed = paste_anomalies(pixels, draw)[0] if isinstance(network, DAE) else pixels
        output = network(fed.to(device))
        error = network.normalise(output) - network.normalise(pixels.to(device))
        total += error.square().mean().item() * len(pixels)
    return total / len(images)


def _batches(images: np.ndarray, size: int, draw: torch.Generator) -> Iterator[Tensor]:
    """Shuffled batches in 0..1 with a random brightness."""
    order = torch.randperm(len(images), generator=draw).numpy()
    for start in range(0, len(order), size):
        pixels = to_tensor(images[order[start : start + size]])
        gain = 1 + BRIGHTNESS_JITTER * (2 * torch.rand(len(pixels), 1, 1, 1, generator=draw) - 1)
        yield (pixels * gain).clamp_(0, 1)


def _loss(
    network: Autoencoder,
    pixels: Tensor,
    draw: torch.Generator,
    kl_weight: float,
    device: torch.device,
) -> Tensor:
    """Squared error of the normalised photo, plus the VAE's divergence a pixel value."""
    if isinstance(network, VAE):
        pixels = pixels.to(device)
        output, mean, log_variance = network.sample(pixels)
        error = (output.float() - network.normalise(pixels)).square().mean()
        mean, log_variance = mean.float(), log_variance.float()
        divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        return error + kl_weight * divergence / pixels[0].numel()
    if isinstance(network, DAE):
        corrupted, masks = paste_anomalies(pixels, draw, PASTED_SHARE)
        clean, masks = network.normalise(pixels.to(device)), masks.to(device)
        fed = network.normalise(corrupted.to(device))
        noisy = (torch.rand(len(pixels), 1, 1, 1, generator=draw) < 0.5).to(device)
        fed = torch.where(noisy, add_gaussian_noise(fed, draw), fed)
        output = network.decode(network.encoder(fed))
        return ((output.float() - clean).square() * (1 + MASK_WEIGHT * masks)).mean()
    clean = network.normalise(pixels.to(device))
    return (network.decode(network.encoder(clean)).float() - clean).square().mean()
