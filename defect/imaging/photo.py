"""The one way in for every untrusted picture: file, bytes, PIL image or array → RGB uint8.

What a file claims (format, side, pixels, shape) is checked from its header before anything is
decoded, and large pictures are reduced while they are decoded, so no input costs much memory.
"""

from __future__ import annotations

import io
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 40 * 1024**2
MAX_SIDE = 12_000
MAX_PIXELS = 40_000_000
_COSTLY = {"WEBP": 16_000_000, "TIFF": 25_000_000, "CMYK": 25_000_000}
"""Formats and modes that cannot be decoded without several copies: fewer pixels are taken."""
MIN_SIDE = 16
MAX_ASPECT = 10
KEPT_SIDE = 2048
"""Longer pictures are reduced to about this side: eight times what a network sees."""
SHOWN_SIDE = 1024
NETWORK_SIDE = 256
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"})

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")
_READABLE = "PNG, JPEG, BMP, WebP, TIFF or GIF"
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    SyntaxError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
"""What Pillow's decoders raise on damaged files."""


class ImageError(ValueError):
    """A picture that cannot be used; the text says why and what to do."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture that was read and checked."""

    pixels: np.ndarray
    """H×W×3 uint8, upright, RGB."""
    name: str
    """File name without its folder, or `image`."""
    notes: tuple[str, ...] = ()
    """What was changed on the way in, as sentences for people."""

    @property
    def shown(self) -> np.ndarray:
        """H×W×3 uint8, at most 1024 pixels a side, for people."""
        return thumbnail(self.pixels, SHOWN_SIDE)


Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Photo


def read_photo(source: Source, name: str | None = None) -> Photo:
    """Reads one picture; a `Photo` is returned as it is.

    Args:
        source: a path, a file's bytes, a PIL image, or an array: H×W, H×W×1, H×W×3 or H×W×4, of
            uint8, uint16, bool, or float in 0..1.
        name: how to call it in messages; the file's own name by default.

    Raises:
        ImageError: it is not a picture, is damaged, or exceeds a limit of this module.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        return _from_file(path, name or path.name)
    name = name or "image"
    if isinstance(source, (bytes, bytearray)):
        return _from_stream(io.BytesIO(source), len(source), name)
    if isinstance(source, Image.Image):
        return _from_pil(source, name)
    if isinstance(source, np.ndarray):
        return _from_array(source, name)
    kind = "nothing" if source is None else f"a {type(source).__name__}"
    raise ImageError(f"Expected a photo, got {kind}. Give a path, bytes, PIL image or array.")


def network_input(pixels: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 → 256×256×3 uint8, the whole picture squeezed into the square."""
    if pixels.shape[:2] == (NETWORK_SIDE, NETWORK_SIDE):
        return pixels
    writable = pixels if pixels.flags.writeable else pixels.copy()
    planes = torch.from_numpy(writable).permute(2, 0, 1).unsqueeze(0)
    # Pillow's antialiased filter to within one level, in a fifth of the time.
    small = F.interpolate(planes, (NETWORK_SIDE,) * 2, mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).contiguous().numpy()


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """H×W×3 uint8 → the same picture with its longer side at most `side` pixels."""
    if max(pixels.shape[:2]) <= side:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)


def _from_file(path: Path, name: str) -> Photo:
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise ImageError(f'"{name}" is not a file. Give the path of a photo.')
        with path.open("rb") as stream:
            return _from_stream(stream, size, name)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(f'There is no file "{name}". Check the path.') from error
    except PermissionError as error:
        raise ImageError(f'"{name}" may not be read. Check its permissions.') from error
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError("That is not a path a file can have. Check it.") from error
    except OSError as error:
        raise ImageError(f'"{name[:80]}" cannot be read. Check the path and the disk.') from error


def _from_stream(stream: IO[bytes], size: int, name: str) -> Photo:
    if size == 0:
        raise ImageError(f'"{name}" is empty (0 bytes). Save or send the photo again.')
    if size > MAX_BYTES:
        raise ImageError(
            f'"{name}" is {size / 1024**2:.0f} MB; at most {MAX_BYTES // 1024**2} MB are read. '
            f"Save it smaller, for example as JPEG."
        )
    try:
        image = Image.open(stream, formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_too_large(name)) from error
    except UnidentifiedImageError as error:
        stream.seek(0)
        start = stream.read(512).lstrip().lower()
        if b"<svg" in start:
            raise ImageError(
                f'"{name}" is an SVG drawing, not a photo. Export it as PNG first.'
            ) from error
        raise ImageError(
            f'"{name}" is not a picture this program reads. Use {_READABLE}.'
        ) from error
    except _DAMAGED as error:
        raise ImageError(_damaged(name)) from error
    with image:
        return _from_pil(image, name)


