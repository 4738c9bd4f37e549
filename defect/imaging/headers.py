"""Bounded checks of a file's header before any decoder sees it.

A decoder gets a rebuilt file with only what the pixels need. Everything else (metadata, comments,
text, profiles, further frames) is read here, in bounded time and memory, or left out.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from defect.imaging.errors import (
    ImageError,
    damaged,
    overloaded_header,
)
from defect.imaging.exif import read_orientation
from defect.inspection import Message

MAX_PROFILE = 4 * 1024**2
"""Bytes of an ICC profile; those for printing have up to 3 MB."""
_MAX_CHUNKS = 65_536
_MAX_SHORT_BLOCKS = 20_000
"""GIF sub-blocks of less than their full 255 bytes."""
_MAX_RLE = 1_500_000
"""Bytes of a run-length encoded BMP: Pillow decodes it in Python."""
_ZEROS = bytes(256)
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass
class Header:
    """What a file's header says, and the file rebuilt for its decoder."""

    format: str
    """Pillow's name of it."""
    width: int
    height: int
    stream: io.BytesIO | None = None
    """The rebuilt file."""
    array: np.ndarray | None = None
    """The pixels instead, where no decoder is needed: H×W or H×W×3 uint8 or uint16."""
    orientation: int = 1
    profile: bytes = b""
    profile_refused: bool = False
    """It has a profile, too large or broken to be used."""
    animated: bool = False
    pages: int = 1
    damaged: bool = False
    """What is left can be decoded, but something is missing or corrupt."""
    bits: int = 8
    """Per channel, as the file declares."""
    white: int | None = None
    """The value of white where the file declares it otherwise than by its bits."""
    inverted: bool = False
    """0 is white, and Pillow does not know."""
    bands: Callable[[int], Callable[[], Iterator[Image.Image]] | None] | None = None
    """Given a factor, what decodes some rows at a time, each time a multiple of the factor."""
    isolated: bool = False
    """Only a process of its own may decode it: its header does not bound time and memory."""


def read_png(data: bytes, name: str) -> Header:
    at, chunks = len(PNG), 0
    kept: dict[bytes, bytes] = {}
    pixels: list[memoryview] = []
    profile, orientation, animated, refused, finished = b"", 1, False, False, False
    view = memoryview(data)
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, content = data[at + 4 : at + 8], view[at + 8 : at + 8 + length]
        stop = at + 12 + length
        chunks += 1
        if chunks > _MAX_CHUNKS:
            raise overloaded_header(name)
        if stop > len(data):
            raise damaged(name)
        if kind in (b"IHDR", b"PLTE", b"IDAT", b"tRNS"):
            checksum = int.from_bytes(data[stop - 4 : stop], "big")
            if zlib.crc32(view[at + 4 : stop - 4]) != checksum:
                raise damaged(name)
            if kind == b"IDAT":
                pixels.append(content)
            else:
                kept.setdefault(kind, bytes(content[:1024]))
        elif kind == b"iCCP" and not profile:
            profile = _inflated_profile(bytes(content[: MAX_PROFILE + 100]))
            refused = not profile
        elif kind == b"eXIf":
            orientation = read_orientation(bytes(content[:65_536]))
        elif kind == b"acTL":
            animated = int.from_bytes(content[:4], "big") > 1
        elif kind == b"IEND":
            finished = True
            break
        at = stop
    if b"IHDR" not in kept or not pixels:
        raise damaged(name)
    width, height, bits, colour = struct.unpack(">IIBB", kept[b"IHDR"][:10])
    body = b"".join(pixels)
    del pixels
    return Header(
        "PNG",
        width,
        height,
        _png_file(kept, body),
        orientation=orientation,
        profile=profile,
        profile_refused=refused,
        animated=animated,
        damaged=not finished,
        bits=bits,
        bands=_PngBands(kept, body) if (bits, colour) in _PIXEL_BYTES else None,
    )


_PIXEL_BYTES = {(8, 0): 1, (16, 0): 2, (8, 2): 3, (8, 3): 1, (8, 4): 2, (8, 6): 4}
"""Bit depth and colour type of those PNGs whose rows Pillow gives back as they were stored."""


