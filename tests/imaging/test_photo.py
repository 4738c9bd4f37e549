"""What `imaging.photo` reads: every accepted kind of source, and the notes on what it changed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defect.imaging.photo import KEPT_SIDE, NETWORK_SIDE, network_input, read_photo, thumbnail

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
SIZES = pytest.mark.parametrize("size", [(64, 48), (5000, 3000)], ids=["small", "reduced"])


def quarters(width=64, height=48, mode="RGB"):
    """Red and green above, blue and white below."""
    image = Image.new("RGB", (width, height), WHITE)
    image.paste(RED, (0, 0, width // 2, height // 2))
    image.paste(GREEN, (width // 2, 0, width, height // 2))
    image.paste(BLUE, (0, height // 2, width // 2, height))
    return image.quantize(8) if mode == "P" else image.convert(mode)


def corners(pixels):
    """The colours next to the corners: above left and right, below left and right."""
    return [tuple(int(v) for v in pixels[y, x]) for y in (4, -5) for x in (4, -5)]


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def near(pixels, colours, tolerance=3):
    return np.abs(np.array(corners(pixels)) - np.array(colours)).max() <= tolerance


def twelve_bit_tiff(width, height):
    """White and black columns in turn: two values of 12 bits in three bytes."""
    data = b"\xff\xf0\x00" * (width * height // 2)
    tags = [(256, width), (257, height), (258, 12), (259, 1), (262, 1), (273, 8)]
    tags += [(277, 1), (278, height), (279, len(data))]
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + b"\t\0" + table + bytes(4)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
def test_every_format_gives_its_colours(kind):
    photo = read_photo(saved(quarters(), kind))
    assert photo.pixels.shape == (48, 64, 3)
    assert photo.pixels.dtype == np.uint8
    assert near(photo.pixels, [RED, GREEN, BLUE, WHITE], 6)
    assert photo.notes == ()


def test_path_text_bytes_pil_and_array_read_alike(tmp_path):
    path = tmp_path / "really a png.jpg"
    quarters().save(path, "PNG")
    array = np.asarray(quarters())
    for source in (path, str(path), path.read_bytes(), quarters(), array):
        photo = read_photo(source)
        assert np.array_equal(photo.pixels, array)
        assert photo.name == (path.name if isinstance(source, (str, Path)) else "image")
        assert read_photo(source, "mine").name == "mine"


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.full((20, 30), 200, np.uint8), (200, 200, 200)),
        (np.full((20, 30, 1), 200, np.uint8), (200, 200, 200)),
        (np.full((20, 30, 3), (1, 2, 3), np.uint8), (1, 2, 3)),
        (np.full((20, 30, 4), (1, 2, 3, 0), np.uint8), WHITE),
        (np.full((20, 30), 65535, np.uint16), WHITE),
        (np.full((20, 30, 3), (0, 257, 25700), np.uint16), (0, 1, 100)),
        (np.ones((20, 30), bool), WHITE),
        (np.full((20, 30, 3), (0.0, 0.5, 1.0), np.float32), (0, 128, 255)),
        (np.full((20, 30), 0.2, np.float64), (51, 51, 51)),
        (np.full((20, 30), 1, np.float16), WHITE),
        (np.full((30, 20, 3), (1, 2, 3), np.uint8).transpose(1, 0, 2)[::-1], (1, 2, 3)),
    ],
    ids=lambda value: f"{value.dtype}-{value.ndim}d" if isinstance(value, np.ndarray) else "",
)
def test_arrays(array, expected):
    pixels = read_photo(array).pixels
    assert pixels.shape == (20, 30, 3)
    assert pixels.dtype == np.uint8
    assert np.array_equal(np.unique(pixels.reshape(-1, 3), axis=0), [expected])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
@SIZES
@pytest.mark.parametrize("orientation", [1, 6])
def test_exif_orientation_is_turned_upright(kind, size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    photo = read_photo(saved(quarters(*size), kind, exif=exif, **options))
    long, short = (photo.pixels.shape[i] for i in ((1, 0) if orientation == 1 else (0, 1)))
    assert long / short == pytest.approx(size[0] / size[1], rel=0.01)
    # 6 is a quarter turn clockwise: what was below left comes to lie above left.
    turned = orientation == 6
    expected = [BLUE, RED, WHITE, GREEN] if turned else [RED, GREEN, BLUE, WHITE]
    assert near(photo.pixels, expected, 6)
    assert photo.notes == (("Turned upright as its EXIF data says.",) if turned else ())


@SIZES
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "RGB"])
def test_transparency_is_laid_on_white(kind, size):
    half = {"RGBA": (200, 100, 0, 51), "LA": (100, 51), "P": 0, "RGB": RED}[kind]
    image = Image.new(kind, size, {"LA": (29, 255), "P": 1}.get(kind, BLUE))
    image.paste(half, (size[0] // 2, 0, *size))
    if kind == "P":
        image.putpalette([*RED, *BLUE])
    options = {"P": {"transparency": b"\0"}, "RGB": {"transparency": RED}}.get(kind, {})
    photo = read_photo(saved(image, **options))
    # A fifth of the colour on four fifths of white.
    right = {"RGBA": (244, 224, 204), "LA": (224,) * 3}.get(kind, WHITE)
    assert corners(photo.pixels) == [(29,) * 3 if kind == "LA" else BLUE, right] * 2
    assert photo.notes == ("Transparent parts were laid on white.",)


def test_16_bit_grey_is_scaled_by_its_depth():
    values = np.linspace(0, 65535, 32 * 32).astype(np.uint16).reshape(32, 32)
    photo = read_photo(saved(Image.fromarray(values)))
    assert np.array_equal(photo.pixels[..., 1], np.round(values / 257).astype(np.uint8))
    assert photo.notes == ("16-bit picture scaled to 8 bits.",)


@pytest.mark.parametrize(("width", "seen"), [(32, [255, 0]), (4200, [255, 255])])
def test_12_bit_tiff_is_scaled_by_its_depth(width, seen):
    photo = read_photo(twelve_bit_tiff(width, 600 if width > 32 else 32))
    # Of the larger one every second column is kept.
    assert photo.pixels[0, :2, 0].tolist() == seen
    assert photo.notes == ("12-bit picture scaled to 8 bits.",)


@SIZES
@pytest.mark.parametrize("mode", ["P", "L", "RGB", "CMYK", "I;16"])
def test_other_modes_keep_their_colours(mode, size):
    image = quarters(*size, mode="L" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    pixels = read_photo(saved(image, "JPEG" if mode == "CMYK" else "PNG")).pixels
    grey = mode in {"L", "I;16"}
    expected = [(76,) * 3, (149.5,) * 3, (29,) * 3, WHITE] if grey else [RED, GREEN, BLUE, WHITE]
    assert near(pixels, expected, 6 if mode == "CMYK" else 1)


@SIZES
def test_single_bits(size):
    image = Image.new("1", size, 0)
    image.paste(1, (size[0] // 2, 0, *size))
    assert corners(read_photo(saved(image)).pixels) == [(0, 0, 0), WHITE] * 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_only_the_first_frame_is_used_and_said(kind):
    frames = [Image.new("RGB", (40, 30), colour) for colour in (RED, GREEN, BLUE)]
    options = {"lossless": True} if kind == "WEBP" else {}
    photo = read_photo(saved(frames[0], kind, save_all=True, append_images=frames[1:], **options))
    assert corners(photo.pixels) == [RED] * 4
    pages = "3 pages: only the first was used."
    assert photo.notes == (
        (pages,) if kind == "TIFF" else ("Animation: only its first frame was used.",)
    )


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("size", [(5000, 3000), (700, 4097), (9001, 901), (6000, 5000)])
@pytest.mark.filterwarnings("error")
def test_large_pictures_are_reduced_without_a_warning(kind, size):
    pixels = read_photo(saved(quarters(*size), kind)).pixels
    assert KEPT_SIDE <= max(pixels.shape) < 2 * KEPT_SIDE
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(size[0] / size[1], rel=0.02)
    assert near(pixels, [RED, GREEN, BLUE, WHITE])


def test_reducing_averages_whole_blocks():
    noise = np.random.default_rng(1).integers(0, 256, (2311, 4501, 3), np.uint8)
    expected = np.asarray(Image.fromarray(noise).reduce(2))
    assert np.array_equal(read_photo(noise).pixels, expected)


@pytest.mark.parametrize("size", [(64, 48), (256, 256), (300, 2000)])
def test_network_input_is_a_square_of_the_whole_picture(size):
    pixels = network_input(np.array(quarters(*size)))
    assert pixels.shape == (NETWORK_SIDE, NETWORK_SIDE, 3)
    assert pixels.dtype == np.uint8
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(("size", "kept"), [((640, 480), (75, 100)), ((64, 48), (48, 64))])
def test_thumbnail_keeps_the_proportions(size, kept):
    pixels = thumbnail(np.array(quarters(*size)), 100)
    assert pixels.shape == (*kept, 3)
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tif", "gif", "avif", "jp2", "bmp"])
def test_a_photo_knows_its_size_before_it_was_reduced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"large.{kind}"
    Image.new("RGB", (2300, 4200), "grey").save(path)
    photo = read_photo(path)
    assert photo.size == (4200, 2300)
    assert max(photo.pixels.shape) < 4200


def test_the_size_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("jpg", "png", "avif"):
        Image.new("RGB", (400, 300), "grey").save(tmp_path / f"a.{kind}", exif=exif)
        photo = read_photo(tmp_path / f"a.{kind}")
        assert photo.size == photo.pixels.shape[:2] == (400, 300), kind
    assert read_photo(np.zeros((5000, 300), np.uint8)).size == (5000, 300)
    assert read_photo(np.zeros((5000, 300), np.uint16)).size == (5000, 300)
    assert read_photo(Image.new("L", (300, 5000))).size == (5000, 300)
