"""PBM, PGM and PPM, decoded here: Pillow reads most of them pixel by pixel in Python."""

from __future__ import annotations

import re

import numpy as np

from defect.imaging.errors import MAX_PIXELS, damaged, overloaded_header, too_large
from defect.imaging.headers import Header

_MAX_PLAIN = 6_000_000
"""Bytes of a file in digits."""
_COMMENT = re.compile(rb"#[^\n]*")


def read_pnm(data: bytes, name: str) -> Header:
    """Reads the whole file; what its header calls white is in `Header.white`.

    Raises:
        ImageError: it is damaged or too large.
    """
    kind = data[1] - ord("0")
    tokens = 2 if kind in (1, 4) else 3
    head = re.match(rb"P\d(?:\s+(?:#[^\n]{0,1000}\n\s*){0,50}(?:\d{1,6})){%d}" % tokens, data)
    if head is None:
        raise damaged(name)
    numbers = [int(token) for token in _COMMENT.sub(b"", head.group()).split()[1:]]
    (width, height), white = numbers[:2], numbers[2] if len(numbers) > 2 else 1
    if not 0 < white < 65_536 or not width * height:
        raise damaged(name)
    if width * height > MAX_PIXELS:
        raise too_large(name, width, height)
    channels = 3 if kind in (3, 6) else 1
    count = width * height * channels
    if kind <= 3:
        values = _plain(data[head.end() :], kind, count, name)
    elif kind == 4:
        rows = -(-width // 8)
        packed = np.frombuffer(data, np.uint8, offset=head.end() + 1)[: rows * height]
        if len(packed) < rows * height:
            raise damaged(name)
        values = np.unpackbits(packed.reshape(height, rows), axis=1)[:, :width].reshape(-1)
    else:
        dtype = np.dtype(">u2" if white > 255 else np.uint8)
        if len(data) - head.end() - 1 < count * dtype.itemsize:
            raise damaged(name)
        values = np.frombuffer(data, dtype, count, head.end() + 1)
    if len(values) < count:
        raise damaged(name)
    if kind in (1, 4):
        values, white = (1 - values) * np.uint8(255), 255  # 1 is black
    shape = (height, width, 3) if channels == 3 else (height, width)
    header = Header("PPM", width, height, bits=white.bit_length(), white=white)
    header.array = values.reshape(shape)
    return header


def _plain(body: bytes, kind: int, count: int, name: str) -> np.ndarray:
    if len(body) > _MAX_PLAIN:
        raise overloaded_header(name)
    body = _COMMENT.sub(b"", body)
    if kind == 1:
        digits = re.sub(rb"\s+", b"", body)[:count]
        return (np.frombuffer(digits, np.uint8) == ord("1")).astype(np.uint8)
    try:
        return np.array(body.split(None, count)[:count], np.uint16)
    except (ValueError, OverflowError) as error:
        raise damaged(name) from error
