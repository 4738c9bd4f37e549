"""The training loop that all four networks share.

Adam under one learning-rate cycle, with gradient clipping; optionally early stopping on held-out
photos and an exponential moving average of the weights. Every epoch draws from its own seed and
ends with a checkpoint, so a training resumed after an interruption gives the same tensors as an
unbroken one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from defect.detectors.scoring import to_tensor
from defect.inspection import Message
from defect.training.checkpoint import History, load_checkpoint, save_checkpoint, snapshot
from defect.weights.files import Training

HELD_OUT_SHARE = 0.2
HELD_OUT_LEAST = 8
GRADIENT_NORM = 1.0
WARM_UP_SHARE = 0.15
START_FACTOR, END_FACTOR = 25.0, 40.0
"""The learning rate starts at 1/25 of its peak and ends at 1/40 of that, 1/1000 of the peak."""


@dataclass(frozen=True)
class Recipe:
    """What decides a training's result, besides its photos."""

    epochs: int
    learning_rate: float = 2e-3
    """At the peak of the cycle."""
    batch_size: int = 16
    seed: int = 0


@dataclass(frozen=True)
class Batch:
    """One step's photos."""

    pixels: Tensor
    """N×3×256×256 in 0..1, augmented, on the CPU."""
    indices: np.ndarray
    """N positions in the training photos, for labels."""
    epoch: float
    """Epochs finished, counting the part of the current one."""
    generator: torch.Generator
    """Randomness of this epoch, on the CPU."""
    device: torch.device
    """Where the network is."""


def split(images: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Seeded split of N×… images into those to train on and those held out (a fifth, at least 8).

    Raises:
        ValueError: fewer than 16 images.
    """
    if len(images) < 2 * HELD_OUT_LEAST:
        raise ValueError(
            Message(
                "too_few_training_photos",
                "{count} training photos are too few; at least {least} are needed.",
                count=len(images),
                least=2 * HELD_OUT_LEAST,
            )
        )
    count = max(HELD_OUT_LEAST, round(len(images) * HELD_OUT_SHARE))
    order = np.random.default_rng(seed).permutation(len(images))
    return images[np.sort(order[count:])], images[np.sort(order[:count])]


def train(
    network: nn.Module,
    images: np.ndarray,
    recipe: Recipe,
    compute_loss: Callable[[Batch], Tensor],
    *,
    optimizer: torch.optim.Optimizer,
    augment: Callable[[Tensor, torch.Generator], Tensor],
    held_out_loss: Callable[[nn.Module], float] | None = None,
    patience: int | None = None,
    ema_decay: float | None = None,
    identity: Mapping[str, Any] = {},
    checkpoint: Path | None = None,
    title: str = "",
) -> History:
    """Trains `network` in place, from its current weights or from the checkpoint.

    The network is left with the weights of its best epoch, which without `held_out_loss` is the
    last one, on the CPU in evaluation mode.

    Args:
        network: already on `pick_device()`. Layers whose parameters are all frozen stay in
            evaluation mode.
        images: N×256×256×3 uint8.
        compute_loss: the training step, batch → scalar loss; runs under autocast.
        optimizer: over the trainable parameters; its learning rate is overwritten.
        augment: N×3×256×256 in 0..1 on the CPU and a generator → the same shape and range.
        held_out_loss: the network in evaluation mode → its loss on held-out photos.
        patience: stop after so many epochs without a lower held-out loss.
        ema_decay: train on, but validate and return a moving average of the weights.
        identity: what else defines the training; a checkpoint that differs in it is ignored.
        checkpoint: written after every epoch and left in place for the caller to remove.
        title: shown before the progress bar.
    """
    device = next(network.parameters()).device
    precision = pick_precision(device)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    steps = math.ceil(len(images) / recipe.batch_size)
    average = None
    if ema_decay is not None:
        average = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True
        )
    candidate = network if average is None else average.module

    history = History(
        {**asdict(recipe), "images": len(images), "sum": int(images.sum()), **identity}
    )
    best = snapshot(candidate)
    if checkpoint is not None:
        resumed = load_checkpoint(checkpoint, history.identity, network, optimizer, average)
        if resumed is not None:
            history, best = resumed
    schedule = OneCycleLR(
        optimizer,
        max_lr=recipe.learning_rate,
        total_steps=recipe.epochs * steps,
        pct_start=WARM_UP_SHARE,
        div_factor=START_FACTOR,
        final_div_factor=END_FACTOR,
        cycle_momentum=False,
        last_epoch=history.epoch * steps - 1,  # "epoch" is a step here
    )
    with tqdm(
        total=recipe.epochs * len(images),
        initial=history.epoch * len(images),
        desc=title,
        unit="img",
        mininterval=1.0,
        dynamic_ncols=True,
    ) as bar:
        while history.epoch < recipe.epochs:
            if patience is not None and history.epoch - history.best_epoch >= patience:
                break
            started = time.perf_counter()
            seed = recipe.seed * 100_003 + history.epoch
            torch.manual_seed(seed)  # dropout and the VAE's code draw from the global state
            generator = torch.Generator().manual_seed(seed)
            order = torch.randperm(len(images), generator=generator).numpy()
            _set_training_mode(network)
            total = 0.0
            for step in range(steps):
                indices = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
                pixels = augment(to_tensor(images[indices]), generator)
                batch = Batch(pixels, indices, history.epoch + step / steps, generator, device)
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                    loss = compute_loss(batch)
                loss.backward()
                nn.utils.clip_grad_norm_(trainable, GRADIENT_NORM)
                optimizer.step()
                schedule.step()
                if average is not None:
                    average.update_parameters(network)
                total += loss.item() * len(indices)
                bar.update(len(indices))
                bar.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
            history.epoch += 1
            history.loss_curve.append(total / len(images))
            improved = True
            if held_out_loss is not None:
                error = held_out_loss(candidate.eval())
                improved = error < history.best_loss
                history.best_loss = min(error, history.best_loss)
                history.held_out_curve.append(error)
            if improved:
                history.best_epoch, best = history.epoch, snapshot(candidate)
            history.seconds += time.perf_counter() - started
            if checkpoint is not None:
                save_checkpoint(checkpoint, history, network, best, optimizer, average)
    network.load_state_dict(best)
    network.cpu().eval()
    return history


def training_record(
    recipe: Recipe,
    history: History,
    *,
    images_fit: int,
    images_held_out: int | None = None,
    corruption: str = "",
    start: str = "",
) -> Training:
    """What a weights file's header says about a training."""
    device = pick_device()
    return Training(
        epochs_planned=recipe.epochs,
        epochs_run=history.epoch,
        best_epoch=history.best_epoch if history.held_out_curve else None,
        learning_rate=recipe.learning_rate,
        batch_size=recipe.batch_size,
        seed=recipe.seed,
        device=device.type,
        precision=str(pick_precision(device)).removeprefix("torch."),
        corruption=corruption,
        images_fit=images_fit,
        images_held_out=images_held_out,
        seconds=round(history.seconds, 1),
        loss_curve=[round(value, 6) for value in history.loss_curve],
        held_out_curve=[round(value, 6) for value in history.held_out_curve],
        start=start,
    )


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


def _set_training_mode(network: nn.Module) -> None:
    """Training mode, but not where everything is frozen: there batch norm keeps its statistics."""
    network.train()
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            module.eval()
