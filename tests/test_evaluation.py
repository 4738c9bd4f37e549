"""Evaluating and transferring: figures from test photos only, noted where they belong."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from defect.datasets import mvtec
from defect.datasets.samples import DataError, Sample
from defect.evaluation.protocol import evaluate, steel_summary, summary
from defect.evaluation.transfer import transfer, transfer_line
from defect.weights import read, read_index, read_metadata
from tests.conftest import TINY

FILE = f"cae/{TINY}.safetensors"


@pytest.fixture
def weights(tiny_weights: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_weights, tmp_path / "weights")
    return tmp_path / "weights"


def test_figures_go_into_the_file_and_change_nothing_else(weights: Path, tiny_data: Path) -> None:
    before = read(weights, "cae", TINY)
    assert summary(before.metadata).endswith("not measured")
    metadata = evaluate("cae", TINY, tiny_data, weights)
    after = read(weights, "cae", TINY)
    assert after.metadata == metadata
    for name, tensor in before.network.items():
        assert np.array_equal(tensor.numpy(), after.network[name].numpy()), name
    test = metadata.test
    assert (test["image"]["normal"], test["image"]["defective"]) == (4, 6)
    assert set(test["image"]["per_kind"]) == {"chip", "contamination", "crack"}
    assert test["pixel"]["images"] == 10
    for scored in ("image", "thesis_image"):
        auroc = test[scored]["auroc"]
        assert 0 <= auroc["low"] <= auroc["value"] <= auroc["high"] <= 1
    assert "image AUROC" in summary(metadata)


def test_evaluating_twice_gives_the_same(weights: Path, tiny_data: Path) -> None:
    assert evaluate("cae", TINY, tiny_data, weights) == evaluate("cae", TINY, tiny_data, weights)


def test_an_incomplete_test_set_is_refused(weights: Path, tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data / TINY / "test/good", tmp_path / TINY / "test/good")
    with pytest.raises(DataError, match="good and defective test photos"):
        evaluate("cae", TINY, tmp_path, weights)
    assert read_metadata(weights / FILE).test == {}


def test_transfer_ranks_photos_of_another_product(weights: Path, tiny_data: Path) -> None:
    samples = mvtec.test_samples(tiny_data, TINY)
    results = transfer(samples, weights)
    assert [(r.model, r.category) for r in results] == [
        (entry.model, entry.category) for entry in read_index(weights)
    ]
    assert (results[0].thesis.normal, results[0].thesis.defective) == (4, 6)
    # On its own product, transfer is evaluation.
    own = evaluate("cae", TINY, tiny_data, weights).test
    assert results[0].calibrated.auroc.value == pytest.approx(own["image"]["auroc"]["value"])
    assert results[0].thesis.auroc.value == pytest.approx(own["thesis_image"]["auroc"]["value"])
    assert f"{results[0].thesis.auroc.value:.3f}" in transfer_line(results[0])


def test_transfer_needs_both_kinds(weights: Path, tiny_data: Path) -> None:
    good = [Sample(s.path, "good") for s in mvtec.train_samples(tiny_data, TINY)]
    with pytest.raises(DataError, match="good and defective"):
        transfer(good, weights)


def test_the_classifier_s_line() -> None:
    from defect.weights import WEIGHTS_FOLDER

    text = steel_summary(read_metadata(WEIGHTS_FOLDER / "cnn/neu.safetensors"))
    assert "held-out" in text and "macro F1" in text
