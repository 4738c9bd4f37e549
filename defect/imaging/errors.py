"""Why a picture cannot be used, in sentences that several readers share."""

from __future__ import annotations

from defect.inspection import Message

MIN_SIDE = 16
MAX_SIDE = 30_000
MAX_PIXELS = 70_000_000
MAX_ASPECT = 200
"""Times as long as wide."""


class ImageError(ValueError):
    """A picture that cannot be used; the text says why and what to do."""


def damaged(name: str) -> ImageError:
    return ImageError(
        Message(
            "photo_damaged",
            '"{name}" is cut off or damaged. Save or send the photo again.',
            name=name,
        )
    )


def too_large(name: str, width: int, height: int, limit: int = MAX_PIXELS) -> ImageError:
    """More pixels or longer sides than are read."""
    return ImageError(
        Message(
            "photo_too_many_pixels",
            '"{name}" has {width}×{height} pixels; at most {megapixels} megapixels and {side} '
            "pixels a side are read. Make it smaller or crop it.",
            name=name,
            width=width,
            height=height,
            megapixels=limit // 1_000_000,
            side=MAX_SIDE,
        )
    )


def overloaded_header(name: str) -> ImageError:
    """A header with more pieces than any camera or program writes."""
    return ImageError(
        Message(
            "photo_header_overloaded",
            '"{name}" has far more metadata or segments than a photo needs. Open it in a picture '
            "editor and save it again.",
            name=name,
        )
    )


def unknown_format(name: str) -> ImageError:
    return ImageError(
        Message(
            "photo_not_a_picture",
            '"{name}" is not a picture this program reads. Use PNG, JPEG, BMP, WebP, TIFF, GIF, '
            "AVIF, JPEG 2000 or PGM/PPM.",
            name=name,
        )
    )


def check_shape(width: int, height: int, name: str) -> None:
    """Raises `ImageError` for a picture too small, too large, or much too long."""
    if min(width, height) < MIN_SIDE:
        raise ImageError(
            Message(
                "photo_too_small",
                '"{name}" is {width}×{height} pixels; each side needs at least {least}. '
                "Use a larger photo.",
                name=name,
                width=width,
                height=height,
                least=MIN_SIDE,
            )
        )
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise too_large(name, width, height)
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(
            Message(
                "photo_too_long",
                '"{name}" is {width}×{height} pixels, more than {most} times as long as wide. '
                "Crop it to the part.",
                name=name,
                width=width,
                height=height,
                most=MAX_ASPECT,
            )
        )
