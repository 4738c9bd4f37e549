"""Thousands of mutated pictures through the image gate: refused or read, never worse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COUNT = 2000
SEED = 20261125
MOST_SECONDS = 2
MOST_MB = 300

CHILD = """
import io, random, sys, time, warnings
import numpy as np
import torch
from PIL import Image
from defect.imaging.photo import ImageError, network_input, read_photo

torch.set_num_threads(1)
warnings.simplefilter("ignore")

def memory(kind):
    return int(open("/proc/self/status").read().split(kind)[1].split()[0]) // 1024

def originals():
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 4), np.uint8)
    rgb, rgba = Image.fromarray(noise[..., :3]), Image.fromarray(noise)
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    chosen = [
        (rgb, "PNG", {}), (rgba, "PNG", {}), (deep, "PNG", {}), (rgb.quantize(16), "PNG", {}),
        (rgb, "JPEG", {}), (rgb, "JPEG", {"progressive": True}), (rgb.convert("CMYK"), "JPEG", {}),
        (rgb, "BMP", {}), (rgb, "GIF", {}), (rgb, "WEBP", {}), (rgb, "WEBP", {"lossless": True}),
        (rgb, "TIFF", {}), (rgb, "TIFF", {"compression": "tiff_lzw"}),
        (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}), (deep, "TIFF", {}),
        (rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(90)]}),
    ]
    for image, kind, options in chosen:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        yield stream.getvalue()

def mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 8))):
        at = rng.randrange(min(len(data), rng.choice((40, 300, 10**9))))
        how = rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at : at + 4] = rng.choice((b"\\xff" * 4, bytes(4), b"\\x7f\\xff\\xff\\xff"))
        elif how == 2:
            data[at : at + 2] = rng.randbytes(2)
        elif how == 3:
            del data[at : at + rng.randrange(1, 64)]
        elif how == 4:
            data[at:at] = data[at : at + rng.randrange(1, 256)]
        else:
            del data[max(at, 8):]
        if len(data) < 2:
            break
    return bytes(data)

seed, count = int(sys.argv[1]), int(sys.argv[2])
sources = list(originals())
for source in sources:
    read_photo(source)  # what is not mutated is read
with open("/proc/self/clear_refs", "w") as stream:
    stream.write("5")
before = memory("VmRSS:")
read = slowest = 0
for i in range(count):
    rng = random.Random(seed + i)
    data = mutated(sources[i % len(sources)], rng)
    print(i, end=" ", file=sys.stderr, flush=True)  # the last one told is the culprit
    started = time.process_time()
    try:
        photo = read_photo(data)
        assert network_input(photo.pixels).shape == (256, 256, 3)
        assert photo.shown.dtype == np.uint8
        read += 1
    except ImageError as error:
        assert str(error).endswith("."), str(error)
    slowest = max(slowest, time.process_time() - started)
print(read, round(slowest, 3), memory("VmHWM:") - before)
"""


def run_fuzz(seed: int, count: int) -> tuple[int, float, int]:
    """How many of the mutated files were read, the slowest's seconds, and the growth in MB."""
    command = [sys.executable, "-c", CHILD, str(seed), str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    assert child.returncode == 0, child.stderr[-1500:]
    read, slowest, grown = child.stdout.split()
    print(f"{read} of {count} read, slowest {slowest} s, grew by {grown} MB")
    return int(read), float(slowest), int(grown)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to measure a peak")
def test_mutated_pictures_are_read_or_refused() -> None:
    read, slowest, grown = run_fuzz(SEED, COUNT)
    # Both happen often, or the mutations are too harsh or too gentle to say anything.
    assert COUNT * 0.1 < read < COUNT * 0.85
    assert slowest < MOST_SECONDS
    assert grown < MOST_MB
