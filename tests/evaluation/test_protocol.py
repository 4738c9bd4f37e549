"""Evaluation and transfer: figures from test photos only, saved in the weights' headers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics as reference

from defect.__main__ import main
from defect.datasets import mvtec
from defect.datasets.samples import DataError, Sample, load_images
from defect.detectors.autoencoder import AutoencoderDetector
from defect.detectors.registry import load
from defect.evaluation.protocol import evaluate, has_test
from defect.evaluation.scorecard import summary
from defect.evaluation.transfer import save_transfer, transfer, transfer_line, transfer_means
from defect.imaging.photo import Photo
from defect.weights.files import read, read_metadata, save
from defect.weights.index import read_index
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


def test_scores_are_stored_photo_by_photo(weights: Path, tiny_data: Path) -> None:
    test = evaluate("cae", TINY, tiny_data, weights).test
    samples = mvtec.test_samples(tiny_data, TINY)
    found = load("cae", TINY, folder=weights)([sample.path for sample in samples])
    stored = test["scores"]
    assert stored["kind"] == [sample.kind for sample in samples]
    assert stored["calibrated"] == pytest.approx([i.score for i in found], abs=1e-4)
    assert stored["thesis"] == pytest.approx([i.thesis_score for i in found], abs=2e-6)
    defective = np.array(stored["kind"]) != "good"
    expected = reference.roc_auc_score(defective, stored["calibrated"])
    assert test["image"]["auroc"]["value"] == pytest.approx(expected, abs=1e-6)


def test_baselines_need_no_network(weights: Path, tiny_data: Path) -> None:
    baselines = evaluate("cae", TINY, tiny_data, weights).test["baselines"]
    samples = mvtec.test_samples(tiny_data, TINY)
    photos = load_images(samples).astype(float)
    mean = load_images(mvtec.train_samples(tiny_data, TINY)).astype(float).mean(0)
    labels = [sample.defective for sample in samples]
    assert baselines["all_defective_f1"] == pytest.approx(
        reference.f1_score(labels, [True] * 10), abs=1e-6
    )
    for name, scores in (
        ("brightness_auroc", photos.mean((1, 2, 3))),
        ("mean_image_auroc", np.square(photos - mean).mean((1, 2, 3))),
    ):
        expected = reference.roc_auc_score(labels, scores)
        assert baselines[name]["value"] == pytest.approx(expected, abs=1e-6), name
        assert baselines[name]["low"] <= expected <= baselines[name]["high"]


def test_without_training_photos_one_baseline_is_absent(
    weights: Path, tiny_data: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_data / TINY / "test", tmp_path / TINY / "test")
    test = evaluate("cae", TINY, tmp_path, weights).test
    absent = test["baselines"]["mean_image_auroc"]
    assert absent == {**dict.fromkeys(("value", "low", "high")), "reason": absent["reason"]}
    assert "no training photos" in absent["reason"]
    # Nor are there masks: the reason stands where the figures would.
    assert test["pixel"]["dice"] is None and "no defect pixel" in test["pixel"]["reason"]
    assert "pixel n/a (no defect pixel in the test set)" in summary(read_metadata(weights / FILE))


def test_every_photo_is_inspected_once(
    weights: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Photo] = []
    inspect = AutoencoderDetector._inspect

    def counted(self, photos):
        seen.extend(photos)
        return inspect(self, photos)

    monkeypatch.setattr(AutoencoderDetector, "_inspect", counted)
    evaluate("cae", TINY, tiny_data, weights)
    assert len(seen) == 10


def test_evaluating_twice_gives_the_same(weights: Path, tiny_data: Path) -> None:
    assert evaluate("cae", TINY, tiny_data, weights) == evaluate("cae", TINY, tiny_data, weights)


def test_an_incomplete_test_set_is_refused(weights: Path, tiny_data: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_data / TINY / "test/good", tmp_path / TINY / "test/good")
    with pytest.raises(DataError, match="good and defective test photos"):
        evaluate("cae", TINY, tmp_path, weights)
    assert not has_test(tmp_path, TINY) and has_test(tiny_data, TINY)
    assert read_metadata(weights / FILE).test == {}


def test_transfer_ranks_photos_of_another_product(weights: Path, tiny_data: Path) -> None:
    samples = mvtec.test_samples(tiny_data, TINY)
    results = list(transfer(samples, weights))
    assert [(r.model, r.category) for r in results] == [
        (entry.model, entry.category) for entry in read_index(weights)
    ]
    assert results[0].thesis is not None
    assert (results[0].thesis.normal, results[0].thesis.defective) == (4, 6)
    # On its own product, transfer is evaluation.
    own = evaluate("cae", TINY, tiny_data, weights).test
    assert results[0].calibrated.auroc.value == pytest.approx(own["image"]["auroc"]["value"])
    assert results[0].thesis.auroc.value == pytest.approx(own["thesis_image"]["auroc"]["value"])
    assert f"{results[0].thesis.auroc.value:.3f}" in transfer_line(results[0])
    assert len(transfer_means(results)) == 1
    assert f"{results[0].calibrated.auroc.value:.3f}" in transfer_means(results)[0]


def test_transfer_is_stored_beside_the_test(weights: Path, tiny_data: Path) -> None:
    test = evaluate("cae", TINY, tiny_data, weights).test
    [result] = transfer(mvtec.test_samples(tiny_data, TINY), weights)
    save_transfer(result, "kolektor_sdd", weights)
    save_transfer(result, "kolektor_sdd2", weights)
    metadata = read(weights, "cae", TINY).metadata
    assert metadata.test == test
    assert set(metadata.transfer) == {"kolektor_sdd", "kolektor_sdd2"}
    stored = metadata.transfer["kolektor_sdd"]
    assert stored["thesis_image"]["auroc"] == test["thesis_image"]["auroc"]
    assert (stored["image"]["normal"], stored["image"]["defective"]) == (4, 6)
    assert evaluate("cae", TINY, tiny_data, weights).transfer == metadata.transfer


def test_transfer_names_the_data_set_by_its_layout(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, sample in enumerate(mvtec.test_samples(tiny_data, TINY)):
        mask = np.full((64, 64), 255 * sample.defective, np.uint8)
        for name in (f"kos01/Part{part}", f"two/test/{part}"):
            target = tmp_path / "kolektor" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sample.path, target.with_suffix(sample.path.suffix))
            ending = "_label.png" if "kos" in name else "_GT.png"
            Image.fromarray(mask).save(target.with_name(target.name + ending))
    for folder, dataset in ((tmp_path / "kolektor", "kolektor_sdd"), (None, "kolektor_sdd2")):
        data = str(folder or tmp_path / "kolektor/two")
        assert main(["transfer", "--data", data, "--weights", str(weights)]) == 0
        assert dataset not in read_metadata(weights / FILE).transfer
        assert main(["transfer", "--save", "--data", data, "--weights", str(weights)]) == 0
        stored = read_metadata(weights / FILE).transfer[dataset]
        assert (stored["image"]["normal"], stored["thesis_image"]["defective"]) == (4, 6)
        described = capsys.readouterr().out
        assert f"{dataset}: 10 photos, 6 defective" in described and "cae mean of 1" in described


def test_everything_with_test_photos_is_evaluated(
    weights: Path, tiny_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = read(weights, "cae", TINY)
    own = replace(content.metadata, category="own")
    save(weights, content.network, content.calibration, own)
    assert main(["evaluate", "all", "--data", str(tiny_data), "--weights", str(weights)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert read_metadata(weights / FILE).test["image"]["normal"] == 4
    assert read_metadata(weights / "cae/own.safetensors").test == {}


def test_transfer_needs_both_kinds(weights: Path, tiny_data: Path) -> None:
    good = [Sample(s.path, "good") for s in mvtec.train_samples(tiny_data, TINY)]
    with pytest.raises(DataError, match="good and defective"):
        list(transfer(good, weights))
