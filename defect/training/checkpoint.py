"""Checkpoints of an interrupted training: safetensors, like everything this project saves."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn


@dataclass
class Progress:
    """How far a training came."""

    recipe: dict[str, Any]
    """What defines the training; a checkpoint of another recipe is not resumed."""
    epoch: int = 0
    """Epochs finished."""
    best_epoch: int = 0
    best_loss: float = float("inf")
    loss_curve: list[float] = field(default_factory=list)
    held_out_curve: list[float] = field(default_factory=list)
    seconds: float = 0.0


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's weights."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def save_checkpoint(
    path: Path,
    progress: Progress,
    network: nn.Module,
    best: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Writes everything needed to go on after `progress.epoch`, in one step."""
    tensors = {f"network.{k}": v.contiguous() for k, v in network.state_dict().items()}
    tensors |= {f"best.{k}": v.contiguous() for k, v in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{k}": v.contiguous() for k, v in state.items()}
    # The same tensor may be in `network` and `best` right after a best epoch.
    tensors = {k: v.clone() for k, v in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    header = {"progress": json.dumps(asdict(progress))}
    temporary.write_bytes(safetensors.torch.save(tensors, header))
    temporary.replace(path)


def load_checkpoint(
    path: Path,
    recipe: dict[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Restores network and optimizer; `None` where there is nothing to resume for this recipe."""
    if not path.is_file():
        return None
    try:
        with safetensors.safe_open(path, "pt") as file:
            progress = Progress(**json.loads(file.metadata()["progress"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError):
        return None  # half a file from a crash: training starts anew
    if progress.recipe != recipe:
        return None
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "best": {}, "optimizer": {}}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups[group][rest] = tensor
    network.load_state_dict(groups["network"])
    document = optimizer.state_dict()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for name, tensor in groups["optimizer"].items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if tensor.shape == parameter.shape:
            # A fused step walks through memory: the moments must lie there as the weights do.
            tensor = torch.empty_like(parameter).copy_(tensor)
        document["state"].setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict(document)
    return progress, groups["best"]
