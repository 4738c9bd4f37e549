"""Starting the app and the command line: what goes wrong is told in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import EXAMPLES, ROOT


def start(
    *arguments: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def _one_sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("defect: ")]
    assert len(said) == 1, done.stderr
    assert str(ROOT) not in said[0]
    return said[0]


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        text = _one_sentence(start("app.py", GRADIO_SERVER_PORT=port))
    assert port in text
    assert "GRADIO_SERVER_PORT" in text


@pytest.mark.parametrize(
    ("damage", "words"),
    [("index", "index.json is damaged"), ("nothing", "There are no autoencoder weights")],
)
def test_weights_that_cannot_be_used_are_told(tmp_path: Path, damage: str, words: str) -> None:
    folder = tmp_path / "project"
    shutil.copytree(
        ROOT / "defect", folder / "defect", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "app.py", folder)
    (folder / "weights").mkdir()
    if damage == "index":
        (folder / "weights/index.json").write_text('{"schema_version": 1, "files": [')
    assert words in _one_sentence(start("app.py", cwd=folder))


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return start("-m", "defect", *arguments, cwd=ROOT, **environment)


def test_inspect_prints_verdicts_and_writes_the_report(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("good.jpg", "chip.jpg"):
        shutil.copy(EXAMPLES / "rendered_cap" / name, tmp_path / "photos")
    with Image.open(EXAMPLES / "rendered_cap/contamination.jpg") as photo:
        photo.save(tmp_path / "photos/dirty.webp")
    (tmp_path / "photos/notes.txt").write_text("not a photo")
    (tmp_path / "photos/torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    out = tmp_path / "out"
    done = run(
        *("inspect", "cae", "rendered_cap", str(tmp_path / "photos")),
        *("--out", str(out)),
    )
    assert done.returncode == 3, done.stderr
    assert "largest region lower right" in done.stdout
    assert "chip.jpg: defective." in done.stdout
    assert "good.jpg: normal." in done.stdout
    assert "torn.png: not read." in done.stdout
    assert "dirty.webp: defective." in done.stdout
    assert "1 file skipped" in done.stdout
    assert (out / "report.csv").read_text().count("\n") == 5
    assert [p.stem for p in sorted(out.glob("masks/*.png"))] == [
        p.stem for p in sorted(out.glob("overlays/*.jpg"))
    ]
    overlays = sorted(p.name for p in (out / "overlays").iterdir())
    assert overlays == ["0001_chip.jpg", "0002_dirty.jpg", "0003_good.jpg"]
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts == {"photos": 4, "defective": 2, "normal": 1, "not_read": 1}
    again = run("inspect", "cae", "rendered_cap", str(EXAMPLES / "rendered_cap"), "--out", str(out))
    assert "already holds a report" in _one_sentence(again)


def test_inspect_answers_calm_photos_with_zero() -> None:
    done = run("inspect", "cae", "rendered_cap", str(EXAMPLES / "rendered_cap/good.jpg"))
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "cae", "bottle"), "DEFECT_DATA"),
        (("train", "cae", "bottle", "--data", "nowhere"), "nowhere"),
        (("train", "cae", "--data", "tests"), "Which category?"),
        (("train", "cae", "bottle", "--data", "tests"), 'No training photos for "bottle"'),
        (("train", "cnn", "bottle", "--data", "tests"), "no categories"),
        (("evaluate", "cae", "bottle", "--data", "tests"), "good and defective test photos"),
        (("train", "all", "--data", "tests"), "no category in the data folder"),
        (("train", "cae", "bottle", "--again", "--data", "tests"), "go with `train all`"),
        (("evaluate", "cae", "--data", "tests"), "Which category?"),
        (("evaluate", "all", "--data", "tests"), "test photos for none"),
        (("results", "--markdown", "LICENSE"), "to put the scorecard between"),
        (("inspect", "cae", "teapot", "x.png"), "teapot"),
        (("inspect", "cae", "rendered_cap", "tests/browser"), "no photos in the folder"),
    ],
)
def test_commands_that_cannot_work_say_why(arguments: tuple[str, ...], words: str) -> None:
    assert words in _one_sentence(run(*arguments, DEFECT_DATA=""))


def test_results_are_printed_from_the_headers() -> None:
    done = run("results")
    assert done.returncode == 0
    assert "bottle" in done.stdout
    assert "six NEU steel classes" in done.stdout


def test_epochs_are_counted_from_one() -> None:
    done = run("train", "cnn", "--epochs", "0", "--data", "tests")
    assert done.returncode == 2
    assert "above 0" in done.stderr
