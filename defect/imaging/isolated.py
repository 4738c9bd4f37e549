"""AVIF, HEIF and JPEG 2000 are decoded in a process of their own, with limits of time and memory.

Their headers do not bound what decoding costs, so no check of ours could. Run as a script this file
is that process; it then imports nothing of the project.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 2
"""Of processor time."""
_PATIENCE = 15
"""Seconds on the clock, where the machine has other things to do."""
_ADDRESS_SPACE = 700 * 1024**2
_MAX_PROFILE = 4 * 1024**2


@dataclass(frozen=True)
class Decoded:
    """What came back."""

    mode: str
    size: tuple[int, int]
    whole: tuple[int, int]
    """Upright size before it was reduced."""
    pixels: bytes
    profile: bytes
    animated: bool
    turned: bool


class DecodeError(Exception):
    """It could not be decoded: `damaged`, `large`, `slow` or `missing` (no HEIF decoder)."""

    def __init__(self, reason: str, size: tuple[int, int] = (0, 0)) -> None:
        super().__init__(reason)
        self.reason, self.size = reason, size


def decode(data: bytes, kind: str, *, side: int, limit: int) -> Decoded:
    """Decodes a file elsewhere.

    Args:
        kind: `AVIF`, `HEIF` or `JPEG2000`.
        side: a picture with a longer side of twice that is reduced by whole blocks of pixels.
        limit: pixels.

    Raises:
        DecodeError: it cannot be used.
    """
    command = [sys.executable, "-I", str(Path(__file__)), kind, str(side), str(limit)]
    try:
        child = subprocess.run(
            command, input=data, capture_output=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DecodeError("slow") from error
    head, _, body = child.stdout.partition(b"\n")
    try:
        told: dict[str, Any] = json.loads(head)
    except ValueError as error:
        killed = child.returncode < 0
        raise DecodeError("slow" if killed else "damaged") from error
    if "error" in told:
        raise DecodeError(told["error"], tuple(told.get("size", (0, 0))))
    profile = int(told["profile"])
    return Decoded(
        told["mode"],
        tuple(told["size"]),
        tuple(told["whole"]),
        body[profile:],
        body[:profile],
        told["animated"],
        told["turned"],
    )


def _limit_resources() -> None:
    try:
        import resource
    except ImportError:  # Windows: only the clock limits it
        return
    for kind, most in ((resource.RLIMIT_AS, _ADDRESS_SPACE), (resource.RLIMIT_CPU, SECONDS)):
        resource.setrlimit(kind, (most, most))


def _answer(told: dict[str, Any], *bodies: bytes) -> None:
    sys.stdout.buffer.write(b"".join((json.dumps(told).encode(), b"\n", *bodies)))


def _main(kind: str, side: int, limit: int) -> None:
    from PIL import Image, ImageOps

    if kind == "AVIF":
        from PIL import AvifImagePlugin

        AvifImagePlugin.DEFAULT_MAX_THREADS = 1
    elif kind == "HEIF":
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            _answer({"error": "missing"})
            return
        register_heif_opener()
    _limit_resources()
    data = sys.stdin.buffer.read()
    size: tuple[int, int] = (0, 0)
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            size = image.size
            factor = max(1, max(size) // side)
            if kind == "JPEG2000":
                # Its decoder leaves out the finest levels at no cost.
                halvings = factor.bit_length() - 1
                if halvings:
                    image.reduce = halvings  # type: ignore[method-assign, assignment]
                limit, factor = limit << 2 * halvings, 1
            if size[0] * size[1] > limit:
                _answer({"error": "large", "size": size})
                return
            animated = getattr(image, "n_frames", 1) > 1
            orientation = image.getexif().get(0x0112, 1)
            turned = orientation in range(2, 9)
            profile = image.info.get("icc_profile") or b""
            image.load()
            loaded: Image.Image = image if image.mode != "P" else image.convert("RGB")
            if kind != "JPEG2000" and factor > 1:
                loaded = Image.Image.reduce(loaded, factor)
                loaded.info["exif"] = image.info.get("exif", b"")
            upright = ImageOps.exif_transpose(loaded) if turned else loaded
            if upright.mode not in {"L", "LA", "RGB", "RGBA", "I;16"}:
                upright = upright.convert("RGB")
            profile = profile if len(profile) <= _MAX_PROFILE else b""
            told = {"mode": upright.mode, "size": upright.size, "profile": len(profile)}
            whole = size[::-1] if orientation in range(5, 9) else size
            told |= {"whole": whole, "animated": animated, "turned": turned}
            _answer(told, profile, upright.tobytes())
    except MemoryError:
        _answer({"error": "large", "size": size})
    except Exception:
        _answer({"error": "damaged"})


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
