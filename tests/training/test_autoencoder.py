"""Autoencoders: training is repeatable and learns; what is saved is what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from defect.inspection import Message
from defect.networks.autoencoders import build_autoencoder
from defect.training import checkpoint as checkpoints
from defect.training.autoencoder import (
    Recipe,
    Trained,
    held_out_loss,
    train_and_save,
    train_autoencoder,
)
from defect.training.corruption import add_gaussian_noise, paste_anomalies
from defect.weights.files import read, read_metadata
from tests.conftest import TINY
from tests.training.interruption import interrupted_after

RECIPE = Recipe(epochs=3, batch_size=8)


@pytest.fixture(scope="module")
def stripes() -> np.ndarray:
    """16 photos of blurred stripes: easy to reconstruct, no two alike."""
    draw = np.random.default_rng(0)
    x = np.arange(256)
    rows = [127 + 90 * np.sin(x / 9 + shift) for shift in draw.uniform(0, 6, 16)]
    images = np.broadcast_to(np.array(rows)[:, None, :, None], (16, 256, 256, 3))
    return images.astype(np.uint8)


@pytest.fixture(scope="module")
def trained(stripes: np.ndarray) -> Trained:
    """A CAE trained on the stripes."""
    return train_autoencoder("cae", stripes, RECIPE)


def assert_same_tensors(one: Trained, two: Trained) -> None:
    for name, tensor in one.network.state_dict().items():
        assert torch.equal(tensor, two.network.state_dict()[name]), name


def test_same_seed_same_weights_and_it_learns(stripes: np.ndarray, trained: Trained) -> None:
    assert_same_tensors(trained, train_autoencoder("cae", stripes, RECIPE))
    other = train_autoencoder("cae", stripes, Recipe(epochs=1, batch_size=8, seed=1))
    key = "encoder.0.weight"
    assert not torch.equal(trained.network.state_dict()[key], other.network.state_dict()[key])
    curve = trained.training.held_out_curve
    assert len(curve) == trained.training.epochs_run == 3
    assert trained.training.best_epoch == 1 + int(np.argmin(curve))
    assert trained.training.loss_curve[-1] < trained.training.loss_curve[0]


def test_the_best_epoch_is_returned(trained: Trained) -> None:
    error = held_out_loss(trained.network, trained.held_out, 0, torch.device("cpu"))
    assert error == pytest.approx(min(trained.training.held_out_curve), rel=1e-3)


def test_an_interrupted_training_ends_like_an_unbroken_one(
    stripes: np.ndarray, tmp_path: Path
) -> None:
    recipe = Recipe(epochs=2, batch_size=8)
    unbroken = train_autoencoder("dae", stripes, recipe)
    checkpoint = tmp_path / "dae.safetensors"
    with interrupted_after(epoch=1):
        train_autoencoder("dae", stripes, recipe, checkpoint=checkpoint)
    resumed = train_autoencoder("dae", stripes, recipe, checkpoint=checkpoint)
    assert resumed.training.loss_curve == unbroken.training.loss_curve
    assert_same_tensors(unbroken, resumed)


def test_vae_stays_finite_and_records_its_epochs(stripes: np.ndarray) -> None:
    trained = train_autoencoder("vae", stripes, Recipe(epochs=1, batch_size=8))
    assert len(trained.training.loss_curve) == trained.training.epochs_run == 1
    assert np.isfinite(trained.training.loss_curve).all()
    assert all(torch.isfinite(p).all() for p in trained.network.parameters())


def test_corruptions() -> None:
    draw = torch.Generator().manual_seed(0)
    noisy = add_gaussian_noise(torch.zeros(4, 3, 256, 256), draw)
    assert noisy.std() == pytest.approx(0.3, rel=0.01)
    pasted, masks = paste_anomalies(torch.rand(16, 3, 256, 256, generator=draw), draw)
    assert masks.shape == (16, 1, 256, 256)
    assert 0 <= pasted.min() <= pasted.max() <= 1
    assert (masks.amax((1, 2, 3)) > 0).float().mean() > 0.5


def test_weights_state_how_they_were_made(tiny_weights: Path) -> None:
    metadata = read_metadata(tiny_weights / f"cae/{TINY}.safetensors")
    assert (metadata.model, metadata.category) == ("cae", TINY)
    assert metadata.dataset == "rendered by this project"
    training = metadata.training
    assert (training.epochs_run, training.seed, training.images_fit) == (1, 0, 12)
    assert training.images_held_out == 20 - 12
    assert metadata.calibration["limit"] > 0
    scores = metadata.calibration["normal_scores"]
    assert len(scores) == training.images_held_out
    assert max(scores) <= 1.0


def test_the_checkpoint_goes_once_the_weights_are_saved(
    tiny_data: Path, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "RUNS_FOLDER", tmp_path / "runs")
    checkpoint = tmp_path / f"runs/cae/{TINY}.safetensors"
    with interrupted_after(epoch=1):
        train_and_save("cae", TINY, tiny_data, tmp_path / "w", Recipe(epochs=1))
    assert checkpoint.is_file()
    train_and_save("cae", TINY, tiny_data, tmp_path / "w", Recipe(epochs=1))
    assert not checkpoint.exists()
    before = read(tiny_weights, "cae", TINY)
    for name, tensor in read(tmp_path / "w", "cae", TINY).network.items():
        assert torch.equal(tensor, before.network[name]), name


def test_too_few_photos_are_refused(stripes: np.ndarray) -> None:
    with pytest.raises(ValueError, match="15 training photos are too few") as caught:
        train_autoencoder("cae", stripes[:15])
    assert isinstance(caught.value.args[0], Message)


def test_a_start_keeps_its_encoder_and_learns_a_decoder(stripes: np.ndarray) -> None:
    torch.manual_seed(5)
    start = build_autoencoder("dae").state_dict()
    trained = train_autoencoder("dae", stripes, Recipe(epochs=1, batch_size=8), start=start)
    learnt = trained.network.state_dict()
    changed = {name for name in start if not torch.equal(start[name], learnt[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert "shared encoder" in trained.training.start
