"""Files as cameras, phones and microscopes write them: depth, profiles, formats, pages, damage."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from defect.imaging import decoding, isolated
from defect.imaging.archives import find_photos, list_photos
from defect.imaging.bit_depth import guess_bit_depth
from defect.imaging.exif import read_orientation
from defect.imaging.photo import ImageError, Photo, read_photo, upright_size
from defect.imaging.tiff import MAX_PAGES


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def scene(height: int = 96, width: int = 128, channels: int = 3) -> np.ndarray:
    """Smooth, with some noise, in 0..255."""
    y, x = np.mgrid[:height, :width]
    base = 120 + 60 * np.sin(x / 17) + 40 * np.cos(y / 11)
    noise = np.random.default_rng(0).normal(0, 4, (height, width, channels))
    return (base[..., None] + noise).clip(0, 255).astype(np.uint8)


def keys(photo: Photo) -> list[str]:
    return [getattr(note, "key", "") for note in photo.notes]


# Bit depth


@pytest.mark.parametrize("depth", [10, 12, 14])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_unscaled_grey_values_are_read_by_the_depth_given(kind: str, depth: int) -> None:
    grey = scene(channels=1)[..., 0]
    deep = grey.astype(np.uint16) << (depth - 8)
    data = saved(Image.fromarray(deep), kind)
    dark = read_photo(data)
    assert dark.pixels.max() <= 256 >> (16 - depth)
    assert dark.maximum == deep.max() and "bit_depth_suspected" in keys(dark)
    right = read_photo(data, bit_depth=depth)
    assert np.abs(right.pixels[..., 0].astype(int) - grey).max() <= 1
    assert right.bit_depth == depth and "bit_depth_suspected" not in keys(right)
    assert guess_bit_depth([dark.maximum] * 5) == depth


def rgb16_png(values: np.ndarray) -> bytes:
    """Pillow does not write 16-bit colours."""
    import zlib

    from tests.imaging.hostile_files import chunk

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    pieces = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(pieces)


def rgb16_tiff(values: np.ndarray) -> bytes:
    from tests.imaging.hostile_files import tiff

    height, width, _ = values.shape
    data = values.astype("<u2").tobytes() + struct.pack("<3H", 16, 16, 16)
    tags = {256: width, 257: height, 259: 1, 262: 2, 273: 8, 277: 3, 278: height}
    lines = [(tag, 4, 1, value) for tag, value in tags.items()]
    lines += [(258, 3, 3, 8 + len(data) - 6), (279, 4, 1, len(data) - 6)]
    return tiff(lines, data)


@pytest.mark.parametrize("make", [rgb16_png, rgb16_tiff])
def test_unscaled_16_bit_colours_keep_their_low_bytes(make: Any) -> None:
    colours = scene()
    data = make(colours.astype(np.uint16) * 4)
    photo = read_photo(data, bit_depth=10)
    assert np.abs(photo.pixels.astype(int) - colours).max() <= 1
    assert photo.maximum == int(colours.max()) * 4
    scaled = read_photo(make(colours.astype(np.uint16) * 257))
    assert np.abs(scaled.pixels.astype(int) - colours).max() <= 1


def test_one_photo_is_no_evidence_of_a_depth() -> None:
    assert guess_bit_depth([900]) == guess_bit_depth([900, 800]) == 16
    assert guess_bit_depth([900, None, None, None]) == 16
    assert guess_bit_depth([900, 1000, 1023, None]) == 10
    assert guess_bit_depth([900, 1000, 1024]) == 12
    assert guess_bit_depth([900, 1000, 60_000]) == 16
    assert guess_bit_depth([200, 201, 203]) == 8


def test_values_over_the_depth_become_white_and_are_noted() -> None:
    deep = np.full((32, 32), 3000, np.uint16)
    photo = read_photo(saved(Image.fromarray(deep), "PNG"), bit_depth=10)
    assert (photo.pixels == 255).all() and "bit_depth_exceeded" in keys(photo)
    array = read_photo(deep, bit_depth=12)
    assert abs(int(array.pixels[0, 0, 0]) - 187) <= 1
    for wrong in (7, 17, 12.0, True):
        with pytest.raises(ValueError, match="bit depth"):
            read_photo(deep, bit_depth=wrong)  # type: ignore[arg-type]


def test_8_bit_values_in_32_bit_files() -> None:
    grey = scene(channels=1)[..., 0]
    photo = read_photo(saved(Image.fromarray(grey.astype(np.int32)), "TIFF"))
    assert np.array_equal(photo.pixels[..., 0], grey)
    assert photo.notes == ("32-bit picture with 8-bit values.",)


def test_16_bit_min_is_white_is_not_read_inverted() -> None:
    grey = scene(channels=1)[..., 0]
    data = bytearray(saved(Image.fromarray((255 - grey).astype(np.uint16) * 257), "TIFF"))
    at = data.index(struct.pack("<HHI", 262, 3, 1))
    assert data[at + 8] == 1
    data[at + 8] = 0
    assert np.abs(read_photo(bytes(data)).pixels[..., 0].astype(int) - grey).max() <= 1


def test_pgm_says_its_own_white() -> None:
    values = np.arange(32 * 32).reshape(32, 32).astype(">u2")
    photo = read_photo(b"P5\n# a camera\n32 32\n1023\n" + values.tobytes())
    assert photo.bit_depth == 10 and photo.maximum is None
    assert photo.pixels[31, 31, 0] == 255 and photo.pixels[0, 0, 0] == 0


# Colour profiles


def wide_profile() -> bytes:
    """Like Display P3: sRGB's curve with wider primaries, made by exchanging sRGB's own."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    colours = {
        b"rXYZ": (0.51512, 0.2412, -0.00105),
        b"gXYZ": (0.29198, 0.69225, 0.04189),
        b"bXYZ": (0.1571, 0.06657, 0.78407),
    }
    for number in range(struct.unpack_from(">I", data, 128)[0]):
        tag, at, _ = struct.unpack_from(">4sII", data, 132 + 12 * number)
        if tag in colours:
            values = [round(value * 65536) for value in colours[tag]]
            struct.pack_into(">3i", data, at + 8, *values)
    return bytes(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_a_wide_profile_reads_like_its_srgb_twin(kind: str) -> None:
    twin = np.zeros((96, 128, 3), np.uint8)
    twin[:, :64], twin[:, 64:] = (180, 90, 60), (70, 130, 110)
    profile = ImageCms.ImageCmsProfile(io.BytesIO(wide_profile()))
    srgb = ImageCms.createProfile("sRGB")
    wide = ImageCms.profileToProfile(Image.fromarray(twin), srgb, profile)
    assert wide is not None and np.abs(np.asarray(wide).astype(int) - twin).max() > 10
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind != "PNG" else {}
    photo = read_photo(saved(wide, kind, icc_profile=wide_profile(), **options))
    inside = np.s_[8:88, [8, 120]]
    assert np.abs(photo.pixels[inside].astype(int) - twin[inside]).max() <= 4
    assert keys(photo) == ["profile_converted"]


def test_an_srgb_profile_changes_no_pixel() -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = read_photo(saved(Image.fromarray(scene()), "PNG", icc_profile=srgb))
    assert np.array_equal(photo.pixels, scene()) and photo.notes == ()


@pytest.mark.parametrize("profile", [b"junk" * 99, wide_profile()[:300], bytes(5 * 1024**2)])
def test_a_broken_profile_is_ignored_and_noted(profile: bytes) -> None:
    photo = read_photo(saved(Image.fromarray(scene()), "TIFF", icc_profile=profile))
    assert np.array_equal(photo.pixels, scene()) and keys(photo) == ["profile_ignored"]


# Damage


@pytest.mark.parametrize("progressive", [False, True])
def test_a_lost_sector_of_a_jpeg_is_noticed(progressive: bool) -> None:
    image = Image.fromarray(scene(320, 320))
    data = saved(image, "JPEG", quality=90, progressive=progressive)
    assert not read_photo(data).damaged
    for at in range(2_000, len(data) - 600, 1_500):
        try:
            photo = read_photo(data[:at] + bytes(512) + data[at + 512 :])
        except ImageError:
            continue
        assert photo.damaged and "damaged_but_readable" in keys(photo)


def test_a_jpeg_without_its_end_is_not_read_silently() -> None:
    data = saved(Image.fromarray(scene(320, 320)), "JPEG", quality=90)
    for cut in (1, 2, 3, 9, 100, len(data) // 2):
        try:
            assert read_photo(data[:-cut]).damaged
        except ImageError as error:
            assert "cut off" in str(error)


@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"quality": 30}, {"optimize": True}])
@pytest.mark.parametrize("size", [(16, 16), (17, 93), (96, 128), (330, 4300)])
def test_intact_jpegs_are_not_called_damaged(size: tuple[int, int], options: dict) -> None:
    for array in (scene(*size), np.full((*size, 3), 255, np.uint8)):
        for image in (Image.fromarray(array), Image.fromarray(array[..., 0])):
            assert not read_photo(saved(image, "JPEG", **options)).damaged


