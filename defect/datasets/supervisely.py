"""Masks as Supervisely exports them: JSON with bitmaps and polygons."""

from __future__ import annotations

import base64
import io
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from defect.imaging.photo import MAX_PIXELS

_MAX_BITMAP_BYTES = 16 * 1024**2


def read_annotation(path: Path) -> np.ndarray:
    """The union of an annotation's objects → H×W bool, at the annotated photo's size.

    Raises:
        ValueError: it is no such annotation, or larger than a photo may be.
    """
    try:
        document = json.loads(path.read_text("utf-8"))
        height, width = (int(document["size"][side]) for side in ("height", "width"))
        if not 0 < height * width <= MAX_PIXELS:
            raise ValueError(f"{width}×{height} pixels")
        mask = np.zeros((height, width), bool)
        for item in document["objects"]:
            if "bitmap" in item:
                _add_bitmap(mask, item["bitmap"])
            elif "points" in item:
                _add_polygon(mask, item["points"])
        return mask
    except (KeyError, TypeError, OSError, zlib.error, RecursionError, ValueError) as error:
        raise ValueError(f"{path.name} is no Supervisely annotation that can be read.") from error


def _add_bitmap(mask: np.ndarray, bitmap: dict[str, Any]) -> None:
    """`data` is base64 of a zlib-compressed PNG; `origin` is where its top left corner lies."""
    unpack = zlib.decompressobj()
    data = unpack.decompress(base64.b64decode(bitmap["data"], validate=True), _MAX_BITMAP_BYTES)
    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        if image.width * image.height > MAX_PIXELS:
            raise ValueError("a bitmap larger than a photo may be")
        # Usually two colours, one of them transparent; a plain grey picture is taken by its value.
        clear = "transparency" in image.info or image.mode in {"RGBA", "LA", "PA"}
        values = image.convert("RGBA").getchannel("A") if clear else image.convert("L")
        found = np.asarray(values) > 0
    left, top = (int(value) for value in bitmap["origin"])
    rows, columns = max(top, 0), max(left, 0)
    inside = found[rows - top :, columns - left :]
    target = mask[rows : rows + inside.shape[0], columns : columns + inside.shape[1]]
    target |= inside[: target.shape[0], : target.shape[1]]


def _add_polygon(mask: np.ndarray, points: dict[str, Any]) -> None:
    canvas = Image.new("1", (mask.shape[1], mask.shape[0]))
    draw = ImageDraw.Draw(canvas)
    draw.polygon([(float(x), float(y)) for x, y in points["exterior"]], fill=1)
    for hole in points.get("interior", []):
        draw.polygon([(float(x), float(y)) for x, y in hole], fill=0)
    mask |= np.asarray(canvas)
