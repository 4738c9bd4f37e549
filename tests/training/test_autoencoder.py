"""Training: repeatable, resumable, and it learns; what is saved is what was trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from defect.datasets import neu
from defect.networks.autoencoders import build_autoencoder
from defect.training import steel
from defect.training.autoencoder import Recipe, held_out_loss, split, train_autoencoder
from defect.training.checkpoint import Progress
from defect.training.corruption import add_gaussian_noise, paste_anomalies
from defect.weights.files import read_metadata, save


@pytest.fixture(scope="module")
def stripes() -> np.ndarray:
    """16 blurred-stripe photos: easy to rebuild, no two alike."""
    draw = np.random.default_rng(0)
    x = np.arange(256)
    rows = [127 + 90 * np.sin(x / 9 + shift) for shift in draw.uniform(0, 6, 16)]
    images = np.broadcast_to(np.array(rows)[:, None, :, None], (16, 256, 256, 3))
    return images.astype(np.uint8)


def test_split_is_seeded_and_leaves_nothing_out() -> None:
    images = np.arange(60)
    fit, held_out = split(images, 3)
    assert sorted([*fit, *held_out]) == list(range(60))
    assert len(held_out) == 12
    assert (split(images, 3)[1] == held_out).all()
    assert not np.array_equal(split(images, 4)[1], held_out)
    with pytest.raises(ValueError, match="15 training photos are too few"):
        split(np.arange(15), 0)


def test_same_seed_same_weights_and_it_learns(stripes: np.ndarray) -> None:
    first = train_autoencoder("cae", stripes, Recipe(epochs=3, batch_size=8))
    second = train_autoencoder("cae", stripes, Recipe(epochs=3, batch_size=8))
    other = train_autoencoder("cae", stripes, Recipe(epochs=1, batch_size=8, seed=1))
    for (name, one), two in zip(
        first.network.state_dict().items(), second.network.state_dict().values(), strict=True
    ):
        assert torch.equal(one, two), name
    key = "encoder.0.weight"
    assert not torch.equal(first.network.state_dict()[key], other.network.state_dict()[key])
    curve = first.training.held_out_curve
    assert len(curve) == first.training.epochs_run == 3
    assert first.training.best_epoch == 1 + int(np.argmin(curve))
    assert first.training.loss_curve[-1] < first.training.loss_curve[0]


def test_the_best_epoch_is_what_is_kept(stripes: np.ndarray) -> None:
    trained = train_autoencoder("cae", stripes, Recipe(epochs=2, batch_size=8))
    error = held_out_loss(trained.network, trained.held_out, 0, torch.device("cpu"))
    assert error == pytest.approx(min(trained.training.held_out_curve), rel=1e-3)


def test_an_interrupted_training_ends_like_an_unbroken_one(
    stripes: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = Recipe(epochs=3, batch_size=8)
    unbroken = train_autoencoder("dae", stripes, recipe)
    checkpoint = tmp_path / "dae.safetensors"
    from defect.training import autoencoder

    def killed(*given):
        save(*given)
        if given[1].epoch == 2:
            raise KeyboardInterrupt

    save = autoencoder.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr(autoencoder, "save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train_autoencoder("dae", stripes, recipe, checkpoint=checkpoint)
    resumed = train_autoencoder("dae", stripes, recipe, checkpoint=checkpoint)
    assert resumed.training.loss_curve == pytest.approx(unbroken.training.loss_curve)
    for name, tensor in unbroken.network.state_dict().items():
        assert torch.equal(tensor, resumed.network.state_dict()[name]), name
    assert not checkpoint.exists()


@pytest.mark.parametrize("damage", ["other recipe", "half a file"])
def test_a_checkpoint_that_does_not_fit_is_left_aside(tmp_path: Path, damage: str) -> None:
    from defect.training.checkpoint import load_checkpoint, save_checkpoint

    network = build_autoencoder("cae")
    optimizer = torch.optim.Adam(network.parameters())
    path = tmp_path / "c.safetensors"
    save_checkpoint(path, Progress({"seed": 1}, epoch=5), network, network.state_dict(), optimizer)
    assert load_checkpoint(path, {"seed": 1}, network, optimizer) is not None
    if damage == "half a file":
        path.write_bytes(path.read_bytes()[:1000])
        assert load_checkpoint(path, {"seed": 1}, network, optimizer) is None
    else:
        assert load_checkpoint(path, {"seed": 2}, network, optimizer) is None


def test_vae_stays_finite_and_records_its_epochs(stripes: np.ndarray) -> None:
    trained = train_autoencoder("vae", stripes, Recipe(epochs=1, batch_size=8))
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


def test_weights_say_how_they_were_made(tiny_weights: Path) -> None:
    metadata = read_metadata(tiny_weights / "cae/rendered_cap.safetensors")
    assert (metadata.model, metadata.category) == ("cae", "rendered_cap")
    assert metadata.dataset == "rendered by this project"
    assert (metadata.training.epochs_run, metadata.training.seed) == (1, 0)
    assert metadata.training.images_fit + metadata.training.images_held_out == 20
    assert metadata.calibration["limit"] > 0
    scores = metadata.calibration["normal_scores"]
    assert len(scores) == metadata.training.images_held_out
    assert max(scores) <= 1.0


def test_steel_classifier_trains_and_is_tested_on_what_it_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from defect.datasets import rendered as synthetic

    synthetic.write_steel(tmp_path / "neu", per_class=5)
    monkeypatch.setattr(steel, "RENDERED_A_CLASS", 1)
    recipe = steel.SteelRecipe(epochs=1, batch_size=8)
    entry = steel.train_and_save(tmp_path / "neu", tmp_path / "w", recipe, tmp_path / "runs")
    metadata = read_metadata(tmp_path / "w" / entry.file)
    assert metadata.calibration["classes"] == list(neu.CLASSES)
    assert metadata.test["count"] == 6
    assert np.sum(metadata.test["confusion"]) == 6
    assert metadata.training.images_fit == 24 + 6


def test_a_start_keeps_its_encoder_and_learns_a_decoder(stripes: np.ndarray) -> None:
    torch.manual_seed(5)
    start = build_autoencoder("dae").state_dict()
    trained = train_autoencoder("dae", stripes, Recipe(epochs=1, batch_size=8), start=start)
    learnt = trained.network.state_dict()
    changed = {name for name in start if not torch.equal(start[name], learnt[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    assert "taught on many products" in trained.training.start


def test_the_shared_encoder_learns_from_its_teacher(stripes: np.ndarray, tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    from defect.training import encoder
    from defect.training.autoencoder_run import shared_encoder

    assert shared_encoder(tmp_path) is None
    torch.manual_seed(0)
    teacher = tmp_path / "teacher.safetensors"
    safetensors.torch.save_file(squeezenet1_1().state_dict(), teacher)
    layers = encoder.load_teacher(teacher)
    network, curve, _ = encoder.train_encoder(stripes, layers, epochs=3)
    assert len(curve) == 3 and min(curve[1:]) < curve[0]
    metadata = encoder.describe(["stripes"], len(stripes), curve, 1.0, 0)
    save(tmp_path, network.state_dict(), {}, metadata)
    start = shared_encoder(tmp_path)
    assert start is not None
    trained = train_autoencoder("dae", stripes, Recipe(epochs=1, batch_size=8), start=start)
    assert np.isfinite(trained.training.held_out_curve).all()


def test_another_teacher_is_refused(tmp_path: Path) -> None:
    from defect.datasets.samples import DataError
    from defect.training.encoder import load_teacher

    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    for wrong in (path, tmp_path / "absent.safetensors"):
        with pytest.raises(DataError, match=rf'"{wrong.name}" does not hold .* --teacher'):
            load_teacher(wrong)