def test_a_webp_with_a_lost_sector_is_noticed() -> None:
    data = saved(Image.fromarray(scene(320, 320)), "WEBP", quality=95)
    assert not read_photo(data).damaged
    at = len(data) // 2
    assert read_photo(data[:at] + bytes(512) + data[at + 512 :]).damaged


# Formats, pages, shapes


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jfif", "JPEG"),
        ("a.jpe", "JPEG"),
        ("a.mpo", "MPO"),
        ("a.avif", "AVIF"),
        ("a.pgm", "PPM"),
        ("a.ppm", "PPM"),
        ("a.pbm", "PPM"),
        ("a.jp2", "JPEG2000"),
        ("a.j2k", "JPEG2000"),
        ("a.dib", "BMP"),
    ],
)
def test_formats_by_name_and_content(tmp_path: Path, name: str, kind: str) -> None:
    mode = {"a.pgm": "L", "a.pbm": "1"}.get(name, "RGB")
    image = Image.fromarray(scene()).convert(mode)
    options = {"quality": 95} if kind in {"JPEG", "AVIF"} else {}
    image.save(tmp_path / name, kind, **options)
    photos, skipped = find_photos([tmp_path])
    assert skipped == 0 and [photo.name for photo in photos] == [name]
    expected = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(photos[0].read().pixels.astype(int) - expected).mean() < 4


