"""Checkpoints of an interrupted training: safetensors, like everything this project saves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from defect.weights.index import relative_path

RUNS_FOLDER = Path("runs")


@dataclass
class History:
    """How far a training has come. `epoch` and `best_epoch` count finished epochs, from 1."""

    identity: dict[str, Any]
    """What defines the training; a checkpoint of another one is not resumed."""
    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    loss_curve: list[float] = field(default_factory=list)
    held_out_curve: list[float] = field(default_factory=list)
    seconds: float = 0.0


def checkpoint_path(model: str, category: str) -> Path:
    """`runs/<model>/<category>.safetensors`."""
    return RUNS_FOLDER / relative_path(model, category)


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of the network's weights."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def save_checkpoint(
    path: Path,
    history: History,
    network: nn.Module,
    best: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None = None,
) -> None:
    """Writes everything needed to continue after `history.epoch`, atomically."""
    state = optimizer.state_dict()
    groups: dict[str, Mapping[str, Tensor]] = {"network": network.state_dict(), "best": best}
    if average is not None:
        groups["average"] = average.state_dict()
    for number, values in state["state"].items():
        groups[f"optimizer.{number}"] = values
    # Cloned: safetensors refuses tensors that share memory.
    tensors = {
        f"{group}.{name}": tensor.contiguous().clone()
        for group, values in groups.items()
        for name, tensor in values.items()
    }
    # The learning rate schedule keeps its bounds in the parameter groups.
    header = {
        "history": json.dumps(asdict(history)),
        "param_groups": json.dumps(state["param_groups"]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(safetensors.torch.save(tensors, header))
    temporary.replace(path)


def load_checkpoint(
    path: Path,
    identity: Mapping[str, Any],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None = None,
) -> tuple[History, dict[str, Tensor]] | None:
    """Restores network, optimizer and average.

    Returns:
        the history and the best weights, or None where there is nothing of this training to resume.
    """
    if not path.is_file():
        return None
    try:
        with safetensors.safe_open(path, "pt") as file:
            header = file.metadata()
            history = History(**json.loads(header["history"]))
            param_groups = json.loads(header["param_groups"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError):
        return None  # truncated by a crash, or of an older version: start over
    if history.identity != identity:
        return None
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        groups.setdefault(group, {})[rest] = tensor
    network.load_state_dict(groups["network"])
    if average is not None:
        average.load_state_dict(groups["average"])
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in groups.get("optimizer", {}).items():
        number, _, key = name.partition(".")
        parameter = parameters[int(number)]
        if tensor.shape == parameter.shape:
            # A fused step walks through memory: the moments must be laid out as the weights are.
            tensor = torch.empty_like(parameter).copy_(tensor)
        state.setdefault(int(number), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": param_groups})
    return history, groups["best"]
