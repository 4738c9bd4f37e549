"""TIFF and BigTIFF: directories checked and rebuilt before a decoder sees them; pages; bands."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from PIL import Image

from defect.imaging.errors import ImageError, damaged, overloaded_header
from defect.imaging.headers import MAX_PROFILE, Header
from defect.inspection import Message

MAX_PAGES = 20
"""Pages of one file that become photos."""
_MAX_DIRECTORIES = 1_000
_MAX_ENTRIES = 1_024
_MAX_VALUES = 300_000
"""Numbers in all tags of a directory: mostly where its strips or tiles lie."""
_MAX_TILE_PIXELS = 25_000_000
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}
_SIZES |= {17: 8, 18: 8}
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_NEEDED = frozenset(
    {256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 292, 293, 317, 320}
    | {322, 323, 324, 325, 332, 334, 338, 339, 347, 529, 530, 531, 532}
)
"""Tags the pixels need; no metadata."""
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000})
"""None, CCITT, LZW, JPEG, Deflate, PackBits and Zstandard. LZMA may claim gigabytes."""
_BANDED = frozenset({1, 5, 7, 8, 32773, 32946, 50000})


class _TooManyError(Exception):
    """More entries than a directory of a photo has."""


@dataclass(frozen=True)
class _Layout:
    order: str
    big: bool

    @property
    def offset(self) -> str:
        return "Q" if self.big else "I"

    @property
    def entry(self) -> int:
        return 20 if self.big else 12


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value: bytes
    """As it stands in the directory: the value, or where it lies."""


def count_pages(stream: IO[bytes]) -> int:
    """Pages of an open file: 1 where it is no TIFF; 0 where it is a broken one.

    Thumbnails, smaller copies and masks are no pages.
    """
    try:
        layout, at = _start(stream)
        pages = 0
        for _, kind in _directories(stream, layout, at):
            pages += not kind & 5
        return max(pages, 1)
    except (struct.error, OSError, _TooManyError):
        return 0
    except ValueError:
        return 1


def read_tiff(data: bytes, name: str, page: int = 0) -> Header:
    """Checks one page's directory and rebuilds it from what the pixels need.

    Raises:
        ImageError: it is damaged, has no such page, or claims more than it holds.
    """
    stream = io.BytesIO(data)
    try:
        layout, at = _start(stream)
        pages, found = 0, -1
        for position, kind in _directories(stream, layout, at):
            if not kind & 5 or found < 0:
                if pages == page:
                    found = position
                pages += not kind & 5
        if found < 0:
            raise damaged(name)
        entries = _entries(data, layout, found, name)
    except _TooManyError as error:
        raise overloaded_header(name) from error
    except (struct.error, ValueError) as error:
        if isinstance(error, ImageError):
            raise
        raise damaged(name) from error
    directory = _Directory(data, layout, entries, name)
    return directory.header(max(pages, 1))


def _start(stream: IO[bytes]) -> tuple[_Layout, int]:
    head = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    if order is None:
        raise ValueError("no TIFF")
    magic = struct.unpack_from(order + "H", head, 2)[0]
    if magic == 42:
        return _Layout(order, False), struct.unpack_from(order + "I", head, 4)[0]
    if magic == 43:
        return _Layout(order, True), struct.unpack_from(order + "Q", head, 8)[0]
    raise ValueError("no TIFF")


def _directories(stream: IO[bytes], layout: _Layout, at: int) -> Iterator[tuple[int, int]]:
    """Offset and kind (tag 254) of each directory; ends at a loop."""
    seen: set[int] = set()
    size = 8 if layout.big else 2
    while at and at not in seen and len(seen) < _MAX_DIRECTORIES:
        seen.add(at)
        stream.seek(at)
        (count,) = struct.unpack(layout.order + ("Q" if layout.big else "H"), stream.read(size))
        if count > _MAX_ENTRIES:
            raise _TooManyError
        body = stream.read(count * layout.entry)
        if len(body) < count * layout.entry:
            raise struct.error("cut off")
        kind = 0 if count else 1  # nothing: no page
        for start in range(0, min(len(body), 4 * layout.entry), layout.entry):
            if struct.unpack_from(layout.order + "H", body, start)[0] == 254:
                kind = struct.unpack_from(layout.order + "I", body, start + layout.entry // 5 * 4)[
                    0
                ]
        yield at, kind
        stream.seek(at + size + count * layout.entry)
        following = stream.read(8 if layout.big else 4)
        if len(following) < (8 if layout.big else 4):
            return
        (at,) = struct.unpack(layout.order + layout.offset, following)


def _entries(data: bytes, layout: _Layout, at: int, name: str) -> dict[int, _Entry]:
    (count,) = struct.unpack_from(layout.order + ("Q" if layout.big else "H"), data, at)
    at += 8 if layout.big else 2
    form = layout.order + "HH" + layout.offset
    found: dict[int, _Entry] = {}
    total = numbers = 0
    for start in range(at, at + count * layout.entry, layout.entry):
        tag, kind, length = struct.unpack_from(form, data, start)
        inline = start + (12 if layout.big else 8)
        value = data[inline : start + layout.entry]
        if tag in _NEEDED or tag in (274, 34675):
            size = _SIZES.get(kind, 1) * length
            if tag in found or (size > len(value) and _offset(layout, value) + size > len(data)):
                raise damaged(name)
            total += size
            numbers += length if kind in _NUMBERS and tag != 34675 else 0
            found[tag] = _Entry(tag, kind, length, value)
    if total > len(data) or numbers > _MAX_VALUES:
        raise overloaded_header(name)
    return found


def _offset(layout: _Layout, value: bytes) -> int:
    return int(struct.unpack(layout.order + layout.offset, value)[0])


class _Directory:
    """The tags of one page that are needed."""

    def __init__(self, data: bytes, layout: _Layout, entries: dict[int, _Entry], name: str) -> None:
        self.data, self.layout, self.entries, self.name = data, layout, entries, name
        self.width, self.height = self.number(256), self.number(257)
        self.rows = min(self.number(278, self.height) or self.height, self.height)

    def raw(self, tag: int) -> bytes:
        entry = self.entries[tag]
        size = _SIZES.get(entry.kind, 1) * entry.count
        if size <= len(entry.value):
            return entry.value[:size]
        start = _offset(self.layout, entry.value)
        return self.data[start : start + size]

    def numbers(self, tag: int) -> tuple[int, ...]:
        entry = self.entries.get(tag)
        if entry is None or entry.kind not in _NUMBERS or not entry.count:
            return ()
        form = f"{self.layout.order}{entry.count}{_NUMBERS[entry.kind]}"
        return struct.unpack(form, self.raw(tag))

    def number(self, tag: int, default: int = 0) -> int:
        found = self.numbers(tag)
        return found[0] if found else default

    def header(self, pages: int) -> Header:
        compression, photometric = self.number(259, 1), self.number(262, -1)
        bits, samples = self.number(258, 1), self.number(277, 1)
        if compression not in _COMPRESSIONS:
            raise ImageError(
                Message(
                    "photo_tiff_compression",
                    '"{name}" is a TIFF compressed in a way that is not read here (method '
                    "{method}). Save it with LZW or Deflate, or as PNG.",
                    name=self.name,
                    method=compression,
                )
            )
        tile = (self.number(322), self.number(323))
        if tile[0] * tile[1] > _MAX_TILE_PIXELS:
            raise ImageError(
                Message(
                    "photo_tiff_tiles",
                    '"{name}" is stored in tiles of {width}×{height} pixels, more than are read. '
                    "Save it with smaller tiles, or as PNG.",
                    name=self.name,
                    width=tile[0],
                    height=tile[1],
                )
            )
        if compression == 7:
            # Each strip or tile is a JPEG, whose scans must be bounded too.
            scans = self.data.count(b"\xff\xda")
            if scans > 4 * len(self.numbers(273) or self.numbers(324)) + 16:
                raise overloaded_header(self.name)
        orientation = self.number(274, 1)
        profile = self.entries.get(34675)
        fits = profile is not None and profile.count <= MAX_PROFILE
        return Header(
            "TIFF",
            self.width,
            self.height,
            self.stream(),
            orientation=orientation if 1 <= orientation <= 8 else 1,
            profile=self.raw(34675) if fits else b"",
            profile_refused=profile is not None and not fits,
            pages=pages,
            bits=bits,
            inverted=photometric == 0 and samples == 1 and bits > 8,
            bands=self.bands if compression in _BANDED and self.number(284, 1) == 1 else None,
        )

    def stream(self, changes: dict[int, tuple[int, ...]] | None = None) -> io.BytesIO:
        """The file with a directory of its needed tags at its end.

        Args:
            changes: other values of some tags.
        """
        return self._write(io.BytesIO(self.data), changes or {}, copied=False)

    def _band(self, places: tuple[int, int], part: slice, changes: dict[int, int]) -> io.BytesIO:
        """A file of some of the strips or tiles."""
        stream, offsets, counts = io.BytesIO(), [], []
        stream.write(self.data[:16])
        for at, size in zip(*(self.numbers(tag)[part] for tag in places), strict=True):
            offsets.append(stream.tell())
            counts.append(stream.write(self.data[at : at + size]))
        values: dict[int, tuple[int, ...]] = {tag: (value,) for tag, value in changes.items()}
        values |= {places[0]: tuple(offsets), places[1]: tuple(counts)}
        return self._write(stream, values, copied=True)

    def _write(
        self, stream: io.BytesIO, changes: dict[int, tuple[int, ...]], *, copied: bool
    ) -> io.BytesIO:
        layout = self.layout
        stream.seek(0, io.SEEK_END)
        stream.write(bytes(-stream.tell() % 8))
        lines = []
        for tag in sorted(self.entries.keys() & _NEEDED):
            entry = self.entries[tag]
            kind, count, value = entry.kind, entry.count, entry.value
            content = b""
            if tag in changes:
                kind, count = (16 if layout.big else 4), len(changes[tag])
                content = struct.pack(f"{layout.order}{count}{layout.offset}", *changes[tag])
            elif copied:
                content = self.raw(tag)
            if len(content) > len(value):
                value = struct.pack(layout.order + layout.offset, stream.tell())
                stream.write(content + bytes(-len(content) % 8))
            elif content:
                value = content.ljust(len(value), b"\0")
            lines.append(struct.pack(layout.order + "HH" + layout.offset, tag, kind, count) + value)
        at = stream.tell()
        stream.write(struct.pack(layout.order + ("Q" if layout.big else "H"), len(lines)))
        stream.write(b"".join(lines) + bytes(8))
        stream.seek(8 if layout.big else 4)
        stream.write(struct.pack(layout.order + layout.offset, at))
        stream.seek(0)
        return stream

    def bands(self, factor: int) -> Callable[[], Iterator[Image.Image]] | None:
        """Decodes some rows at a time, each time a multiple of `factor`; None where the file is
        stored in one piece."""
        tiled = 324 in self.entries
        places, sizes = (324, 325) if tiled else (273, 279)
        rows = self.number(323) if tiled else self.rows
        offsets, counts = self.numbers(places), self.numbers(sizes)
        if not rows or not offsets or len(offsets) != len(counts):
            return None
        across = -(-self.width // max(self.number(322), 1)) if tiled else 1
        pieces = max(factor, -(-256 // (rows * factor)) * factor)  # of that many rows
        band = rows * pieces
        if band * self.width > 8_000_000 or len(offsets) != across * -(-self.height // rows):
            return None

        if sum(counts) > len(self.data):
            raise overloaded_header(self.name)

        def decode() -> Iterator[Image.Image]:
            for top in range(0, self.height, band):
                part = slice(top // rows * across, (top // rows + pieces) * across)
                changes = {257: min(band, self.height - top)}
                if not tiled:
                    changes[278] = rows
                with Image.open(
                    self._band((places, sizes), part, changes), formats=("TIFF",)
                ) as im:
                    im.load()
                    yield im

        return decode
