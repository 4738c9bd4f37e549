"""The one way in for every untrusted picture: file, bytes, PIL image or array → RGB uint8.

What a file claims is checked from its header before anything is decoded (`formats`), and large
pictures are reduced while they are decoded, so no input costs much time or memory.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from defect.imaging.bit_depth import check_bit_depth, guess_bit_depth
from defect.imaging.decoding import KEPT_SIDE, Decoded, decode, decode_image, reduce_array
from defect.imaging.errors import MAX_PIXELS, MAX_SIDE, ImageError, check_shape
from defect.imaging.formats import SUFFIXES, read_header
from defect.imaging.rendering import render
from defect.inspection import Message

__all__ = [
    "KEPT_SIDE",
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "NETWORK_SIDE",
    "SHOWN_SIDE",
    "SUFFIXES",
    "ImageError",
    "Photo",
    "Source",
    "guess_bit_depth",
    "network_input",
    "read_photo",
    "thumbnail",
    "upright_size",
]

MAX_BYTES = 40 * 1024**2
SHOWN_SIDE = 1024
NETWORK_SIDE = 256


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture that was read and checked."""

    pixels: np.ndarray
    """H×W×3 uint8, upright, sRGB."""
    name: str
    """File name without its folder, or `image`."""
    notes: tuple[str, ...] = ()
    """What was changed on the way in, as sentences for people (`Message`)."""
    damaged: bool = False
    """Parts of the file are missing or corrupt, but it could be read: do not teach from it."""
    bit_depth: int = 8
    """Of the values it was scaled from."""
    maximum: int | None = None
    """The highest value of a 16-bit file that does not say how deep its values are, as evidence
    for `guess_bit_depth`; None for all others."""
    size: tuple[int, int] = (0, 0)
    """Height and width before it was reduced, upright; by default those of the pixels."""

    def __post_init__(self) -> None:
        if self.size == (0, 0):
            object.__setattr__(self, "size", self.pixels.shape[:2])

    @property
    def shown(self) -> np.ndarray:
        """H×W×3 uint8, at most 1024 pixels a side, for people."""
        return thumbnail(self.pixels, SHOWN_SIDE)


Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Photo


def read_photo(
    source: Source,
    name: str | None = None,
    bit_depth: int | None = None,
    page: int | None = None,
) -> Photo:
    """Reads one picture; a `Photo` is returned as it is.

    Args:
        source: a path, a file's bytes, a PIL image, or an array: H×W, H×W×1, H×W×3 or H×W×4, of
            uint8, uint16, bool, or float in 0..1.
        name: how to call it in messages; the file's own name by default.
        bit_depth: of the camera (8 to 16), where its values lie unscaled in a 16-bit file.
        page: of a TIFF, from 0. By default the first, with a note if there are others.

    Raises:
        ImageError: it is not a picture, is damaged, or exceeds a limit of this module.
        ValueError: the bit depth is not one.
    """
    if isinstance(source, Photo):
        return source
    check_bit_depth(bit_depth)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        name = name or printable(path.name)
        return _from_bytes(_file_bytes(path, name), name, bit_depth, page)
    name = name or "image"
    if isinstance(source, (bytes, bytearray)):
        return _from_bytes(bytes(source), name, bit_depth, page)
    if isinstance(source, Image.Image):
        return _from_pil(source, name, bit_depth)
    if isinstance(source, np.ndarray):
        return _from_array(source, name, bit_depth)
    kind = "nothing" if source is None else f"a {type(source).__name__}"
    raise ImageError(
        Message(
            "photo_no_source",
            "Expected a photo, got {kind}. Give a path, bytes, PIL image or array.",
            kind=kind,
        )
    )


def upright_size(path: Path) -> tuple[int, int]:
    """Width and height of a photo as it is shown, mostly from its header alone.

    Raises:
        ImageError: as `read_photo`.
    """
    name = printable(path.name)
    header = read_header(_file_bytes(path, name), name)
    if header.isolated:
        height, width = read_photo(path).pixels.shape[:2]
        return width, height
    check_shape(header.width, header.height, name)
    size = (header.width, header.height)
    return size[::-1] if header.orientation >= 5 else size


