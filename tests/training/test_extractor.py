"""Distilling the extractor: a tiny one from a teacher nobody trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from defect.datasets.samples import DataError
from defect.networks.extractor import Extractor
from defect.training import extractor
from defect.training.encoder import TEACHER_STAGES
from tests.memory_photos import good_photos


def _teacher() -> nn.Sequential:
    from torchvision.models import squeezenet1_1

    torch.manual_seed(0)
    layers: nn.Sequential = squeezenet1_1().features[: TEACHER_STAGES[-1] + 1]
    return layers.eval()


def test_it_learns_what_the_teacher_sees_and_goes_on_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "BATCH_SIZE", 4)
    monkeypatch.setattr(extractor, "_STATISTICS_BATCHES", 2)
    images, checkpoint = good_photos(8, 0), tmp_path / "runs/extractor.safetensors"

    def train() -> tuple[Extractor, list[float], float]:
        network = Extractor(extractor.TERMS, 8)
        return extractor.train_extractor(
            images, _teacher(), 3, network=network, checkpoint=checkpoint
        )

    network, curve, _ = train()
    assert len(curve) == 3 and curve[-1] < curve[0]
    assert not network.training
    again, same, _ = train()  # everything is done: only the checkpoint is read
    assert same == curve
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor)


def test_augmented_photos_stay_photos() -> None:
    pixels = torch.rand(6, 3, 256, 256)
    seen = extractor.augment(pixels, torch.Generator().manual_seed(1))
    assert seen.shape == pixels.shape
    assert float(seen.min()) >= 0 and float(seen.max()) <= 1


def test_without_a_category_nothing_is_distilled(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds none"):
        extractor.photos(tmp_path, 0)
