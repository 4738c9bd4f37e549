"""`train all`: what is planned, skipped, resumed and reported."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from defect.datasets.samples import DataError
from defect.training import autoencoder, checkpoint, grid
from defect.training.autoencoder import Recipe
from defect.weights.files import Metadata, Training, read_metadata, save
from defect.weights.index import read_index
from tests.conftest import TINY

RECIPE = Recipe(epochs=1)


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny category, one of noise without test photos, and one with too few photos."""
    monkeypatch.setattr(checkpoint, "RUNS_FOLDER", tmp_path / "runs")
    root = tmp_path / "data"
    shutil.copytree(tiny_data / TINY, root / TINY)
    draw = np.random.default_rng(0)
    for category, count in (("few", 15), ("noise", 16)):
        (root / category / "train/good").mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(root / category / f"train/good/{i:02}.png")
    return root


@pytest.fixture
def stub_training(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Autoencoders are saved without training; the list tells which."""
    trained: list[tuple[str, str]] = []

    def save_untrained(model, category, data, weights, recipe, images):
        assert images.shape[1:] == (256, 256, 3)
        trained.append((model, category))
        training = Training(
            images_fit=8, seed=0, device="cpu", precision="float32", seconds=1.0, epochs_run=1
        )
        metadata = Metadata(model, category, "none", "none", training)
        return save(weights, {"w": torch.zeros(2)}, {}, metadata)

    monkeypatch.setattr(autoencoder, "train_and_save", save_untrained)
    return trained


class Evaluation:
    """Stands in for the evaluation, and notes what it was asked for."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def __call__(self, model: str, category: str) -> str:
        self.calls.append((model, category))
        return f"figures of {model} {category}"


def actions(jobs: list[grid.Job]) -> dict[tuple[str, str], str]:
    return {(job.model, job.category): job.action for job in jobs}


def test_the_plan_leaves_out_what_is_listed(data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_weights, tmp_path / "w")
    jobs = grid.plan(data, tmp_path / "w", ["cae", "dae", "memory"])
    assert actions(jobs) == {
        ("cae", "few"): "too few photos",
        ("dae", "few"): "too few photos",
        ("memory", "few"): "train",
        ("cae", "noise"): "train",
        ("dae", "noise"): "train",
        ("memory", "noise"): "train",
        ("cae", TINY): "evaluate",
        ("dae", TINY): "train",
        ("memory", TINY): "train",
    }
    described = grid.format_plan(jobs, 5)
    assert (
        "memory to train (15 photos, one pass); cae dae skipped: 15 photos, at least 16 needed"
        in described
    )
    assert (
        f"{TINY:18}dae to train (12 photos × 5 epochs); memory to train (20 photos, one pass); "
        "cae trained, to evaluate" in described
    )
    # Photo views count what is trained by epochs: 2×8 and 12 photos, five times.
    assert "6 to train, 0 done: at most 140 photo views" in described
    again = grid.plan(data, tmp_path / "w", ["cae"], [TINY], again=True)
    assert actions(again) == {("cae", TINY): "train"}


def test_an_interrupted_run_continues_where_it_was(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights, evaluation = tmp_path / "w", Evaluation()
    trained: list[tuple[str, str]] = []
    train = autoencoder.train_and_save

    def killed_at_the_second(model, category, *rest):
        if trained:
            raise KeyboardInterrupt
        trained.append((model, category))
        return train(model, category, *rest)

    jobs = grid.plan(data, weights, ["cae"])
    with monkeypatch.context() as patch:
        patch.setattr(autoencoder, "train_and_save", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            grid.run_grid(jobs, data, weights, RECIPE, evaluation)
    assert trained == [("cae", "noise")]
    before = (weights / "cae/noise.safetensors").read_bytes()

    jobs = grid.plan(data, weights, ["cae"])
    assert actions(jobs)[("cae", "noise")] == "done"
    capsys.readouterr()
    assert not grid.run_grid(jobs, data, weights, RECIPE, evaluation)
    printed = capsys.readouterr().out
    assert "CAE few: skipped, 15 training photos are too few." in printed
    assert "CAE noise" not in printed
    assert f"CAE {TINY}: 1 left to train; time unknown until the first is done" in printed
    assert f"figures of cae {TINY}" in printed
    assert (weights / "cae/noise.safetensors").read_bytes() == before
    assert [entry.category for entry in read_index(weights)] == ["noise", TINY]
    # Evaluated where there are test photos.
    assert evaluation.calls == [("cae", TINY)]


def test_a_run_interrupted_before_evaluating_evaluates(
    data: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = Evaluation()
    jobs = grid.plan(data, tiny_weights, ["cae"], [TINY])

    def no_training(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(autoencoder, "train_and_save", no_training)
    assert grid.run_grid(jobs, data, tiny_weights, RECIPE, evaluation)
    assert evaluation.calls == [("cae", TINY)]


def test_what_is_done_is_not_trained_again(
    data: Path,
    tmp_path: Path,
    stub_training: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = tmp_path / "w"
    jobs = grid.plan(data, weights, ["cae"], ["noise"])
    assert grid.format_plan(jobs, 1).startswith(
        "noise             cae to train (8 photos × 1 epochs)\n1 to train, 0 done"
    )
    assert grid.run_grid(jobs, data, weights, RECIPE, Evaluation())
    assert "CAE noise: no test photos of both kinds, so no figures." in capsys.readouterr().out
    done = grid.plan(data, weights, ["cae"], ["noise"])
    assert {job.action for job in done} == {"done"}
    assert "noise             cae done" in grid.format_plan(done, 1)
    assert grid.run_grid(done, data, weights, RECIPE, Evaluation())
    assert stub_training == [("cae", "noise")]
    assert capsys.readouterr().out == ""


def test_a_damaged_photo_costs_its_category_only(
    data: Path,
    tmp_path: Path,
    stub_training: list[tuple[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    (data / "noise/train/good/03.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    jobs = grid.plan(data, tmp_path / "w", ["cae"], ["noise", TINY])
    assert not grid.run_grid(jobs, data, tmp_path / "w", RECIPE, Evaluation())
    assert "CAE noise: skipped. " in capsys.readouterr().out
    assert [entry.category for entry in read_index(tmp_path / "w")] == [TINY]


def test_photos_are_read_once_for_all_models(
    data: Path,
    tmp_path: Path,
    stub_training: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    load = grid.load_images

    def counted(samples):
        read.extend(sample.path.name for sample in samples)
        return load(samples)

    monkeypatch.setattr(grid, "load_images", counted)
    jobs = grid.plan(data, tmp_path / "w", ["cae", "dae"], ["noise"])
    assert grid.run_grid(jobs, data, tmp_path / "w", RECIPE, Evaluation())
    assert len(read) == 16
    assert stub_training == [("cae", "noise"), ("dae", "noise")]
    assert len(read_index(tmp_path / "w")) == 2


def test_the_exit_status_tells_whether_anything_was_skipped(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from defect.__main__ import main

    arguments = ["train", "all", TINY, "--models", "cae", "--epochs", "1"]
    folders = ["--data", str(data), "--weights", str(tmp_path / "w")]
    assert main([*arguments, *folders]) == 0
    assert [entry.file for entry in read_index(tmp_path / "w")] == [f"cae/{TINY}.safetensors"]
    printed = capsys.readouterr().out
    assert printed.startswith(f"{TINY:18}cae to train (12 photos × 1 epochs)\n1 to train, 0 done")
    assert f"cae {TINY}" in printed and "image AUROC" in printed
    test = read_metadata(tmp_path / f"w/cae/{TINY}.safetensors").test
    assert (test["image"]["normal"], test["image"]["defective"]) == (4, 6)
    arguments[2:3] = [TINY, "few"]
    assert main([*arguments, *folders]) == 1
    assert f"{TINY:18}cae done" in capsys.readouterr().out


def test_time_left_follows_the_measured_pace(tiny_weights: Path) -> None:
    jobs = [grid.Job("cae", name, 125, 100, "train") for name in ("a", "b")]
    pace = grid.Pace(epochs=36)
    pace.views, pace.seconds = {"cae": 1000.0}, {"cae": 20.0}
    assert pace.time_left(jobs) == "2 left to train, at most 2 min at 50 img/s"
    jobs.append(grid.Job("vae", "a", 1250, 10_000, "train"))
    # A model not measured yet is taken to be as fast as the others.
    assert pace.time_left(jobs) == "3 left to train, at most 2 h 02 min at 50 img/s"
    pace.record("vae", tiny_weights / f"cae/{TINY}.safetensors")
    training = read_metadata(tiny_weights / f"cae/{TINY}.safetensors").training
    assert pace.rate("vae") == pytest.approx(12 / training.seconds)


def test_nothing_to_train_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no category in the data folder"):
        grid.plan(tmp_path, tmp_path / "w", ["cae"])
    with pytest.raises(DataError, match='No training photos for "teapot"'):
        grid.plan(tmp_path, tmp_path / "w", ["cae"], ["teapot"])