def printable(name: str) -> str:
    """A file's name as it can be shown and stored: bytes that are no UTF-8 are read as GBK, the
    usual encoding of Chinese file names, and escaped where they are not that either."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raw = os.fsencode(name)
        try:
            name = raw.decode("gbk")
        except UnicodeDecodeError:
            name = raw.decode("utf-8", "backslashreplace")
    return "".join(letter for letter in name if letter.isprintable()) or "nameless"


def network_input(pixels: np.ndarray) -> np.ndarray:
    """H×W×3 uint8 → 256×256×3 uint8, the whole picture squeezed into the square."""
    return resize(pixels, (NETWORK_SIDE, NETWORK_SIDE))


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """H×W×3 uint8 → h×w×3 uint8, bilinear and antialiased; `size` is (h, w)."""
    if pixels.shape[:2] == size:
        return pixels
    writable = pixels if pixels.flags.writeable else pixels.copy()
    planes = torch.from_numpy(writable).permute(2, 0, 1).unsqueeze(0)
    # Pillow's antialiased filter to within one level, in a fifth of the time.
    small = F.interpolate(planes, size, mode="bilinear", antialias=True)
    return small[0].permute(1, 2, 0).contiguous().numpy()


def thumbnail(pixels: np.ndarray, side: int) -> np.ndarray:
    """H×W×3 uint8 → the same picture with its longer side at most `side` pixels."""
    if max(pixels.shape[:2]) <= side:
        return pixels
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)


def _file_bytes(path: Path, name: str) -> bytes:
    try:
        if not path.is_file() and path.exists():
            raise ImageError(
                Message(
                    "photo_not_a_file",
                    '"{name}" is not a file. Give the path of a photo.',
                    name=name,
                )
            )
        with path.open("rb") as stream:
            _check_size(os.fstat(stream.fileno()).st_size, name)
            return stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageError(
            Message("photo_missing", 'There is no file "{name}". Check the path.', name=name)
        ) from error
    except PermissionError as error:
        raise ImageError(
            Message(
                "photo_not_permitted",
                '"{name}" may not be read. Check its permissions.',
                name=name,
            )
        ) from error
    except ImageError:
        raise
    except ValueError as error:
        raise ImageError(
            Message("photo_bad_path", "That is not a path a file can have. Check it.")
        ) from error
    except OSError as error:
        raise ImageError(
            Message(
                "photo_disk",
                '"{name}" cannot be read. Check the path and the disk.',
                name=name[:80],
            )
        ) from error


def _check_size(size: int, name: str) -> None:
    if size == 0:
        raise ImageError(
            Message(
                "photo_empty",
                '"{name}" is empty (0 bytes). Save or send the photo again.',
                name=name,
            )
        )
    if size > MAX_BYTES:
        raise ImageError(
            Message(
                "photo_too_many_bytes",
                '"{name}" is {size} MB; at most {most} MB are read. Save it smaller, for example '
                "as JPEG.",
                name=name,
                size=f"{size / 1024**2:.0f}",
                most=MAX_BYTES // 1024**2,
            )
        )


def _from_bytes(data: bytes, name: str, bit_depth: int | None, page: int | None) -> Photo:
    _check_size(len(data), name)
    header = read_header(data, name, page or 0)
    del data
    decoded = decode(header, name)
    notes: list[str] = []
    if header.animated:
        notes.append(Message("photo_animation", "Animation: only its first frame was used."))
    if header.pages > 1 and page is None:
        notes.append(
            Message(
                "photo_first_page", "{count} pages: only the first was used.", count=header.pages
            )
        )
    return _finish(decoded, name, notes, bit_depth)


def _from_pil(image: Image.Image, name: str, bit_depth: int | None) -> Photo:
    notes: list[str] = []
    if getattr(image, "is_animated", False):
        notes.append(Message("photo_animation", "Animation: only its first frame was used."))
    return _finish(decode_image(image, name), name, notes, bit_depth)


def _from_array(array: np.ndarray, name: str, bit_depth: int | None) -> Photo:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (3, 4)):
        raise ImageError(
            Message(
                "array_shape",
                '"{name}" is an array of shape {shape}; expected H×W, H×W×3 or H×W×4.',
                name=name,
                shape=str(array.shape),
            )
        )
    check_shape(array.shape[1], array.shape[0], name)
    if np.issubdtype(array.dtype, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):
            raise ImageError(
                Message(
                    "array_range",
                    '"{name}" is a float array with values from {low} to {high}; expected 0..1. '
                    "Divide it by its white value, or give uint8.",
                    name=name,
                    low=f"{low:g}",
                    high=f"{high:g}",
                )
            )
        array = (array * 255 + 0.5).astype(np.uint8)
    elif array.dtype == bool:
        array = array.astype(np.uint8) * 255
    elif array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            Message(
                "array_type",
                '"{name}" is an array of {type}; expected uint8, uint16, bool or float in 0..1.',
                name=name,
                type=str(array.dtype),
            )
        )
    return _finish(reduce_array(array), name, [], bit_depth)


def _finish(decoded: Decoded, name: str, notes: list[str], bit_depth: int | None) -> Photo:
    pixels = render(decoded, name, notes, bit_depth)
    if decoded.damaged:
        notes.append(
            Message(
                "damaged_but_readable",
                "Parts of this file are missing or corrupt: what could be read was used.",
            )
        )
    width, height = decoded.size[::-1] if decoded.orientation >= 5 else decoded.size
    return Photo(
        pixels,
        name,
        tuple(notes),
        decoded.damaged,
        decoded.depth,
        decoded.maximum,
        (height, width),
    )
