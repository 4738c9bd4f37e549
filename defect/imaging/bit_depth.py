"""Values deeper than 8 bits → 8 bits, and how deep a camera's values are.

Cameras with 10, 12 or 14 bits often store their values unscaled in files of 16: the photo is then
nearly black. No single photo can tell such a file from a dark one, several can.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from defect.imaging.errors import ImageError
from defect.inspection import Message

DEPTHS = (8, 10, 12, 14, 16)
FEWEST = 3
"""Photos whose agreement is believed."""
MANY_TIMES = 3.5
"""How far the highest values of one product's photos may lie apart; two bits are 4 times."""


def guess_bit_depth(maxima: Iterable[int | None]) -> int:
    """The depth of a camera's values, from the highest value of each of its 16-bit photos.

    Args:
        maxima: `Photo.maximum` of several photos; None, of ordinary photos, does not count.

    Returns:
        8, 10, 12, 14 or 16; 16 where fewer than three photos say anything.
    """
    known = [value for value in maxima if value is not None]
    if len(known) < FEWEST:
        return 16
    return next(depth for depth in DEPTHS if max(known) < 1 << depth or depth == 16)


def check_bit_depth(bit_depth: int | None) -> None:
    """Raises `ValueError` unless it is None or a number of bits from 8 to 16."""
    if bit_depth is not None and (
        isinstance(bit_depth, bool) or not isinstance(bit_depth, int) or not 8 <= bit_depth <= 16
    ):
        raise ValueError(
            Message(
                "bit_depth_out_of_range",
                "The bit depth is {depth}; give a whole number from 8 to 16.",
                depth=str(bit_depth)[:40],
            )
        )


def to_eight_bits(values: np.ndarray, white: int) -> np.ndarray:
    """Integers in 0..65535 → uint8, so that `white` becomes 255 and what is above stays there."""
    table = np.round(np.arange(white + 1) * (255 / white)).astype(np.uint8)
    table = np.concatenate((table, np.full(65_535 - white, 255, np.uint8)))
    scaled: np.ndarray = table[values]
    return scaled


def scale_deep(
    values: np.ndarray,
    limits: tuple[int, int],
    bit_depth: int | None,
    container: int,
    name: str,
    notes: list[str],
) -> tuple[np.ndarray, int]:
    """Values of a file that does not say how deep they are.

    Args:
        values: integers.
        limits: the lowest and highest of all the picture's values, of which those given are some.
        bit_depth: of the camera, where somebody knows.
        container: bits of the file's own values, 16 or 32.
        notes: gets notes on what was done.

    Returns:
        The same shape as uint8, and the depth used.

    Raises:
        ImageError: there are values below 0 or over 16 bits.
    """
    lowest, highest = limits
    if lowest < 0 or highest > 65_535:
        raise ImageError(
            Message(
                "photo_beyond_16_bits",
                '"{name}" has values beyond 16 bits. Save it with 8 or 16 bits.',
                name=name,
            )
        )
    depth = bit_depth or 16
    if bit_depth is None and container == 32 and highest < 256:
        depth = 8
    if highest >= 1 << depth:
        notes.append(
            Message(
                "bit_depth_exceeded",
                "Values up to {highest} do not fit the bit depth of {depth}: "
                "brighter parts became white.",
                highest=highest,
                depth=depth,
            )
        )
    if depth == 8 and container == 32:
        notes.append(Message("photo_32_bit_of_8", "32-bit picture with 8-bit values."))
    else:
        notes.append(scaled_note(depth))
        if bit_depth is None and highest < 1 << 14:
            notes.append(
                Message(
                    "bit_depth_suspected",
                    "No value is above {highest} of 65535. If the camera has fewer than 16 bits, "
                    "give its bit depth.",
                    highest=highest,
                )
            )
    return to_eight_bits(values, (1 << depth) - 1), depth


def scaled_note(depth: int) -> Message:
    return Message("photo_scaled", "{depth}-bit picture scaled to 8 bits.", depth=depth)
