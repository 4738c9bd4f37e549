"""Commands as somebody types them: what they print, and why they cannot work, in one sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from defect.cli import main
from tests.conftest import EXAMPLES, ROOT

CAP = EXAMPLES / "rendered_cap"
Captured = pytest.CaptureFixture[str]


def error_of(capsys: Captured) -> str:
    """The one sentence a command failed with."""
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("defect: "), lines
    assert str(ROOT) not in lines[0]
    return lines[0]


def test_inspect_prints_verdicts_and_writes_the_report(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "photos").mkdir()
    for name in ("good.jpg", "chip.jpg"):
        shutil.copy(CAP / name, tmp_path / "photos")
    with Image.open(CAP / "contamination.jpg") as photo:
        photo.save(tmp_path / "photos/dirty.webp")
    (tmp_path / "photos/notes.txt").write_text("not a photo")
    (tmp_path / "photos/torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    out = tmp_path / "out"
    command = ["inspect", "cae", "rendered_cap"]
    assert main([*command, str(tmp_path / "photos"), "--out", str(out)]) == 3
    printed = capsys.readouterr().out
    assert "largest region lower right" in printed
    for line in ("chip.jpg: defective.", "good.jpg: normal.", "torn.png: not read."):
        assert line in printed
    assert "dirty.webp: defective." in printed
    assert "1 file skipped" in printed
    assert (out / "report.csv").read_text().count("\n") == 5
    assert [p.stem for p in sorted(out.glob("masks/*.png"))] == [
        p.stem for p in sorted(out.glob("overlays/*.jpg"))
    ]
    overlays = sorted(p.name for p in (out / "overlays").iterdir())
    assert overlays == ["0001_chip.jpg", "0002_dirty.jpg", "0003_good.jpg"]
    counts = json.loads((out / "manifest.json").read_text())["counts"]
    assert counts == {"photos": 4, "defective": 2, "normal": 1, "not_read": 1}
    assert main([*command, str(CAP), "--out", str(out)]) == 1
    assert "already holds a report" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
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
        (("inspect", "cae", "rendered_cap", "tests/ui/browser"), "no photos in the folder"),
    ],
)
def test_commands_that_cannot_work_say_why(
    arguments: tuple[str, ...], text: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("DEFECT_DATA", "")
    assert main(list(arguments)) not in (0, None)
    assert text in error_of(capsys)


def test_results_are_printed_from_the_headers(capsys: Captured) -> None:
    assert main(["results"]) == 0
    printed = capsys.readouterr().out
    assert "bottle" in printed
    assert "six NEU steel classes" in printed


def test_epochs_are_counted_from_one(capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["train", "cnn", "--epochs", "0", "--data", "tests"])
    assert caught.value.code == 2
    assert "above 0" in capsys.readouterr().err
