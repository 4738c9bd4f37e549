"""Decodes a checked file in bounded memory: large pictures are reduced while they are decoded."""

from __future__ import annotations

import io
import math
import struct
import sys
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from defect.imaging import isolated
from defect.imaging.errors import MAX_PIXELS, ImageError, check_shape, damaged, too_large
from defect.imaging.exif import ORIENTATION, read_orientation
from defect.imaging.headers import MAX_PROFILE, Header
from defect.imaging.jpeg import ScanFeed
from defect.inspection import Message

KEPT_SIDE = 2048
"""Longer pictures are reduced to about this side: eight times what a network sees."""
_LONG = 10
"""Times as long as wide: longer pictures are reduced by their area, to keep their short side."""
_COSTLY = {"WEBP": 16_000_000, "AVIF": 16_000_000, "HEIF": 16_000_000, "JPEG2000": 4_000_000}
"""Formats that cannot be decoded without several copies: fewer pixels are read."""
_WHOLE_BYTES = 165_000_000
"""Bytes of pixels of what is decoded whole."""
_WHOLE_TIFF = 25_000_000
_BANDED = 16_000_000
"""More pixels are decoded some rows at a time, where the format allows it."""
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_BROKEN = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""
_LOW_BYTES = {"RGB;16B": "RGB;16L", "RGB;16L": "RGB;16B"}
"""Pillow reads the high byte of 16-bit colours; by the other byte order's name, the low one."""
_LOW_BYTES["RGB;16N"] = "RGB;16B" if sys.byteorder == "little" else "RGB;16L"
_UNSCALED = 64
"""High bytes of 16-bit colours that stay below this come from a camera of 14 bits or fewer."""


@dataclass
class Decoded:
    """A picture decoded and reduced, with what is needed to render it."""

    image: Image.Image | None = None
    values: np.ndarray | None = None
    """Instead of `image`: H×W or H×W×C integers that are deeper than 8 bits."""
    container: int = 16
    """Bits of the file's own values."""
    white: int | None = None
    """The value of white, where the file says it."""
    inverted: bool = False
    """0 is white."""
    orientation: int = 1
    turned: bool = False
    """It was turned upright already."""
    profile: bytes = b""
    profile_refused: bool = False
    damaged: bool = False
    depth: int = 8
    minimum: int = 0
    maximum: int | None = None
    """As in `Photo`."""
    size: tuple[int, int] = (0, 0)
    """Width and height before it was reduced; upright only where `turned`."""


