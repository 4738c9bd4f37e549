"""What `imaging.photo` refuses, in which words, and what a costly picture costs in memory."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.imaging.photo import ImageError, read_photo

ROOT = Path(__file__).resolve().parents[2]
MOST_MB = 300
NOISE = Image.fromarray(np.random.default_rng(3).integers(0, 256, (200, 300, 3), np.uint8))
BLUE = (20, 40, 200)
WIDE = (12_000, 3_300)
PROGRESSIVE = {"kind": "JPEG", "progressive": True, "subsampling": 0}
BMP_HEAD = b"BM" + struct.pack("<IHHIIii", 54, 0, 0, 54, 40, 2**31 - 1, 2**31 - 1)


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def flat(mode, colour, width=8000, height=5000, kind="PNG", **options):
    return saved(Image.new(mode, (width, height), colour), kind, compress_level=1, **options)


def changed(data, at, replacement):
    at %= len(data)
    return data[:at] + replacement + data[at + len(replacement) :]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, extra=b""):
    """An 8-bit RGB PNG whose header may claim more than its data holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = zlib.compress(bytes((3 * width + 1) * min(height, 100)))
    return b"\x89PNG\r\n\x1a\n" + header + extra + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb(folder):
    return png(64, 64, chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(30_000_000))))


def tiled_tiff(side, data):
    """A 1000×1000 RGB TIFF of one deflated tile that claims side×side pixels."""
    tags = [(256, 1000), (257, 1000), (258, 8), (259, 8), (262, 2), (277, 3)]
    tags += [(322, side), (323, side), (324, 8), (325, len(data))]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + b"\n\0" + table + bytes(4)


