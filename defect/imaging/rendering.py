"""A decoded picture → upright sRGB pixels, with notes on what was changed."""

from __future__ import annotations

import numpy as np
from PIL import Image

from defect.imaging.bit_depth import scale_deep, scaled_note, to_eight_bits
from defect.imaging.colour_profiles import profile_note, to_srgb
from defect.imaging.decoding import Decoded, has_alpha
from defect.imaging.errors import ImageError
from defect.inspection import Message

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation → what turns a picture upright."""


def render(
    decoded: Decoded, name: str, notes: list[str], bit_depth: int | None = None
) -> np.ndarray:
    """H×W×3 uint8 RGB. Sets `decoded.depth`, and `decoded.maximum` to None where it is no evidence.

    Args:
        notes: gets notes on what was changed.
        bit_depth: of the camera, where somebody knows.

    Raises:
        ImageError: the values cannot be brought to 8 bits.
    """
    if decoded.turned or decoded.orientation in _TURNS:
        notes.append(Message("photo_turned", "Turned upright as its EXIF data says."))
    if decoded.values is not None:
        image = _scaled(decoded, name, notes, bit_depth)
    else:
        assert decoded.image is not None
        image, decoded.maximum = decoded.image, None
    if image.mode == "F":
        raise ImageError(
            Message(
                "photo_floats",
                '"{name}" holds 32-bit floating-point values. Save it with 8 or 16 bits a channel.',
                name=name,
            )
        )
    alpha = has_alpha(image)
    if alpha:
        image = image.convert("RGBA")
    elif image.mode not in {"RGB", "L", "CMYK"}:
        image = image.convert("RGB")
    if decoded.profile_refused:
        notes.append(profile_note())
    image = to_srgb(image, decoded.profile, notes)
    if alpha:
        notes.append(Message("photo_transparent", "Transparent parts were laid on white."))
        below = Image.new("RGB", image.size, "white")
        below.paste(image, mask=image.getchannel("A"))
        image = below
    if decoded.orientation in _TURNS:
        image = image.transpose(_TURNS[decoded.orientation])
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _scaled(decoded: Decoded, name: str, notes: list[str], bit_depth: int | None) -> Image.Image:
    values, white = decoded.values, decoded.white
    assert values is not None
    if white is not None:
        decoded.depth, decoded.maximum = white.bit_length(), None
        if int(values.max()) > white:
            raise ImageError(
                Message(
                    "photo_beyond_depth",
                    '"{name}" has values beyond {depth} bits. Save it with 8 or 16 bits.',
                    name=name,
                    depth=decoded.depth,
                )
            )
        if decoded.depth > 8:
            notes.append(scaled_note(decoded.depth))
        pixels = to_eight_bits(values, white)
    else:
        pixels, decoded.depth = scale_deep(
            values,
            (decoded.minimum, decoded.maximum or 0),
            bit_depth,
            decoded.container,
            name,
            notes,
        )
    if decoded.inverted:
        pixels = 255 - pixels
    return Image.fromarray(pixels)
