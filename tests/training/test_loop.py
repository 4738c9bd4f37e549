"""The training loop: repeatable, resumable after a kill, with early stopping and averaging."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.training.checkpoint import History, load_checkpoint, save_checkpoint, snapshot
from defect.training.loop import Batch, Recipe, split, train
from tests.conftest import ROOT

RECIPE = Recipe(epochs=4, batch_size=4)
IMAGES = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)


def tiny_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 4, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.2), nn.Conv2d(4, 3, 1)
    )


def first_weight(network: nn.Sequential) -> Tensor:
    return network.state_dict()["0.weight"]


def error_of(network: nn.Module, pixels: Tensor) -> Tensor:
    return (network(pixels) - F.avg_pool2d(pixels, 4)).square().mean()


def run(
    network: nn.Sequential,
    *,
    recipe: Recipe = RECIPE,
    checkpoint: Path | None = None,
    killed_at: float = float("inf"),
) -> History:
    """A training that uses all of the loop: dropout, held-out photos and a moving average."""

    def compute_loss(batch: Batch) -> Tensor:
        if batch.epoch >= killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        noise = torch.rand(batch.pixels.shape, generator=batch.generator)
        return error_of(network, batch.pixels + 0.1 * noise)

    held_out = torch.from_numpy(IMAGES[:2]).permute(0, 3, 1, 2) / 255
    return train(
        network,
        IMAGES,
        recipe,
        compute_loss,
        optimizer=torch.optim.Adam(network.parameters(), lr=recipe.learning_rate, fused=True),
        augment=lambda pixels, generator: pixels * torch.rand(1, generator=generator),
        held_out_loss=lambda candidate: error_of(candidate, held_out).item(),
        ema_decay=0.5,
        checkpoint=checkpoint,
    )


def assert_same_tensors(one: nn.Module, two: nn.Module) -> None:
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, two.state_dict()[name]), name


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = tiny_network(), tiny_network(), tiny_network()
    run(one)
    run(two)
    run(other, recipe=Recipe(epochs=4, batch_size=4, seed=1))
    assert_same_tensors(one, two)
    assert not torch.equal(first_weight(one), first_weight(other))
    assert not one.training


def test_a_killed_training_resumes_to_the_same_tensors(tmp_path: Path) -> None:
    unbroken, resumed = tiny_network(), tiny_network()
    whole = run(unbroken)
    checkpoint = tmp_path / "runs/c.safetensors"
    # Killed in the middle of the third epoch, which is then trained from its start.
    program = (
        "from pathlib import Path; from tests.training import test_loop as t; "
        f"t.run(t.tiny_network(), checkpoint=Path({str(checkpoint)!r}), killed_at=2.5)"
    )
    killed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    history = run(resumed, checkpoint=checkpoint)
    assert history.loss_curve == whole.loss_curve and len(history.loss_curve) == 4
    assert history.held_out_curve == whole.held_out_curve
    assert_same_tensors(unbroken, resumed)
    # Everything is done: only the checkpoint is read.
    again = tiny_network()
    assert run(again, checkpoint=checkpoint).loss_curve == whole.loss_curve
    assert_same_tensors(unbroken, again)


def test_the_learning_rate_warms_up_and_falls_along_a_cosine() -> None:
    network, rates = tiny_network(), []
    recipe = Recipe(epochs=4, batch_size=1, learning_rate=0.5)  # 40 steps
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)

    def compute_loss(batch: Batch) -> Tensor:
        rates.append(optimizer.param_groups[0]["lr"])
        return error_of(network, batch.pixels)

    train(
        network,
        IMAGES,
        recipe,
        compute_loss,
        optimizer=optimizer,
        augment=lambda pixels, _: pixels,
    )
    assert rates[0] == pytest.approx(0.04 * 0.5)
    assert max(rates) == pytest.approx(0.5) == rates[5]
    assert rates[-1] == pytest.approx(0.001 * 0.5)
    assert rates[:6] == sorted(rates[:6]) and rates[5:] == sorted(rates[5:], reverse=True)


def test_training_stops_when_held_out_photos_improve_no_more() -> None:
    network, states = tiny_network(), []
    errors = iter([3.0, 1.0, 2.0, 1.5, 1.2, 0.1])

    def held_out_loss(candidate: nn.Module) -> float:
        assert not candidate.training
        states.append(snapshot(candidate))
        return next(errors)

    history = train(
        network,
        IMAGES,
        Recipe(epochs=9, batch_size=8),
        lambda batch: error_of(network, batch.pixels),
        optimizer=torch.optim.Adam(network.parameters()),
        augment=lambda pixels, _: pixels,
        held_out_loss=held_out_loss,
        patience=3,
    )
    assert (history.epoch, history.best_epoch, history.best_loss) == (5, 2, 1.0)
    assert history.held_out_curve == [3.0, 1.0, 2.0, 1.5, 1.2]
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, states[1][name]), name


def test_the_moving_average_is_what_comes_back() -> None:
    weights = []

    def compute_loss(batch: Batch) -> Tensor:
        weights.append(first_weight(network).clone())
        return error_of(network, batch.pixels)

    network = tiny_network()
    train(
        network,
        IMAGES,
        Recipe(epochs=1, batch_size=5),
        compute_loss,
        optimizer=torch.optim.SGD(network.parameters(), lr=1.0),
        augment=lambda pixels, _: pixels,
        ema_decay=0.5,
    )
    # Two steps: the average starts at the weights after the first, weights[1].
    assert not torch.equal(first_weight(network), weights[1])
    live = tiny_network()
    train(
        live,
        IMAGES,
        Recipe(epochs=1, batch_size=5),
        lambda batch: error_of(live, batch.pixels),
        optimizer=torch.optim.SGD(live.parameters(), lr=1.0),
        augment=lambda pixels, _: pixels,
    )
    torch.testing.assert_close(first_weight(network), (weights[1] + first_weight(live)) / 2)


def test_frozen_layers_keep_weights_and_statistics() -> None:
    network = nn.Sequential(tiny_network(), nn.Conv2d(3, 3, 1))
    network[0].requires_grad_(False)
    before = snapshot(network)
    train(
        network,
        IMAGES,
        RECIPE,
        lambda batch: error_of(network, batch.pixels),
        optimizer=torch.optim.Adam(network[1].parameters()),
        augment=lambda pixels, _: pixels,
    )
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    assert changed == {"1.weight", "1.bias"}


def test_split_is_seeded_and_complete() -> None:
    images = np.arange(60)
    fit, held_out = split(images, 3)
    assert sorted([*fit, *held_out]) == list(range(60))
    assert len(held_out) == 12
    assert (split(images, 3)[1] == held_out).all()
    assert not np.array_equal(split(images, 4)[1], held_out)
    with pytest.raises(ValueError, match="15 training photos are too few") as caught:
        split(np.arange(15), 0)
    assert caught.value.args[0].key == "too_few_training_photos"


@pytest.mark.parametrize("damage", ["other training", "half a file", "older version"])
def test_a_checkpoint_that_does_not_fit_is_ignored(tmp_path: Path, damage: str) -> None:
    network = tiny_network()
    optimizer = torch.optim.Adam(network.parameters())
    path = tmp_path / "c.safetensors"
    history = History({"seed": 1}, epoch=5)
    save_checkpoint(path, history, network, network.state_dict(), optimizer)
    resumed = load_checkpoint(path, {"seed": 1}, network, optimizer)
    assert resumed is not None and resumed[0] == history
    if damage == "half a file":
        path.write_bytes(path.read_bytes()[:1000])
    elif damage == "older version":
        path.write_bytes(path.read_bytes().replace(b"param_groups", b"param_sphere"))
    identity = {"seed": 2 if damage == "other training" else 1}
    assert load_checkpoint(path, identity, network, optimizer) is None