def tile_bomb(folder):
    """1.2 GB of black in a file of 1 MB: a flushed block of deflated zeros over and over."""
    press = zlib.compressobj(9, wbits=-15)
    block = press.compress(bytes(2**20)) + press.flush(zlib.Z_FULL_FLUSH)
    return tiled_tiff(20_000, b"\x78\x9c" + block * (1200 * 10**6 // 2**20 + 1))


def huge_gif(folder):
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    return changed(data, 6, struct.pack("<HH", 65535, 65535))


def grey(value, dtype):
    return np.full((20, 30), value, dtype)


def tiff(array):
    return saved(Image.fromarray(array), "TIFF")


BAD = {
    "text": ("not a picture", lambda folder: b"Part 4711, scratched near the rim.\n"),
    "empty": ("0 bytes", lambda folder: b""),
    "png_cut": ("cut off", lambda folder: saved(NOISE)[:60_000]),
    "jpeg_cut": ("cut off", lambda folder: saved(NOISE, "JPEG")[:9_000]),
    "svg": ("SVG", lambda folder: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org"/>'),
    "bomb_20000": ("at most 70 megapixels", lambda folder: png(20_000, 20_000)),
    "bomb_13000": ("at most 70 megapixels", lambda folder: png(13_000, 13_000)),
    "above_70_mp": ("8400×8400 pixels; at most 70 megapixels", lambda folder: png(8_400, 8_400)),
    "png_of_48_mb": ("48 MB; at most", lambda folder: png(64, 64, chunk(b"juNk", bytes(48 << 20)))),
    "one_pixel": ("1×1 pixels; each side needs at least 16", lambda folder: png(1, 1)),
    "too_narrow": ("8×3000 pixels; each side", lambda folder: png(8, 3000)),
    "too_long": ("8000×30 pixels, more than 200 times", lambda folder: png(8000, 30)),
    "beyond_16_bits": ("beyond 16 bits", lambda folder: tiff(grey(70_000, np.int32))),
    "negative_values": ("beyond 16 bits", lambda folder: tiff(grey(-1, np.int32))),
    "float_tiff": ("floating-point", lambda folder: tiff(grey(0.5, np.float32))),
    "pdf": ("not a picture", lambda folder: b"%PDF-1.7\n1 0 obj\n<< >>\nendobj\n%%EOF\n"),
    "html": ("not a picture", lambda folder: b"<!doctype html><title>404</title>"),
    "zip": ("not a picture", lambda folder: b"PK\5\6" + bytes(18)),
    "jpeg_garbage": ("damaged", lambda folder: b"\xff\xd8\xff\xe0" + NOISE.tobytes()[:5000]),
    "png_bad_data": ("damaged", lambda folder: changed(saved(NOISE), 5000, bytes(10))),
    "png_bad_checksum": ("damaged", lambda folder: changed(png(64, 64), -17, b"?")),
    "tiff_huge_tiles": ("tiles of 20000×20000", lambda folder: tiled_tiff(20_000, bytes(99))),
    "bmp_absurd": ("megapixels", lambda folder: BMP_HEAD + struct.pack("<HH", 1, 24) + bytes(24)),
    "gif_huge_canvas": ("megapixels", huge_gif),
    "directory": ("is not a file", lambda folder: folder),
    "missing": ("no file", lambda folder: folder / "gone.png"),
    "below_a_file": ("no file", lambda folder: Path(__file__) / "b.png"),
    "nul_in_path": ("not a path", lambda folder: f"{folder}/a\0b.png"),
    "endless_path": ("cannot be read", lambda folder: f"{folder}/{'x' * 5000}.png"),
    "none": ("got nothing", lambda folder: None),
    "number": ("got a int", lambda folder: 7),
    "flat_array": ("shape (5,)", lambda folder: np.zeros(5, np.uint8)),
    "two_channels": ("shape (20, 30, 2)", lambda folder: np.zeros((20, 30, 2), np.uint8)),
    "nan_array": ("nan", lambda folder: grey(np.nan, np.float32)),
    "floats_to_255": ("0..1", lambda folder: np.linspace(0, 255, 600).reshape(20, 30)),
    "int64_array": ("int64", lambda folder: grey(1, np.int64)),
}
"""Name → a word of the refusal, and what makes the source or a file's bytes."""

COSTLY = {name: BAD[name] for name in ("bomb_20000", "bomb_13000", "png_of_48_mb")} | {
    "tile_bomb": ("tiles", tile_bomb),
    "png_text_bomb": ("read", text_bomb),
    "rgb_png": ("read", lambda folder: flat("RGB", BLUE)),
    "grey_16_bit_png": ("read", lambda folder: flat("I;16", 40_000)),
    "rgba_png": ("read", lambda folder: flat("RGBA", (*BLUE, 99))),
    "palette_png": ("read", lambda folder: flat("P", 3, *WIDE)),
    "clear_palette_png": ("read", lambda folder: flat("P", 3, *WIDE, transparency=bytes(5))),
    "jpeg": ("read", lambda folder: flat("RGB", BLUE, kind="JPEG")),
    "webp": ("read", lambda folder: flat("RGB", BLUE, 4000, 4000, kind="WEBP")),
    "webp_too_large": ("16 megapixels", lambda folder: flat("RGB", BLUE, kind="WEBP")),
    "cmyk_jpeg": ("read", lambda folder: flat("CMYK", (*BLUE, 9), 5000, 5000, **PROGRESSIVE)),
    "tiff": ("read", lambda folder: flat("RGB", BLUE, 5000, 5000, kind="TIFF")),
    "wide_progressive_jpeg": ("read", lambda folder: flat("RGB", BLUE, *WIDE, **PROGRESSIVE)),
}


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(("word", "make"), BAD.values(), ids=BAD)
def test_bad_input_is_refused_in_plain_words(word, make, tmp_path):
    source = make(tmp_path)
    if isinstance(source, bytes):
        (tmp_path / "part 7.png").write_bytes(source)
        source = tmp_path / "part 7.png"
    with pytest.raises(ImageError) as caught:
        read_photo(source)
    message = str(caught.value)
    assert word in message
    assert message.endswith(".")
    assert len(message) < 300
    assert str(tmp_path) not in message
    assert "Traceback" not in message
    assert not isinstance(source, Path) or f'"{source.name}"' in message


@pytest.mark.parametrize("name", ["bomb_20000", "bomb_13000", "above_70_mp"])
def test_refusals_stay_our_own_where_warnings_are_errors(name, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ImageError, match="at most 70 megapixels"):
            read_photo(BAD[name][1](tmp_path))


CHILD = """
import sys
from defect.imaging.photo import ImageError, read_photo

def memory(kind):
    return int(open("/proc/self/status").read().split(kind)[1].split()[0])

with open("/proc/self/clear_refs", "w") as stream:
    stream.write("5")  # forgets the peak of the imports
before = memory("VmRSS:")
try:
    read_photo(sys.argv[1])
    said = "read"
except ImageError as error:
    said = str(error)
print((memory("VmHWM:") - before) // 1024, said)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc to measure a peak")
@pytest.mark.parametrize(("word", "make"), COSTLY.values(), ids=COSTLY)
def test_no_picture_costs_much_memory(word, make, tmp_path):
    # A child's ru_maxrss would start from the peak of this process, hence /proc.
    path = tmp_path / "part 7.png"
    path.write_bytes(make(tmp_path))
    command = [sys.executable, "-W", "ignore", "-c", CHILD, str(path)]
    child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    path.unlink()
    assert child.returncode == 0, child.stderr
    grown, said = child.stdout.split(maxsplit=1)
    print(f"grew by {grown} MB")
    assert word in said
    assert int(grown) <= MOST_MB
