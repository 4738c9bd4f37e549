"""An inspection as a web page gets it once, to draw every threshold itself.

Maps travel as whole steps of 0.005 × the normal limit, rounded down. Thresholds are multiples of
0.01, so a rounded value reaches one exactly when the value itself does: the page's mask is
`Inspection.mask`, pixel for pixel.
"""

from __future__ import annotations

import base64
import io
import zlib
from typing import Any

import numpy as np
from PIL import Image

from defect.inspection import Inspection

STEPS = 200
"""Steps in 1 × the normal limit; the highest value that travels is 327 ×."""
ERROR_END = 20.0
"""The error map's scale ends at this multiple of the thesis's normal limit."""
_QUALITY = 90


def to_wire(inspection: Inspection) -> dict[str, Any]:
    """Everything a page draws of an inspection, as JSON.

    `photo` and `reconstruction` are JPEG data addresses. `map` is the anomaly map, `error` the
    root of E as a share of the root of 20 × the thesis's limit, in 0..255; see `packed`. What a
    model does not have, such as a reconstruction, is None.
    """
    rebuilt = inspection.reconstruction
    return {
        "photo": jpeg(inspection.photo),
        "reconstruction": None if rebuilt is None else jpeg(rebuilt),
        "map": packed(steps(inspection.anomaly_map)),
        "error": _error(inspection),
        "thesis_score": inspection.thesis_score,
        "thesis_limit": inspection.thesis_limit,
        "name": inspection.name,
        "notes": list(inspection.notes),
        "model": inspection.model,
        "category": inspection.category,
    }


def _error(inspection: Inspection) -> str | None:
    if inspection.error_map is None or inspection.thesis_limit is None:
        return None
    root = np.sqrt(inspection.error_map / (ERROR_END * inspection.thesis_limit))
    return packed((root.clip(0, 1) * 255).astype(np.uint16))


def steps(values: np.ndarray) -> np.ndarray:
    """Multiples of the normal limit, any shape → uint16 steps, rounded down."""
    return np.floor(values.astype(np.float64) * STEPS).clip(0, 65535).astype(np.uint16)


def packed(values: np.ndarray) -> str:
    """H×W uint16 → base64 of the deflated little-endian differences along rows (modulo 2¹⁶)."""
    # Smooth maps shrink to a third as differences.
    differences = np.diff(values, axis=1, prepend=values.dtype.type(0))
    return base64.b64encode(zlib.compress(differences.astype("<u2").tobytes(), 6)).decode()


def jpeg(image: np.ndarray) -> str:
    """H×W×3 uint8 → a JPEG as a `data:` address."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()
