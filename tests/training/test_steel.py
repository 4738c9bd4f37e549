"""The steel classifier: trained, calibrated, and evaluated on photos it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from defect.datasets import neu, rendered
from defect.evaluation.steel import evaluate_classifier
from defect.training import checkpoint as checkpoints
from defect.training import steel
from defect.training.loop import Recipe
from defect.weights.files import read_metadata
from tests.training.interruption import interrupted_after


def test_it_trains_and_is_evaluated_on_what_it_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered.write_steel(tmp_path / "neu", per_class=5)
    monkeypatch.setattr(steel, "RENDERED_PER_CLASS", 1)
    monkeypatch.setattr(checkpoints, "RUNS_FOLDER", tmp_path / "runs")
    recipe = Recipe(epochs=1, batch_size=8)
    entry = steel.train_and_save(tmp_path / "neu", tmp_path / "w", recipe)
    assert read_metadata(tmp_path / "w" / entry.file).test == {}
    evaluate_classifier(tmp_path / "neu", tmp_path / "w")
    metadata = read_metadata(tmp_path / "w" / entry.file)
    assert metadata.calibration["classes"] == list(neu.CLASSES)
    assert metadata.test["count"] == 6
    assert np.sum(metadata.test["confusion"]) == 6
    training = metadata.training
    assert (training.images_fit, training.images_held_out) == (24 + 6, 6)
    # The held-out photos chose no epoch.
    assert (training.epochs_run, training.best_epoch) == (1, None)
    assert not list((tmp_path / "runs").rglob("*.safetensors"))


def test_an_interrupted_training_ends_like_an_unbroken_one(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 256, 256, 3), np.uint8)
    labels, recipe = np.arange(12) % 6, Recipe(epochs=2, batch_size=8)
    checkpoint = tmp_path / "cnn.safetensors"
    unbroken, history = steel.train_classifier(images, labels, recipe)
    with interrupted_after(epoch=1):
        steel.train_classifier(images, labels, recipe, checkpoint)
    resumed, again = steel.train_classifier(images, labels, recipe, checkpoint)
    assert again.loss_curve == history.loss_curve
    for name, tensor in unbroken.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
