"""JPEG: bounded checks of its segments before a decoder runs, and of its scan while one runs."""

from __future__ import annotations

import io
import re
from typing import Any

from defect.imaging.errors import damaged, overloaded_header, too_large
from defect.imaging.exif import read_orientation
from defect.imaging.headers import MAX_PROFILE, Header

_MAX_SEGMENTS = 2_000
_MAX_FILL = 1_024
"""0xFF bytes before one marker; standard allows any number, programs write none or one."""
_MAX_SCAN_PIXELS = 480_000_000
"""Scans × pixels: every scan of a progressive file passes over all its coefficients."""
_MOST_SCANS = 20
"""Of what programs write: ten are usual."""
_MAX_COEFFICIENTS = 230 * 1024**2
"""Bytes of coefficients a file of several scans is decoded through."""
_FILL = re.compile(rb"\xff+")
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_SOF = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL = frozenset({0xC0, 0xC1})
_TAIL = 3
"""Bytes at a scan's end without which no intact picture is complete; one would do, but some
cameras fill up to a whole word."""
_PADDING = b"\xff\x00" * 8
"""As many ones as a decoder reads ahead into its bit buffer. No code is all ones, so whoever needs
them runs out of them soon."""
_ZEROS = bytes(256)
"""Nothing that is coded looks like this, but a lost sector of a disk does."""


def read_jpeg(data: bytes, name: str) -> Header:
    """Checks a JPEG and drops what decoding does not need: metadata, thumbnails, what follows it.

    Raises:
        ImageError: it is damaged, or has more segments, scans or pixels than are read.
    """
    kept, segments, at = [b"\xff\xd8"], 0, 2
    frame: _Frame | None = None
    profile: dict[int, bytes] = {}
    orientation = 1
    seen: set[int] = set()
    while True:
        fill = _FILL.search(data, at)
        if fill is None or fill.end() + 3 > len(data):
            raise damaged(name)
        segments += 1
        if segments > _MAX_SEGMENTS or fill.end() - fill.start() > _MAX_FILL:
            raise overloaded_header(name)
        marker, at = data[fill.end()], fill.end() + 1
        if marker in (0, 1, _SOI) or 0xD0 <= marker <= 0xD7:
            continue
        if marker == _EOI:
            raise damaged(name)
        stop = at + int.from_bytes(data[at : at + 2], "big")
        if stop < at + 2 or stop > len(data):
            raise damaged(name)
        content = data[at + 2 : stop]
        if marker in _SOF:
            if frame is not None or len(content) < 6:
                raise damaged(name)
            frame = _Frame(marker, content)
        if marker == 0xE1 and content.startswith(b"Exif\0\0") and 0xE1 not in seen:
            orientation = read_orientation(content)
            seen.add(marker)
        elif marker == 0xE2 and content.startswith(b"ICC_PROFILE\0") and len(content) > 14:
            profile.setdefault(content[12], content[14:])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            kept.append(b"\xff" + bytes([marker]) + data[at:stop])
        elif marker not in seen and content[:5] in (b"JFIF\0", b"Adobe"):
            # How the colours are stored; without the thumbnail that JFIF may hold.
            seen.add(marker)
            content = content[:12] + bytes(2) if marker == 0xE0 else content[:64]
            length = (len(content) + 2).to_bytes(2, "big")
            kept.append(b"\xff" + bytes([marker]) + length + content)
        at = stop
        if marker == _SOS:
            break
    if frame is None:
        raise damaged(name)
    end, scans, whole = _follow_scans(data, at, kept[-1], name)
    frame.check(scans, name)
    head = b"".join(kept)
    icc = b"".join(profile[number] for number in sorted(profile))
    header = Header(
        "JPEG",
        frame.width,
        frame.height,
        orientation=orientation,
        profile=icc if len(icc) <= MAX_PROFILE else b"",
        profile_refused=len(icc) > MAX_PROFILE,
        damaged=not whole,
    )
    scan = memoryview(data)[at:end]
    if whole and scans == 1 and frame.sequential(kept[-1]) and len(scan) > 64:
        body = bytes(scan)
        feed = ScanFeed(b"".join((head, body, _PADDING, b"\xff\xd9")))
        feed.tail = len(head) + len(body) - _TAIL
        feed.finish = len(head) + len(body) + len(_PADDING)
        header.stream = feed
    else:
        header.stream = io.BytesIO(b"".join((head, scan, data[end : end + 2])))
    return header


