"""Files made to cost time or memory: bounded, whatever they are; and fuzz of mutated ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from defect.imaging import isolated
from defect.imaging.photo import ImageError, read_photo
from tests.imaging import hostile_files
from tests.imaging.hostile_files import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 300
MOST_SECONDS = 2
"""Of processor time."""
READ = {
    "exif_jpeg",
    "exif_png",
    "exif_webp",
    "looping_tiff",
    "gif_of_frames",
    "many_directories_tiff",
    "png_profile_bomb",
    "png_text_bombs",
    "less_plain_ppm",
    "deep_ppm",
    "jpeg2000_of_layers",
}
"""Their costly parts are left out, and the picture is read."""

CHILD = """
import sys, time, warnings
from pathlib import Path
import torch
from defect.imaging.photo import ImageError, read_photo

warnings.simplefilter("ignore")
torch.set_num_threads(1)

def memory(kind):
    return int(open("/proc/self/status").read().split(kind)[1].split()[0]) // 1024

for path in sorted(Path(sys.argv[1]).iterdir()):
    with open("/proc/self/clear_refs", "w") as stream:
        stream.write("5")  # forgets the peak so far
    before, started = memory("VmRSS:"), time.process_time()
    try:
        read_photo(path)
        result = "read"
    except ImageError as error:
        result = "refused"
        assert str(error).endswith("."), error
    seconds = time.process_time() - started
    print(path.name, memory("VmHWM:") - before, round(seconds, 2), result, flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to measure a peak")
def test_no_attack_costs_much_memory_or_time(tmp_path: Path) -> None:
    for name, make in ATTACKS.items():
        (tmp_path / name).write_bytes(make())
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    print(child.stdout)
    assert child.returncode == 0, child.stderr[-2000:]
    lines = [line.split() for line in child.stdout.splitlines()]
    assert [line[0] for line in lines] == sorted(ATTACKS)
    costly = [line for line in lines if int(line[1]) > MOST_MB or float(line[2]) > MOST_SECONDS]
    assert not costly
    assert {line[0] for line in lines if line[3] == "read"} == READ


@pytest.mark.parametrize("attack", ["jpeg_of_empty_segments", "png_chunk_flood", "webp_of_chunks"])
def test_a_flood_is_refused_with_advice(attack: str) -> None:
    with pytest.raises(ImageError, match="metadata or segments") as caught:
        read_photo(ATTACKS[attack]())
    assert caught.value.args[0].key == "photo_header_overloaded"


def test_a_decoder_that_takes_too_long_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "_PATIENCE", 0.01)
    data = hostile_files.saved(hostile_files.small(), "AVIF")
    with pytest.raises(ImageError, match="too long to decode"):
        read_photo(data)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process")
def test_the_decoder_apart_has_a_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that asks for more than it may have is an error of this photo only."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import isolated; isolated._limit_resources();"
        "import numpy; numpy.ones(10**9)"
    )
    folder = str(Path(isolated.__file__).parent)
    child = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
    assert child.returncode != 0 and "MemoryError" in child.stderr


def test_polyglots_are_read_as_the_picture_they_begin_with() -> None:
    jpeg = hostile_files.saved(hostile_files.small(), "JPEG")
    plain = read_photo(jpeg)
    for tail in (b"PK\x03\x04" + bytes(100), b"<script>alert(1)</script>", jpeg):
        photo = read_photo(jpeg + tail)
        assert (photo.pixels == plain.pixels).all() and not photo.damaged
    with pytest.raises(ImageError, match="not a picture"):
        read_photo(b"%PDF-1.7\n" + jpeg)


FUZZ = 200
"""Mutated files of the quick test; `test_fuzz.py` tries 2,000."""


def test_some_mutated_pictures_are_read_or_refused() -> None:
    from tests.imaging.test_fuzz import run_fuzz

    read, slowest, grown = run_fuzz(seed=1, count=FUZZ)
    assert FUZZ * 0.1 < read < FUZZ * 0.85
    assert slowest < MOST_SECONDS and grown < MOST_MB
