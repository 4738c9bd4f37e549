"""The steel classifier: six probabilities, a class, and where it looked."""

from __future__ import annotations

import numpy as np
import pytest

from defect import load
from defect.datasets.neu import CLASSES
from defect.detectors.steel import SteelClassifier
from defect.imaging.photo import ImageError
from tests.conftest import EXAMPLES

STEEL = sorted((EXAMPLES / "rendered_steel").glob("*.jpg"))


@pytest.fixture(scope="module")
def classify() -> SteelClassifier:
    return load("cnn")


def test_two_examples_of_each_class_are_bundled() -> None:
    assert [path.stem for path in STEEL] == [f"{name}_{k}" for name in CLASSES for k in (1, 2)]


def test_every_bundled_example_is_named_right(classify: SteelClassifier) -> None:
    named = {path.stem: result.label for path, result in zip(STEEL, classify(STEEL), strict=True)}
    assert named == {f"{name}_{k}": name for name in CLASSES for k in (1, 2)}


def test_probabilities_and_map(classify: SteelClassifier) -> None:
    result = classify(STEEL[0])
    assert tuple(result.probabilities) == CLASSES
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert result.confidence == result.probabilities[result.label]
    assert result.confidence == max(result.probabilities.values())
    assert result.cam.ndim == 2
    assert 0 <= result.cam.min() <= result.cam.max() <= 1
    assert result.photo.shape == (200, 200, 3)
    assert result.weights.file == "cnn/neu.safetensors"


def test_steel_is_known_and_other_things_are_not(classify: SteelClassifier) -> None:
    assert all(result.known for result in classify(STEEL))
    others = [EXAMPLES / name / "good.jpg" for name in ("rendered_cap", "rendered_weave")]
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    for result in classify([*others, noise, np.full((64, 64, 3), 128, np.uint8)]):
        assert not result.known and result.ood_score is not None and result.ood_score > 1


def test_the_margin_is_to_the_second_class(classify: SteelClassifier) -> None:
    result = classify(STEEL[0])
    rest = sorted(result.probabilities.values())
    assert result.margin == pytest.approx(rest[-1] - rest[-2])


def test_grad_cam_agrees_with_gradients(classify: SteelClassifier) -> None:
    """The shortcut through the last layer's weights against autograd (Selvaraju et al. 2017)."""
    import torch

    from defect.detectors.scoring import to_tensor
    from defect.imaging.photo import network_input, read_photo

    path = EXAMPLES / "rendered_steel/scratches_1.jpg"
    result = classify(path)
    pixels = to_tensor(network_input(read_photo(path).pixels)[None].copy())
    network = classify.network
    kept: list[torch.Tensor] = []
    hook = network.features.register_forward_hook(lambda module, given, out: kept.append(out))
    with torch.enable_grad():
        logits = network(pixels)
        gradient = torch.autograd.grad(logits[0, CLASSES.index(result.label)], kept[0])[0]
    hook.remove()
    cam = (gradient.mean((2, 3), keepdim=True) * kept[0]).sum(1)[0].relu().detach().numpy()
    cam /= cam.max()
    assert result.cam.shape == cam.shape
    assert np.abs(result.cam - cam).max() < 0.02


def test_a_list_gives_a_list(classify: SteelClassifier) -> None:
    together = classify(STEEL[:3])
    assert [r.label for r in together] == [classify(path).label for path in STEEL[:3]]
    with pytest.raises(ImageError):
        classify(b"")
