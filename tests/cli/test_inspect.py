"""`inspect`, `teach` and `export` as somebody types them: exit statuses, paths, one sentence."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from defect.cli import main
from tests.conftest import EXAMPLES, ROOT
from tests.factories import good_photos, write_extractor, write_photos

GOOD, CHIP = (str(EXAMPLES / f"rendered_cap/{name}.jpg") for name in ("good", "chip"))
CAE = ["inspect", "cae", "rendered_cap"]


@pytest.fixture
def torn(tmp_path: Path) -> str:
    (tmp_path / "torn.png").write_bytes(b"no")
    return str(tmp_path / "torn.png")


def test_exit_status_and_a_line_a_photo(torn: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CAE, GOOD]) == 0
    assert capsys.readouterr().out.startswith("good.jpg: normal. Peak anomaly 0.")
    assert main([*CAE, GOOD, CHIP]) == 3
    assert "\nchip.jpg: defective. Peak anomaly 3." in capsys.readouterr().out
    assert main([*CAE, GOOD, torn]) == 4
    assert 'torn.png: not read. "torn.png" is not a picture' in capsys.readouterr().out
    assert main([*CAE, torn, CHIP]) == 3  # a defect weighs more than a photo that cannot be read


def test_the_threshold_decides_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CAE, CHIP, "--threshold", "50"]) == 0
    assert main([*CAE, GOOD, "--threshold", "0.01"]) == 3
    capsys.readouterr()
    for threshold in ("0", "nan", "-1", "inf"):
        assert main([*CAE, GOOD, f"--threshold={threshold}"]) == 1
        assert "above 0" in capsys.readouterr().err


def test_a_tilde_in_an_option_is_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shell leaves `--out=~/x` as it is."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main([*CAE, GOOD, "--out=~/report"]) == 0
    rows = list(csv.DictReader((tmp_path / "report/report.csv").open(encoding="utf-8-sig")))
    assert [row["file"] for row in rows] == ["good.jpg"]
    assert json.loads((tmp_path / "report/manifest.json").read_text())["complete"] is True
    assert not (tmp_path / "~").exists()


def test_a_part_is_taught_and_inspected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    weights = ["--weights", str(write_extractor(tmp_path / "weights"))]
    photos = good_photos(10, 0)
    photos[9, 100:130, 100:130] = 255
    photos = photos.repeat([2, *[1] * 9], 0)  # the first one twice
    paths = [str(path) for path in write_photos(tmp_path / "photos", photos)]
    good, defective = paths[:-1], paths[-1]
    assert main(["teach", *good, "--out=~/part.safetensors", *weights]) == 0
    printed = capsys.readouterr().out
    assert "from 9 photos; expect about 1 false alarm in" in printed and "is a copy" in printed

    file, report = str(tmp_path / "part.safetensors"), tmp_path / "report"
    assert main(["inspect", file, good[0], *weights]) == 0
    assert main(["inspect", file, defective, "--out", str(report), *weights]) == 3
    (row,) = csv.DictReader((report / "report.csv").open(encoding="utf-8-sig"))
    assert (row["model"], row["category"], row["verdict"]) == ("memory", "my_part", "defective")
    manifest = json.loads((report / "manifest.json").read_text())
    assert manifest["category"] == "my_part"
    capsys.readouterr()

    assert main(["inspect", str(tmp_path / "none.safetensors"), defective, *weights]) == 1
    error = capsys.readouterr().err
    assert 'There is no file "none.safetensors"' in error and str(tmp_path) not in error


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["inspect", "cae", GOOD], "Which category, and which photos"),
        (["inspect", "resnet", "bottle", GOOD], 'no model "resnet"'),
        (["inspect", "cae", "teapot", GOOD], "teapot"),
        (["inspect", "cae", "rendered_cap", "s3://bucket/line"], "--engine ray"),
        (["teach", "s3://bucket/line"], "--engine ray"),
        (["export", "cae"], "Which category"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("defect: ") and text in error and error.count("\n") == 1


def test_a_folder_without_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("No photo.")
    assert main([*CAE, str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert "1 file skipped" in captured.out and "no photos" in captured.err


def test_the_module_runs_and_help_does_not_load_torch() -> None:
    code = (
        "import sys, defect.cli\n"
        "try: defect.cli.main(['inspect', '--help'])\n"
        "except SystemExit: print(sorted({'torch', 'gradio', 'ray'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stdout + run.stderr
    command = [sys.executable, "-m", "defect", "--help"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0 and "inspect" in run.stdout and "teach" in run.stdout
