"""`train all`: what is planned, left out, gone on with and told."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.__main__ import main
from defect.datasets.samples import DataError
from defect.training import autoencoder_run as run
from defect.training import grid
from defect.training.autoencoder import Recipe
from defect.weights.files import read_metadata
from defect.weights.index import read_index
from tests.conftest import TINY

RECIPE = Recipe(epochs=1)


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny category, one of noise without test photos, and one with too few photos."""
    monkeypatch.setattr(run, "RUNS_FOLDER", tmp_path / "runs")
    root = tmp_path / "data"
    shutil.copytree(tiny_data / TINY, root / TINY)
    draw = np.random.default_rng(0)
    for category, count in (("few", 15), ("noise", 16)):
        (root / category / "train/good").mkdir(parents=True)
        for i in range(count):
            pixels = draw.integers(0, 256, (64, 64, 3), np.uint8)
            Image.fromarray(pixels).save(root / category / f"train/good/{i:02}.png")
    return root


def actions(jobs: list[grid.Job]) -> dict[tuple[str, str], str]:
    return {(job.model, job.category): job.action for job in jobs}


def test_the_plan_leaves_out_what_is_listed(data: Path, tiny_weights: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_weights, tmp_path / "w")
    jobs = grid.plan(data, tmp_path / "w", ["cae", "dae"])
    assert actions(jobs) == {
        ("cae", "few"): "too few",
        ("dae", "few"): "too few",
        ("cae", "noise"): "train",
        ("dae", "noise"): "train",
        ("cae", TINY): "measure",
        ("dae", TINY): "train",
    }
    described = grid.describe(jobs, 5)
    assert "cae dae skipped: 15 photos, 16 are needed" in described
    assert f"{TINY:18}dae to train (12 photos × 5 epochs); cae trained, to measure" in described
    assert "3 to train, 0 done: at most 140 photo views" in described
    again = grid.plan(data, tmp_path / "w", ["cae"], [TINY], again=True)
    assert actions(again) == {("cae", TINY): "train"}


def test_a_killed_run_goes_on_where_it_was(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = tmp_path / "w"
    trained: list[tuple[str, str]] = []
    train = run.train_and_save

    def killed_at_the_second(model, category, *rest, **named):
        if trained:
            raise KeyboardInterrupt
        trained.append((model, category))
        return train(model, category, *rest, **named)

    jobs = grid.plan(data, weights, ["cae"])
    with monkeypatch.context() as patch:
        patch.setattr(run, "train_and_save", killed_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            grid.run_grid(jobs, data, weights, RECIPE)
    assert trained == [("cae", "noise")]
    before = (weights / "cae/noise.safetensors").read_bytes()

    jobs = grid.plan(data, weights, ["cae"])
    assert actions(jobs)[("cae", "noise")] == "nothing"
    capsys.readouterr()
    assert not grid.run_grid(jobs, data, weights, RECIPE)
    described = capsys.readouterr().out
    assert "CAE few: skipped, 15 training photos are too few." in described
    assert "CAE noise" not in described
    assert f"CAE {TINY}: 1 left to train; the time is known after the first" in described
    assert (weights / "cae/noise.safetensors").read_bytes() == before
    assert [entry.category for entry in read_index(weights)] == ["noise", TINY]
    # Measured where there is something to measure with.
    assert read_metadata(weights / f"cae/{TINY}.safetensors").test["image"]["normal"] == 4
    assert read_metadata(weights / "cae/noise.safetensors").test == {}
    done = grid.plan(data, weights, ["cae"], ["noise", TINY])
    assert {job.action for job in done} == {"nothing"}
    assert grid.run_grid(done, data, weights, RECIPE)


def test_a_run_killed_before_measuring_measures(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "w"
    run.train_and_save("cae", TINY, data, weights, RECIPE)
    jobs = grid.plan(data, weights, ["cae"], [TINY])

    def no_training(*given, **named):
        raise AssertionError("trained again")

    monkeypatch.setattr(run, "train_and_save", no_training)
    assert grid.run_grid(jobs, data, weights, RECIPE)
    assert read_metadata(weights / f"cae/{TINY}.safetensors").test["image"]["defective"] == 6


def test_a_torn_photo_costs_its_category_only(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "noise/train/good/03.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    jobs = grid.plan(data, tmp_path / "w", ["cae"], ["noise", TINY])
    assert not grid.run_grid(jobs, data, tmp_path / "w", RECIPE)
    assert "CAE noise: skipped. " in capsys.readouterr().out
    assert [entry.category for entry in read_index(tmp_path / "w")] == [TINY]


def test_photos_are_read_once_for_all_models(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    load = grid.load_images

    def counted(samples):
        read.extend(sample.path.name for sample in samples)
        return load(samples)

    monkeypatch.setattr(grid, "load_images", counted)
    jobs = grid.plan(data, tmp_path / "w", ["cae", "dae"], ["noise"])
    assert grid.run_grid(jobs, data, tmp_path / "w", RECIPE)
    assert len(read) == 16
    assert len(read_index(tmp_path / "w")) == 2


def test_the_exit_status_tells_of_what_was_left_out(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "all", "noise", "--models", "cae", "--epochs", "1"]
    places = ["--data", str(data), "--weights", str(tmp_path / "w")]
    assert main([*arguments, *places]) == 0
    assert [entry.file for entry in read_index(tmp_path / "w")] == ["cae/noise.safetensors"]
    described = capsys.readouterr().out
    assert described.startswith(
        "noise             cae to train (8 photos × 1 epochs)\n1 to train, 0 done"
    )
    assert "CAE noise: no test photos of both kinds, so no figures." in described
    arguments[2:3] = ["noise", "few"]
    assert main([*arguments, *places]) == 1
    assert "noise             cae done" in capsys.readouterr().out


def test_time_left_follows_the_measured_pace(tmp_path: Path, tiny_weights: Path) -> None:
    jobs = [grid.Job("cae", name, 125, 100, "train") for name in ("a", "b")]
    pace = grid._Pace(epochs=36)
    pace.seen, pace.seconds = {"cae": 1000.0}, {"cae": 20.0}
    assert pace.time_left(jobs) == "2 left to train, at most 2 min at 50 img/s"
    jobs.append(grid.Job("vae", "a", 1250, 10_000, "train"))
    # A model not yet measured is taken to be as fast as the others.
    assert pace.time_left(jobs) == "3 left to train, at most 2 h 02 min at 50 img/s"
    pace.note("vae", tiny_weights / f"cae/{TINY}.safetensors")
    training = read_metadata(tiny_weights / f"cae/{TINY}.safetensors").training
    assert pace.rate("vae") == pytest.approx(12 / training.seconds)


def test_nothing_to_train_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no category in the data folder"):
        grid.plan(tmp_path, tmp_path / "w", ["cae"])
    with pytest.raises(DataError, match='No training photos for "teapot"'):
        grid.plan(tmp_path, tmp_path / "w", ["cae"], ["teapot"])
