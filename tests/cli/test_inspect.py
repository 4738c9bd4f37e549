"""`inspect`, `teach` and `export` as somebody types them: exit statuses, paths, one sentence."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

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


def test_sub_folders_are_read_and_rows_say_which(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("monday", "tuesday/night"):
        (tmp_path / "line" / folder).mkdir(parents=True)
        shutil.copy(GOOD, tmp_path / "line" / folder / "001.jpg")
    out = tmp_path / "report"
    assert main([*CAE, str(tmp_path / "line"), "--out", str(out)]) == 0
    rows = list(csv.DictReader((out / "report.csv").open(encoding="utf-8-sig")))
    assert [row["file"] for row in rows] == ["monday/001.jpg", "tuesday/night/001.jpg"]
    assert (out / "report.csv").read_bytes().startswith(b"\xef\xbb\xbffile,")
    assert "tuesday/night/001.jpg: normal." in capsys.readouterr().out


def test_what_is_skipped_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(GOOD, tmp_path)
    for i in range(12):
        (tmp_path / f"notes_{i:02d}.txt").write_text("no photo")
    assert main([*CAE, str(tmp_path)]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith("12 files skipped, not pictures by name: notes_00.txt, ")
    assert line.endswith("notes_09.txt and 2 more.")
    for name in ("a.cr2", "b.psd", "c.svg"):
        (tmp_path / name).write_bytes(b"raw")
    assert main([*CAE, str(tmp_path)]) == 4
    assert "3 files not read, of a format not taken: a.cr2, b.psd, c.svg." in (
        capsys.readouterr().out
    )
    assert main([*CAE, str(tmp_path), CHIP]) == 3


def test_notes_of_the_reading_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open(GOOD) as image:
        frame = image.convert("P")
    frame.save(tmp_path / "turning.gif", save_all=True, append_images=[frame.rotate(9)])
    assert main([*CAE, str(tmp_path / "turning.gif")]) in (0, 3)
    assert "only its first frame was used" in capsys.readouterr().out
    with Image.open(GOOD) as image:
        image.save(tmp_path / "pages.tif", save_all=True, append_images=[image, image])
    out = tmp_path / "report"
    main([*CAE, str(tmp_path / "pages.tif"), "--out", str(out)])
    rows = csv.DictReader((out / "report.csv").open(encoding="utf-8-sig"))
    assert [row["file"] for row in rows] == [f"pages.tif (page {n})" for n in (1, 2, 3)]


def test_names_that_are_no_utf_8_do_not_end_a_batch(tmp_path: Path) -> None:
    folder = tmp_path / "line"
    folder.mkdir()
    for raw in ("零件.jpg".encode("gbk"), b"\xff\xfe.jpg"):
        try:
            (folder / os.fsdecode(raw)).write_bytes(Path(GOOD).read_bytes())
        except OSError:
            pytest.skip("this disk takes UTF-8 names only")
    out = tmp_path / "report"
    command = [sys.executable, "-m", "defect", *CAE, str(folder), "--out", str(out)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, cwd=ROOT, capture_output=True, env=environment)
    assert run.returncode == 0, run.stderr
    rows = list(csv.DictReader((out / "report.csv").open(encoding="utf-8-sig")))
    assert "零件.jpg" in {row["file"] for row in rows}
    assert len(rows) == json.loads((out / "manifest.json").read_text())["counts"]["photos"] == 2


def broken_ones(folder: Path, count: int) -> None:
    """Photos that cannot be read, each in another way."""
    whole = Path(GOOD).read_bytes()
    ways = [
        b"",
        b"no picture",
        whole[:300],
        b"\x89PNG\r\n\x1a\n torn",
        b"GIF89a" + bytes(20),
        b"II*\0" + bytes(50),
    ]
    for i in range(count):
        (folder / f"broken_{i:03d}.jpg").write_bytes(ways[i % len(ways)])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_batch_of_a_thousand_ends_with_the_right_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = tmp_path / "line", tmp_path / "report"
    folder.mkdir()
    for i in range(950):
        (folder / f"part_{i:03d}.jpg").hardlink_to(small(tmp_path, CHIP if i % 19 == 0 else GOOD))
    broken_ones(folder, 50)
    assert main([*CAE, str(folder), "--out", str(out)]) == 3
    rows = list(csv.DictReader((out / "report.csv").open(encoding="utf-8-sig")))
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts == {"photos": 1000, "defective": 50, "normal": 900, "not_read": 50}
    assert Counter(row["verdict"] for row in rows) == {
        "defective": 50,
        "normal": 900,
        "not read": 50,
    }
    assert len(json.loads((out / "regions.json").read_text())) == 950
    assert capsys.readouterr().out.count(": not read. ") == 50


def small(folder: Path, photo: str) -> Path:
    target = folder / Path(photo).name
    if not target.exists():
        with Image.open(photo) as image:
            image.resize((256, 256)).save(target, quality=95)
    return target