def _from_pil(image: Image.Image, name: str) -> Photo:
    _check_shape(image.width, image.height, name)
    limit = _COSTLY.get(image.format or "", _COSTLY.get(image.mode, MAX_PIXELS))
    if image.width * image.height > limit:
        raise ImageError(_too_large(name, f"{image.width}×{image.height} pixels", limit))
    notes = []
    try:
        if image.format in {"JPEG", "MPO"}:
            factor = max(1, max(image.size) // KEPT_SIDE)
            image.draft(None, (image.width // factor, image.height // factor))
        elif getattr(image, "is_animated", False):
            image.seek(0)
            notes.append("Animation: only its first frame was used.")
        if image.format == "TIFF":
            _check_tile(image, name)
        # Asked before loading: Pillow turns a TIFF while it loads, and forgets that it did.
        turned = image.getexif().get(0x0112, 1) in range(2, 9)
        if turned:
            notes.append("Turned upright as its EXIF data says.")
        image.load()
        reduced = _reduced(image)
        upright = ImageOps.exif_transpose(reduced) if turned else reduced
        rgb = _to_rgb(upright, _depth(image), name, notes)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(_too_large(name)) from error
    except _DAMAGED as error:
        raise ImageError(_damaged(name)) from error
    return Photo(np.array(rgb), name, tuple(notes))


def _from_array(array: np.ndarray, name: str) -> Photo:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            f'"{name}" is an array of shape {array.shape}; expected H×W, H×W×3 or H×W×4.'
        )
    _check_shape(array.shape[1], array.shape[0], name)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise ImageError(
                f'"{name}" is a float array with values from {low:g} to {high:g}; expected 0..1. '
                f"Divide it by its white value, or give uint8."
            )
        array = (array * 255 + 0.5).astype(np.uint8)
    elif array.dtype == np.uint16:
        array = _eight_bits(array, 16)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype != np.uint8:
        raise ImageError(
            f'"{name}" is an array of {array.dtype}; expected uint8, uint16, bool or float in 0..1.'
        )
    return _from_pil(Image.fromarray(np.ascontiguousarray(array)), name)


def _check_shape(width: int, height: int, name: str) -> None:
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            f'"{name}" is {width}×{height} pixels; each side needs at least {MIN_SIDE}. '
            f"Use a larger photo."
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, f"{width}×{height} pixels"))
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            f'"{name}" is {width}×{height} pixels, more than {MAX_ASPECT} times as long as wide. '
            f"Crop it to the part."
        )


def _check_tile(image: Image.Image, name: str) -> None:
    """A small TIFF may claim huge tiles, which are decoded whole."""
    tags = getattr(image, "tag_v2", {})
    width, height = int(tags.get(322, 0)), int(tags.get(323, 0))
    if width * height > MAX_PIXELS:
        raise ImageError(_too_large(name, f"tiles of {width}×{height} pixels"))


def _reduced(image: Image.Image) -> Image.Image:
    """Averages whole blocks of pixels until the longer side is near `KEPT_SIDE`."""
    factor = max(image.size) // KEPT_SIDE
    if factor < 2:
        return image
    exif = image.info.get("exif")
    if image.mode.startswith("I;16"):
        # Pillow cannot average this mode; every n-th pixel is close enough at this size.
        small = Image.fromarray(np.ascontiguousarray(np.asarray(image)[::factor, ::factor]))
    else:
        small = _averaged(image, factor)
    if exif is not None:
        small.info["exif"] = exif
    return small


def _averaged(image: Image.Image, factor: int) -> Image.Image:
    """`image.reduce` strip by strip, as it and the conversions copy what they are given."""
    rows = 64
    strips = []
    for top in range(0, image.height, rows * factor):
        bottom = min(top + rows * factor, image.height)
        strip = image.crop((0, top, image.width, bottom))
        # Pillow cannot average palettes and single bits.
        if strip.mode in {"1", "P", "PA"}:
            strip = strip.convert("RGBA" if _has_alpha(strip) else "RGB")
        strips.append(strip.reduce(factor))
    small = Image.new(strips[0].mode, (strips[0].width, -(-image.height // factor)))
    small.info = strips[0].info
    for i, strip in enumerate(strips):
        small.paste(strip, (0, i * rows))
    return small


def _to_rgb(image: Image.Image, depth: int, name: str, notes: list[str]) -> Image.Image:
    if image.mode == "F":
        raise ImageError(
            f'"{name}" holds 32-bit floating-point values. Save it with 8 or 16 bits a channel.'
        )
    if image.mode == "I" or image.mode.startswith("I;16"):
        values = np.asarray(image)
        if values.min() < 0 or int(values.max()) >= 1 << depth:
            raise ImageError(f'"{name}" has values beyond {depth} bits. Save it with 8 or 16 bits.')
        notes.append(f"{depth}-bit picture scaled to 8 bits.")
        image = Image.fromarray(_eight_bits(values, depth))
    elif _has_alpha(image):
        notes.append("Transparent parts were laid on white.")
        rgba = image.convert("RGBA")
        image = Image.new("RGB", rgba.size, "white")
        image.paste(rgba, mask=rgba.getchannel("A"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in {"RGBA", "LA", "PA", "La", "RGBa"} or "transparency" in image.info


def _depth(image: Image.Image) -> int:
    """Bits of a deep grey picture: what the file declares, 16 unless it says otherwise."""
    bits = getattr(image, "tag_v2", {}).get(258, (16,))
    return min(int(bits[0] if isinstance(bits, tuple) else bits), 16)


def _eight_bits(values: np.ndarray, depth: int) -> np.ndarray:
    """Scales so that the depth's white becomes 255."""
    white = (1 << depth) - 1
    table = np.round(np.arange(white + 1) * (255 / white)).astype(np.uint8)
    return table[values]


def _too_large(name: str, size: str = "too many pixels", limit: int = MAX_PIXELS) -> str:
    return (
        f'"{name}" has {size}; at most {limit // 1_000_000} megapixels and {MAX_SIDE} pixels '
        f"a side are read. Make it smaller or crop it."
    )


def _damaged(name: str) -> str:
    return f'"{name}" is cut off or damaged. Save or send the photo again.'
