"""The shared encoder: learns from its teacher, resumes, and is what a DAE starts from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from defect.datasets.samples import DataError
from defect.training import encoder
from defect.training.autoencoder import train_autoencoder
from defect.training.loop import Recipe
from defect.training.teacher import load_teacher
from defect.weights.files import save
from tests.factories import good_photos
from tests.training.interruption import interrupted_after


def test_it_learns_from_its_teacher_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import squeezenet1_1

    monkeypatch.setattr(encoder, "STATISTICS_BATCHES", 1)
    torch.manual_seed(0)
    path, checkpoint = tmp_path / "teacher.safetensors", tmp_path / "runs/encoder.safetensors"
    safetensors.torch.save_file(squeezenet1_1().state_dict(), path)
    layers = load_teacher(path)
    images, recipe = good_photos(16, 0), Recipe(epochs=2, batch_size=8)
    network, history = encoder.train_encoder(images, layers, recipe)
    assert len(history.loss_curve) == 2 and history.loss_curve[1] < history.loss_curve[0]
    with interrupted_after(epoch=1):
        encoder.train_encoder(images, layers, recipe, checkpoint=checkpoint)
    resumed, again = encoder.train_encoder(images, layers, recipe, checkpoint=checkpoint)
    assert again.loss_curve == history.loss_curve
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name

    assert encoder.shared_encoder(tmp_path) is None
    metadata = encoder.encoder_metadata(["stripes"], len(images), recipe, history)
    # Nothing was held out, so nothing is stated about it.
    assert (metadata.training.best_epoch, metadata.training.images_held_out) == (None, None)
    save(tmp_path, network.state_dict(), {}, metadata)
    start = encoder.shared_encoder(tmp_path)
    assert start is not None
    trained = train_autoencoder("dae", images, Recipe(epochs=1, batch_size=8), start=start)
    assert np.isfinite(trained.training.held_out_curve).all()


def test_another_teacher_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(3)}, path)
    for wrong in (path, tmp_path / "absent.safetensors"):
        with pytest.raises(DataError, match=rf'"{wrong.name}" does not hold .* --teacher'):
            load_teacher(wrong)
