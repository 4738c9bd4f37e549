"""Distilling the extractor: a tiny one from an untrained teacher."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from defect.datasets.samples import DataError
from defect.networks.extractor import Extractor
from defect.training import extractor
from defect.training.checkpoint import History
from defect.training.loop import Recipe
from defect.training.teacher import STAGES
from tests.factories import good_photos
from tests.training.interruption import interrupted_after


def _teacher() -> nn.Sequential:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    layers: nn.Sequential = squeezenet1_1().features[: STAGES[-1] + 1]
    return layers.eval()


def test_it_learns_from_its_teacher_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "STATISTICS_BATCHES", 2)
    layers = _teacher()
    images, checkpoint = good_photos(8, 0), tmp_path / "runs/extractor.safetensors"

    def train(checkpoint: Path | None = None) -> tuple[Extractor, History]:
        torch.manual_seed(0)
        network = Extractor(extractor.TARGET_CHANNELS, 8)
        recipe = Recipe(epochs=3, learning_rate=3e-3, batch_size=4)
        return extractor.train_extractor(
            images, layers, recipe, network=network, checkpoint=checkpoint
        )

    network, history = train()
    assert len(history.loss_curve) == 3 and history.loss_curve[-1] < history.loss_curve[0]
    assert not network.training
    with interrupted_after(epoch=1):
        train(checkpoint)
    for _ in ("resumed", "already done: only the checkpoint is read"):
        again, same = train(checkpoint)
        assert same.loss_curve == history.loss_curve
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, again.state_dict()[name]), name


def test_augmented_photos_stay_photos() -> None:
    pixels = torch.rand(6, 3, 256, 256)
    seen = extractor.augment(pixels, torch.Generator().manual_seed(1))
    assert seen.shape == pixels.shape
    assert float(seen.min()) >= 0 and float(seen.max()) <= 1


def test_without_a_category_nothing_is_distilled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none"):
        extractor.load_photos(tmp_path, 0)
