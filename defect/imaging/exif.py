"""The one EXIF value that matters here, the orientation, by a bounded parser.

Libraries build an object for every tag. Thousands of tags that point at the same bytes then turn a
file of half a megabyte into gigabytes, so no library sees the metadata of an untrusted file.
"""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
_MAX_ENTRIES = 512
_FORMATS = {1: "B", 3: "H", 4: "I"}


def read_orientation(exif: bytes) -> int:
    """EXIF data (with or without its `Exif` prefix) → 1..8; 1 (upright) where it says nothing.

    Reads at most 512 entries of the first directory and follows no offset but that directory's.
    """
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(bytes(exif[:2]))
    if order is None:
        return 1
    try:
        magic, start = struct.unpack_from(order + "HI", exif, 2)
        if magic != 42:
            return 1
        (count,) = struct.unpack_from(order + "H", exif, start)
        for number in range(min(count, _MAX_ENTRIES)):
            at = start + 2 + 12 * number
            tag, kind, length = struct.unpack_from(order + "HHI", exif, at)
            if tag == ORIENTATION:
                if kind not in _FORMATS or length != 1:
                    return 1
                (value,) = struct.unpack_from(order + _FORMATS[kind], exif, at + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1
