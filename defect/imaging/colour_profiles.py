"""ICC profiles: pictures in any colour space → sRGB, which the detectors were trained on."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from defect.inspection import Message

_SAME = 2
"""Levels of 255 by which a profile may differ from sRGB and is still taken for it."""
_MODES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_BROKEN = (ImageCms.PyCMSError, OSError, ValueError, TypeError, SyntaxError, MemoryError)


def to_srgb(image: Image.Image, profile: bytes, notes: list[str]) -> Image.Image:
    """Converts by an embedded profile; a broken one is ignored, with a note.

    Args:
        image: RGB, RGBA, L, LA or CMYK; other modes are returned as they are.
        profile: the file's ICC profile, or empty.
        notes: gets a note of what was done.

    Returns:
        RGB, or RGBA where there is transparency; the image itself where it is in sRGB already.
    """
    if not profile:
        return image
    try:
        mode, transform = _transform(profile)
    except _BROKEN:
        notes.append(profile_note())
        return image
    if transform is None or mode is None:
        return image
    alpha = image.getchannel("A") if image.mode in {"RGBA", "LA"} else None
    if image.mode in {"P", "PA"} or image.mode.removesuffix("A") != mode:
        return image
    plain = image.convert(mode) if alpha is not None else image
    try:
        converted = ImageCms.applyTransform(plain, transform)
    except _BROKEN:
        notes.append(profile_note())
        return image
    if converted is None:
        return image
    if alpha is not None:
        converted.putalpha(alpha)
    notes.append(
        Message("profile_converted", "Colours converted to sRGB by the photo's colour profile.")
    )
    return converted


def profile_note() -> Message:
    """For a profile that is too large or broken."""
    return Message(
        "profile_ignored", "Its colour profile is damaged and was ignored: colours may be off."
    )


@lru_cache(maxsize=16)
def _transform(profile: bytes) -> tuple[str | None, Any]:
    """The mode a profile describes, and the transform from it to sRGB: `None` where both are the
    same to the eye, so that such photos keep their exact pixels."""
    source = ImageCms.getOpenProfile(io.BytesIO(profile))
    mode = _MODES.get(str(source.profile.xcolor_space).ljust(4))
    if mode is None:
        return None, None
    target = ImageCms.createProfile("sRGB")
    intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    transform = ImageCms.buildTransform(source, target, mode, "RGB", intent, flags)
    sample = _samples(mode)
    converted = ImageCms.applyTransform(sample, transform)
    assert converted is not None
    if mode != "CMYK":
        change = np.asarray(converted).astype(int) - np.asarray(sample.convert("RGB"))
        if np.abs(change).max() <= _SAME:
            return mode, None
    return mode, transform


def _samples(mode: str) -> Image.Image:
    """Colours from all over the space."""
    steps = np.arange(0, 256, 17, np.uint8)
    if mode == "L":
        return Image.fromarray(steps[None])
    cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(16, -1, 3)
    return Image.fromarray(cube) if mode == "RGB" else Image.new("CMYK", (2, 2))