def test_heic_says_what_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any, **__: Any) -> None:
        raise isolated.DecodeError("missing")

    monkeypatch.setattr(isolated, "decode", missing)
    data = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(64)
    with pytest.raises(ImageError, match="pillow-heif"):
        read_photo(data, "IMG_1.HEIC")


def test_pages_of_a_tiff_become_photos(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (40, 30), (10 * i, 0, 0)) for i in range(MAX_PAGES + 2)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    listing = list_photos([tmp_path])
    assert len(listing.photos) == MAX_PAGES
    assert listing.skipped == (f"scan.tif (pages {MAX_PAGES + 1} to {MAX_PAGES + 2})",)
    assert listing.photos[2].name == "scan.tif (page 3)"
    for number, file in enumerate(listing.photos):
        photo = file.read()
        assert photo.pixels[0, 0, 0] == 10 * number and photo.notes == ()
    alone = read_photo(tmp_path / "scan.tif")
    assert keys(alone) == ["photo_first_page"] and alone.pixels[0, 0, 0] == 0


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("size", [(200, 5000), (5000, 200), (64, 9000)])
def test_strips_keep_their_short_side(kind: str, size: tuple[int, int]) -> None:
    photo = read_photo(saved(Image.new("RGB", size, (10, 200, 30)), kind))
    assert photo.pixels.shape == (size[1], size[0], 3)
    assert np.abs(photo.pixels[0, 0].astype(int) - (10, 200, 30)).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_bands_give_the_pixels_of_the_whole(
    kind: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture decoded some rows at a time."""
    monkeypatch.setattr(decoding, "_BANDED", 1_000_000)
    y, x = np.mgrid[:4400, :1500].astype(np.float32)
    array = (128 + 100 * np.sin(x / 90) * np.cos(y / 70)).astype(np.uint8)
    image = Image.fromarray(array).convert(mode)
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    pixels = read_photo(saved(image, kind, **options)).pixels
    expected = np.asarray(image.reduce(2).convert("RGB"))
    assert np.abs(pixels.astype(int) - expected).max() <= (0 if kind != "JPEG" else 4)


# Orientation


def exif(value: int, order: str = "<", kind: int = 3, count: int = 1) -> bytes:
    entry = struct.pack(order + "HHI", 0x0112, kind, count)
    packed = struct.pack(order + ("HH" if kind == 3 else "I"), value, *([0] if kind == 3 else []))
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 1)
    return head + entry + packed + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_orientation_is_read_without_pillow(order: str, prefix: bytes) -> None:
    for value in range(1, 9):
        assert read_orientation(prefix + exif(value, order)) == value
    for wrong in (exif(9, order), exif(0, order), exif(6, order, count=2), exif(6, order)[:18]):
        assert read_orientation(prefix + wrong) == 1
    assert read_orientation(b"") == read_orientation(b"II*\0\xff\xff\xff\xff") == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_every_orientation_as_pillow_turns_it(tmp_path: Path, kind: str, orientation: int) -> None:
    from PIL import ImageOps

    image = Image.new("RGB", (64, 48), "black")
    image.paste("red", (0, 0, 32, 24))
    image.paste("blue", (32, 0, 64, 24))
    tags = Image.Exif()
    tags[0x0112] = orientation
    path = tmp_path / "turned"
    path.write_bytes(saved(image, kind, exif=tags))
    with Image.open(path) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    photo = read_photo(path)
    assert photo.pixels.shape == expected.shape
    assert np.abs(photo.pixels.astype(int) - expected).mean() < 3
    assert keys(photo) == ([] if orientation == 1 else ["photo_turned"])
    assert upright_size(path) == expected.shape[1::-1]
