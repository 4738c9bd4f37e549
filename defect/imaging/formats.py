"""Which picture formats are read: by a file's name in a folder, by its first bytes when opened."""

from __future__ import annotations

import io
import re
import struct
import zlib

from defect.imaging.errors import ImageError, damaged, unknown_format
from defect.imaging.headers import PNG, Header, read_bmp, read_gif, read_png, read_webp
from defect.imaging.jpeg import read_jpeg
from defect.imaging.pnm import read_pnm
from defect.imaging.tiff import read_tiff
from defect.inspection import Message

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
SUFFIXES = (
    frozenset({".png", ".apng", ".jpg", ".jpeg", ".jfif", ".jpe", ".mpo", ".bmp", ".dib", ".gif"})
    | frozenset({".webp", ".tif", ".tiff", ".avif", ".pbm", ".pgm", ".ppm", ".pnm"})
    | frozenset({".jp2", ".j2k", ".jpf", ".jpx"})
    | HEIF_SUFFIXES
)
"""HEIF is among them although it takes `pillow-heif`: without it each such photo gets a line."""


def read_header(data: bytes, name: str, page: int = 0) -> Header:
    """Recognises a file by its first bytes and checks it.

    Args:
        page: of a TIFF.

    Raises:
        ImageError: it is no picture, damaged, or costs more than is allowed.
    """
    start = data[:16]
    try:
        if start.startswith(b"\xff\xd8\xff"):
            return read_jpeg(data, name)
        if start.startswith(PNG):
            return read_png(data, name)
        if start[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return read_tiff(data, name, page)
        if start[:6] in (b"GIF87a", b"GIF89a"):
            return read_gif(data, name)
        if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
            return read_webp(data, name)
        if start[:2] == b"BM":
            return read_bmp(data, name)
        if re.match(rb"P[1-6]\s", start):
            return read_pnm(data, name)
        if start[4:8] == b"ftyp":
            return _read_boxes(data, name)
        if start[:12] == b"\0\0\0\x0cjP  \r\n\x87\n" or start[:4] == b"\xff\x4f\xff\x51":
            return _read_jpeg2000(data, name)
    except (struct.error, IndexError, zlib.error) as error:
        raise damaged(name) from error
    if b"<svg" in data[:512].lower():
        raise ImageError(
            Message(
                "photo_svg",
                '"{name}" is an SVG drawing, not a photo. Export it as PNG first.',
                name=name,
            )
        )
    raise unknown_format(name)


_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})


def _read_boxes(data: bytes, name: str) -> Header:
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, size, 4))}
    if brands & _AVIF_BRANDS:
        return Header("AVIF", 0, 0, io.BytesIO(data), isolated=True)
    if brands & _HEIF_BRANDS:
        return Header("HEIF", 0, 0, io.BytesIO(data), isolated=True)
    raise unknown_format(name)


def _read_jpeg2000(data: bytes, name: str) -> Header:
    at = data.find(b"\xff\x4f\xff\x51")
    if at < 0:
        raise damaged(name)
    right, lower, left, upper = struct.unpack_from(">4I", data, at + 8)
    return Header("JPEG2000", right - left, lower - upper, io.BytesIO(data), isolated=True)