class _Frame:
    """What the frame header says."""

    def __init__(self, marker: int, content: bytes) -> None:
        self.marker = marker
        self.height = int.from_bytes(content[1:3], "big")
        self.width = int.from_bytes(content[3:5], "big")
        self.components = content[5]
        self.sampling = [divmod(value, 16) for value in content[7 : 6 + 3 * self.components : 3]]

    def sequential(self, scan: bytes) -> bool:
        """Whether this scan header's scan holds all there is, row by row."""
        return self.marker in _SEQUENTIAL and scan[4:5] == bytes([self.components])

    def check(self, scans: int, name: str) -> None:
        pixels = self.width * self.height
        if scans > 4 and scans * pixels > _MAX_SCAN_PIXELS:
            if scans > _MOST_SCANS:
                raise overloaded_header(name)
            raise too_large(name, self.width, self.height, _MAX_SCAN_PIXELS // scans)
        if scans > 1 and self.sampling and all(h and v for h, v in self.sampling):
            most = max(h for h, _ in self.sampling) * max(v for _, v in self.sampling)
            size = 2 * pixels * sum(h * v for h, v in self.sampling) / most
            if size > _MAX_COEFFICIENTS:
                limit = int(pixels * _MAX_COEFFICIENTS / size)
                raise too_large(name, self.width, self.height, limit)


def _follow_scans(data: bytes, at: int, scan: bytes, name: str) -> tuple[int, int, bool]:
    """From the first scan's data to the end: where that is (before the end marker), how many scans
    there are, and whether the data is whole as far as its markers show."""
    scans, markers, whole = 1, 0, True
    while True:
        found = _MARKER.search(data, at)
        if _is_progressive(scan) and found and data.find(_ZEROS, at, found.start()) >= 0:
            whole = False
        if found is None:
            return len(data), scans, False
        marker = found.group(1)[0]
        if marker == _EOI:
            return found.start(), scans, whole
        markers += 1
        if markers > _MAX_SEGMENTS:
            raise overloaded_header(name)
        at = found.end()
        if marker < 0xC0 or marker == _SOI:
            whole = False  # no such marker can stand in a scan
            continue
        stop = at + int.from_bytes(data[at : at + 2], "big")
        if stop < at + 2 or stop > len(data):
            return len(data), scans, False
        scan = b"" if marker != _SOS else data[found.start() : stop]
        scans += marker == _SOS
        at = stop


def _is_progressive(scan: bytes) -> bool:
    """Whether this scan header's scan holds no mean values, of which a flat picture has many
    zeros."""
    return len(scan) > 4 and scan[5 + 2 * scan[4] : 6 + 2 * scan[4]] not in (b"", b"\0")


class ScanFeed(io.BytesIO):
    """Hands a JPEG of one scan to Pillow so that a corrupt scan shows.

    libjpeg repairs silently what it cannot read. But a corrupt scan loses its place, and almost
    always says too much or too little for the picture: then the last row is complete before the
    scan ends, or still missing when it has ended.
    """

    tail = finish = -1
    damaged = False
    _image: Any = None
    _probes: dict[tuple[int, int], Any] | None = None

    def watch(self, image: Any) -> None:
        """Call between opening and loading the image."""
        self._image = image

    def read(self, size: int | None = -1, /) -> bytes:
        at = self.tell()
        if self._image is not None:
            if self._probes is None:
                self._mark()
            if at == self.tail and self._last_row_written():
                self.damaged = True
            if at == self.finish and not self._last_row_written():
                self.damaged = True
            for stop in (self.tail, self.finish):
                if at < stop:
                    size = stop - at if size is None or size < 0 else min(size, stop - at)
                    break
        return super().read(size)

    def _mark(self) -> None:
        """Writes colours into the last row that decoding will replace."""
        core, (width, height) = self._image.im, self._image.size
        value = (3, 250, 5, 247)[: core.bands] if core.bands > 1 else 251
        self._probes = {(x * (width - 1) // 7, height - 1): value for x in range(8)}
        for index, (place, colour) in enumerate(self._probes.items()):
            if core.bands == 1:
                self._probes[place] = colour = 251 - 29 * index
            core.putpixel(place, colour)

    def _last_row_written(self) -> bool:
        core = self._image.im
        return any(core.getpixel(place) != value for place, value in (self._probes or {}).items())