def reducing_factor(width: int, height: int) -> int:
    """Pixels a side that become one."""
    long = max(width, height) > _LONG * min(width, height)
    side = math.isqrt(width * height) if long else max(width, height)
    return max(1, side // KEPT_SIDE)


def decode(header: Header, name: str) -> Decoded:
    """Decodes what `read_header` rebuilt.

    Raises:
        ImageError: it is damaged, too small, too large or too long.
    """
    decoded = Decoded(
        white=header.white,
        orientation=header.orientation,
        profile=header.profile,
        profile_refused=header.profile_refused,
        damaged=header.damaged,
        inverted=header.inverted,
    )
    if header.isolated:
        return _decode_isolated(header, decoded, name)
    check_shape(header.width, header.height, name)
    decoded.size = header.width, header.height
    if header.format == "TIFF" and header.bits not in (8, 16, 32):
        decoded.white = (1 << min(header.bits, 16)) - 1
    if header.array is not None:
        reduced = reduce_array(header.array)
        decoded.image, decoded.values = reduced.image, reduced.values
        decoded.maximum = None
        return decoded
    limit = _COSTLY.get(header.format, MAX_PIXELS)
    if header.width * header.height > limit:
        raise too_large(name, header.width, header.height, limit)
    try:
        _decode_here(header, decoded, name)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise too_large(name, header.width, header.height) from error
    except (UnidentifiedImageError, *_BROKEN) as error:
        raise damaged(name) from error
    return decoded


def decode_image(image: Image.Image, name: str) -> Decoded:
    """A PIL image that somebody else opened. Its metadata goes through our parsers, too.

    Raises:
        ImageError: as `decode`.
    """
    check_shape(image.width, image.height, name)
    if image.width * image.height * _BYTES.get(image.mode, 4) > 4 * MAX_PIXELS:
        raise too_large(name, image.width, image.height)
    tags = getattr(image, "tag_v2", {})
    profile = image.info.get("icc_profile") or b""
    decoded = Decoded(
        profile=profile if len(profile) <= MAX_PROFILE else b"",
        profile_refused=len(profile) > MAX_PROFILE,
    )
    try:
        if getattr(image, "is_animated", False):
            image.seek(0)
        turned = tags.get(ORIENTATION, 0)
        exif = image.info.get("exif", b"")
        decoded.orientation = read_orientation(exif if isinstance(exif, bytes) else b"")
        if isinstance(turned, int) and 2 <= turned <= 8 and not image.info.get("exif"):
            # Pillow turns a TIFF itself while it loads.
            decoded.orientation, decoded.turned = 1, True
        bits = tags.get(258, (16,))
        bits = int(bits[0] if isinstance(bits, tuple) else bits)
        decoded.white = (1 << bits) - 1 if 8 < bits < 16 else None
        decoded.inverted = tags.get(262) == 0 and bits > 8
        image.load()
        decoded.size = image.size
        _take(image, decoded)
    except _BROKEN as error:
        raise damaged(name) from error
    return decoded


def reduce_array(array: np.ndarray) -> Decoded:
    """H×W or H×W×C, uint8 or deeper."""
    factor = reducing_factor(array.shape[1], array.shape[0])
    if array.dtype == np.uint8:
        image = Image.fromarray(np.ascontiguousarray(array))
        return Decoded(image=_reduce(image, factor), size=array.shape[1::-1])
    values = np.ascontiguousarray(array[::factor, ::factor])
    return Decoded(values=values, maximum=int(array.max()), size=array.shape[1::-1])


def _decode_here(header: Header, decoded: Decoded, name: str) -> None:
    stream = header.stream
    assert stream is not None
    with Image.open(stream, formats=(header.format,)) as image:
        check_shape(image.width, image.height, name)
        factor = reducing_factor(*image.size)
        pixels = image.width * image.height
        if header.format == "JPEG":
            image.draft(None, (image.width // factor, image.height // factor))
            if isinstance(stream, ScanFeed):
                stream.watch(image)
            image.load()
            _take(image, decoded)
            decoded.damaged |= isinstance(stream, ScanFeed) and stream.damaged
            return
        bands = header.bands(factor) if header.bands and pixels > _BANDED and factor > 1 else None
        if bands is None:
            size = pixels * _BYTES.get(image.mode, 4)
            whole = _WHOLE_TIFF if header.format == "TIFF" else MAX_PIXELS
            if size > _WHOLE_BYTES or pixels > whole:
                limit = min(_WHOLE_BYTES * pixels // size, whole)
                raise too_large(name, image.width, image.height, limit)
            if header.bits == 16 and image.mode == "RGB" and pixels <= _BANDED:
                decoded.values = _deep_colours(image, stream)
                decoded.maximum = None if decoded.values is None else int(decoded.values.max())
            image.load()
            if decoded.values is None:
                _take(image, decoded)
            else:
                decoded.values = decoded.values[::factor, ::factor]
            return
    del stream
    header.stream = None
    strips: list[Image.Image] = []
    rows: list[np.ndarray] = []
    for band in bands():
        if _is_deep(band):
            values = np.asarray(band)
            decoded.maximum = max(decoded.maximum or 0, int(values.max()))
            rows.append(values[::factor, ::factor].copy())
        else:
            strips.append(_reduce_strip(band, factor))
    if rows:
        decoded.values = np.concatenate(rows)
    else:
        decoded.image = _stacked(strips)


def _take(image: Image.Image, decoded: Decoded) -> None:
    """Reduces a loaded image."""
    factor = reducing_factor(*image.size)
    if _is_deep(image):
        values = np.asarray(image)
        decoded.container = 32 if image.mode == "I" else 16
        decoded.minimum, decoded.maximum = int(values.min()), int(values.max())
        decoded.values = np.ascontiguousarray(values[::factor, ::factor])
    else:
        decoded.image = _reduce(image, factor)


def _is_deep(image: Image.Image) -> bool:
    return image.mode == "I" or image.mode.startswith("I;16")


def _deep_colours(image: Image.Image, stream: io.BytesIO) -> np.ndarray | None:
    """H×W×3 uint16 where a 16-bit RGB picture's values seem unscaled, else None.

    Pillow keeps the high bytes only, in which nothing is left of 10 bits.
    """
    tile = image.tile[0]  # type: ignore[attr-defined]
    args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    if args[0] not in _LOW_BYTES or len(image.tile) != 1:  # type: ignore[attr-defined]
        return None
    image.load()
    high = np.asarray(image)
    if high.max() >= _UNSCALED:
        return None
    with Image.open(io.BytesIO(stream.getvalue()), formats=(str(image.format),)) as again:
        changed = (_LOW_BYTES[args[0]], *args[1:])
        args = changed if isinstance(tile.args, tuple) else changed[0]
        again.tile = [tile._replace(args=args)]
        again.load()
        values = high.astype(np.uint16)
        values <<= 8
        values |= np.asarray(again)
    return values


def _reduce(image: Image.Image, factor: int) -> Image.Image:
    """`image.reduce` strip by strip, as it and the conversions copy what they are given."""
    if factor < 2:
        return image
    rows = 64 * factor
    return _stacked(
        [
            _reduce_strip(image.crop((0, top, image.width, min(top + rows, image.height))), factor)
            for top in range(0, image.height, rows)
        ]
    )


def _reduce_strip(strip: Image.Image, factor: int) -> Image.Image:
    """Averages whole blocks of pixels."""
    # Pillow cannot average palettes and single bits.
    if strip.mode in {"1", "P", "PA"}:
        strip = strip.convert("RGBA" if has_alpha(strip) else "RGB")
    return strip.reduce(factor)


def _stacked(strips: list[Image.Image]) -> Image.Image:
    height = sum(strip.height for strip in strips)
    stacked = Image.new(strips[0].mode, (strips[0].width, height))
    stacked.info = strips[0].info
    top = 0
    for strip in strips:
        stacked.paste(strip, (0, top))
        top += strip.height
    return stacked


def has_alpha(image: Image.Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info


def _decode_isolated(header: Header, decoded: Decoded, name: str) -> Decoded:
    assert header.stream is not None
    limit = _COSTLY[header.format]
    if header.width:
        check_shape(header.width, header.height, name)
    try:
        found = isolated.decode(
            header.stream.getvalue(), header.format, side=KEPT_SIDE, limit=limit
        )
    except isolated.DecodeError as error:
        raise _isolated_error(error, header, name, limit) from error
    check_shape(*found.size, name)
    image = Image.frombytes(found.mode, found.size, found.pixels)
    decoded.turned, decoded.orientation = found.turned, 1
    decoded.profile, decoded.size = found.profile, found.whole
    header.animated = found.animated
    _take(image, decoded)
    return decoded


def _isolated_error(
    error: isolated.DecodeError, header: Header, name: str, limit: int
) -> ImageError:
    if error.reason == "large":
        return too_large(name, *error.size, limit)
    if error.reason == "slow":
        return ImageError(
            Message(
                "photo_too_slow",
                '"{name}" takes too long to decode. Save it as JPEG or PNG.',
                name=name,
            )
        )
    if error.reason == "missing":
        return ImageError(
            Message(
                "photo_heif",
                '"{name}" is a HEIC photo, which takes the package pillow-heif to read. Install '
                "it, or save the photo as JPEG.",
                name=name,
            )
        )
    return damaged(name)
