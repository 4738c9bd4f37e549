"""The bundled weights on real photos. Skipped, with the reason, where there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from defect import load
from defect.datasets import mvtec, neu
from defect.datasets.samples import load_images, load_masks
from defect.evaluation.metrics import image_metrics, pixel_metrics
from defect.imaging.overlay import SCALE_START
from defect.networks.autoencoders import AUTOENCODERS
from defect.training.autoencoder import split
from defect.weights.files import read_metadata
from defect.weights.index import WEIGHTS_FOLDER, read_index

pytestmark = pytest.mark.slow
REAL = [
    (entry.model, entry.category)
    for entry in read_index()
    if entry.category in mvtec.CATEGORIES and entry.model in AUTOENCODERS
]


@pytest.mark.parametrize(("model", "category"), REAL)
def test_held_out_good_photos_stay_calm(real_data: Path, model: str, category: str) -> None:
    """At most 5 % of the held-out split over the limit, at most 10 % of the good test photos."""
    inspect = load(model, category)
    images = load_images(mvtec.train_samples(real_data / "mvtec", category))
    held_out = list(split(images, inspect.metadata.training.seed)[1])
    good = [s.path for s in mvtec.test_samples(real_data / "mvtec", category) if not s.defective]
    for photos, most in ((held_out, 0.05), (good, 0.1)):
        results = inspect(photos)
        assert np.mean([result.defective for result in results]) <= most
        # Calm: of most good photos nearly nothing is coloured at all.
        coloured = [(result.anomaly_map > SCALE_START).mean() for result in results]
        assert np.median(coloured) < 0.05


@pytest.mark.parametrize("model", ["cae", "dae"])
def test_bottle_is_told_apart(real_data: Path, model: str) -> None:
    inspect = load(model, "bottle")
    samples = mvtec.test_samples(real_data / "mvtec", "bottle")
    results = inspect([sample.path for sample in samples])
    labels, kinds = [s.defective for s in samples], [s.kind for s in samples]
    image = image_metrics([r.score for r in results], labels, kinds)
    pixel = pixel_metrics(np.stack([r.anomaly_map for r in results]), *load_masks(samples))
    assert image.auroc.value is not None and image.auroc.value >= 0.97
    assert pixel.auroc is not None and pixel.auroc >= 0.85
    # What the file says of itself is what it does.
    stored = inspect.metadata.test
    assert image.auroc.value == pytest.approx(stored["image"]["auroc"]["value"], abs=0.01)
    assert pixel.auroc == pytest.approx(stored["pixel"]["auroc"], abs=0.01)


def test_steel_classifier_on_held_out_photos(real_data: Path) -> None:
    held_out = neu.split(neu.samples(real_data / "neu"), seed=0)[1]
    assert len(held_out) == 360
    results = load("cnn")([sample.path for sample in held_out])
    right = np.mean([r.label == s.kind for r, s in zip(results, held_out, strict=True)])
    assert right >= 0.994
    stored = read_metadata(WEIGHTS_FOLDER / "cnn/neu.safetensors").test
    assert right == pytest.approx(stored["accuracy"], abs=0.003)