class _PngBands:
    """Decodes some rows at a time: each band becomes a PNG of its own.

    A row may be stored as the difference from the row above, so every band but the first begins
    with the last row of the band before.
    """

    def __init__(self, chunks: dict[bytes, bytes], body: bytes) -> None:
        self.chunks, self.body = chunks, body
        self.width, self.height, bits, colour = struct.unpack(">IIBB", chunks[b"IHDR"][:10])
        self.interlaced = chunks[b"IHDR"][12:13] != b"\0"
        self.row = 1 + self.width * _PIXEL_BYTES[bits, colour]

    def __call__(self, factor: int) -> Callable[[], Iterator[Image.Image]] | None:
        rows = factor * max(1, 4_000_000 // (self.row * factor))
        return None if self.interlaced else lambda: self._decode(rows)

    def _decode(self, rows: int) -> Iterator[Image.Image]:
        press, rest, above = zlib.decompressobj(), self.body, b""
        for top in range(0, self.height, rows):
            count = min(rows, self.height - top)
            band = press.decompress(rest, count * self.row)
            rest = press.unconsumed_tail
            while len(band) < count * self.row:
                more = press.decompress(rest, count * self.row - len(band))
                rest = press.unconsumed_tail
                if not more:
                    raise EOFError("the picture's data ends early")
                band += more
            if above:
                count += 1
            size = struct.pack(">II", self.width, count) + self.chunks[b"IHDR"][8:]
            body = zlib.compress(above + band, 0)
            with Image.open(
                _png_file(self.chunks | {b"IHDR": size}, body), formats=("PNG",)
            ) as image:
                image.load()
                stored = np.asarray(image.crop((0, count - 1, self.width, count)))
                kept = image.crop((0, 1, self.width, count)) if above else image
                kept.info = image.info
                if stored.dtype.itemsize > 1:
                    stored = stored.astype(">u2")
                above = b"\0" + stored.tobytes()
                yield kept


def _png_file(chunks: dict[bytes, bytes], body: bytes) -> io.BytesIO:
    pieces = [PNG]
    pieces += [_chunk(kind, chunks[kind]) for kind in (b"IHDR", b"PLTE", b"tRNS") if kind in chunks]
    pieces += [_chunk(b"IDAT", body), _chunk(b"IEND", b"")]
    return io.BytesIO(b"".join(pieces))


def _chunk(kind: bytes, content: bytes) -> bytes:
    # Pillow skips the checksum of pixels, which takes longest; the originals were compared.
    checksum = 0 if kind == b"IDAT" else zlib.crc32(content, zlib.crc32(kind))
    return b"".join((len(content).to_bytes(4, "big"), kind, content, checksum.to_bytes(4, "big")))


def _inflated_profile(content: bytes) -> bytes:
    """Empty where it is broken or too large."""
    _, _, packed = content.partition(b"\0")
    press = zlib.decompressobj()
    try:
        profile = press.decompress(packed[1:], MAX_PROFILE)
    except zlib.error:
        return b""
    return profile if press.eof else b""


def read_gif(data: bytes, name: str) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0)
    kept, short, frames = [data[:at]], 0, 0
    control = b""
    while at < len(data) and data[at] != 0x3B and frames < 2:
        start, introducer = at, data[at]
        if introducer == 0x21:
            label, at = data[at + 1], at + 2
        elif introducer == 0x2C:
            frames += 1
            if frames == 2:
                break
            left, top, wide, high, packed = struct.unpack_from("<HHHHB", data, at + 1)
            width, height = max(width, left + wide), max(height, top + high)
            at += 10 + (3 * 2 ** (packed % 8 + 1) if packed & 0x80 else 0) + 1
            label = -1
        else:
            raise damaged(name)
        while size := data[at]:
            at += size + 1
            short += size != 255
            if short > _MAX_SHORT_BLOCKS:
                raise overloaded_header(name)
        at += 1
        if label == 0xF9 and not frames:
            control = data[start:at][:32]
        elif introducer == 0x2C:
            kept += [control, data[start:at]]
    if not frames:
        raise damaged(name)
    stream = io.BytesIO(b"".join(kept) + b";")
    return Header("GIF", width, height, stream, animated=frames > 1)


def read_webp(data: bytes, name: str) -> Header:
    end = int.from_bytes(data[4:8], "little") + 8
    whole, end = end <= len(data), min(end, len(data))
    at, chunks, animated = 12, 0, False
    kept: list[tuple[bytes, bytes]] = []
    profile, orientation, width, height = b"", 1, 0, 0
    while at + 8 <= end:
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        chunks += 1
        if chunks > 4_096:
            raise overloaded_header(name)
        whole = whole and at + 8 + size <= end
        content = data[at + 8 : min(at + 8 + size, end)]
        if kind == b"VP8X":
            width, height = (int.from_bytes(content[i : i + 3], "little") + 1 for i in (4, 7))
            # Without the flags for profile, EXIF and XMP.
            content = bytes([content[0] & 0x12]) + content[1:]
        elif kind == b"VP8 " and not width:
            width, height = (v & 0x3FFF for v in struct.unpack_from("<HH", content, 6))
        elif kind == b"VP8L" and not width:
            (packed,) = struct.unpack_from("<I", content, 1)
            width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        if kind == b"ICCP" and size <= MAX_PROFILE:
            profile = profile or content
        elif kind == b"EXIF":
            orientation = read_orientation(content[:65_536])
        elif kind == b"ANMF" and any(other == b"ANMF" for other, _ in kept):
            animated = True
        elif kind in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            # Entropy coding leaves no such run; a lost sector of a disk does.
            whole = whole and not (kind.startswith(b"VP8") and _ZEROS in content)
            kept.append((kind, content))
        at += 8 + size + size % 2
    body = b"".join(
        kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)
        for kind, content in kept
    )
    stream = io.BytesIO(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body)
    return Header(
        "WEBP",
        width,
        height,
        stream,
        orientation=orientation,
        profile=profile,
        animated=animated,
        damaged=not whole,
    )


def read_bmp(data: bytes, name: str) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", data, 18)
        compression = 0
    else:
        width, height, _, _, compression = struct.unpack_from("<iiHHI", data, 18)
    if compression in (1, 2) and len(data) > _MAX_RLE:
        raise ImageError(
            Message(
                "photo_bmp_run_lengths",
                '"{name}" is a run-length encoded BMP of {size} MB. Save it without compression, '
                "or as PNG.",
                name=name,
                size=f"{len(data) / 1e6:.1f}",
            )
        )
    return Header("BMP", abs(width), abs(height), io.BytesIO(data))
