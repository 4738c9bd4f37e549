"""What the page's viewer is sent of an inspection, once, to draw every threshold itself.

JSON, never HTML. Maps travel as whole steps of 0.005 × the normal limit, rounded down. Thresholds
are multiples of 0.01, so a rounded value reaches one exactly when the value itself does: the page's
mask is `Inspection.mask`, pixel for pixel.
"""

from __future__ import annotations

import base64
import filecmp
import json
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps

from defect.detectors import catalogue
from defect.detectors.thresholds import (
    drawn_defects,
    false_alarm_percents,
    presets,
    stored_scores,
)
from defect.imaging import colours
from defect.imaging.photo import ImageError, read_photo
from defect.inspection import Inspection
from defect.reports.writer import to_jpeg
from defect.ui.i18n import translate, translate_error, translate_message
from defect.ui.sessions import find_detector, find_header
from defect.weights.errors import WeightsError
from defect.weights.resolution import DownloadPending

STEPS = 200
"""Steps in 1 × the normal limit; the highest value that travels is 327 ×."""
ERROR_END = 20.0
"""The error map's scale ends at this multiple of the thesis's normal limit."""
_CALM = (250, 246, 232)
"""Colour of 0 in a whole map; the overlay is transparent there."""
_PROBLEMS = (ImageError, WeightsError)


def page_settings() -> dict[str, Any]:
    """What the page's scripts share with the server: units, scales and colours."""
    scale = colours.overlay_scale()
    return {
        "steps": STEPS,
        "error_end": ERROR_END,
        "overlay": {
            "start": scale["start"],
            "end": scale["end"],
            "table": np.asarray(scale["table"], np.uint8).tobytes().hex(),
        },
        "palettes": {name: table.tobytes().hex() for name, table in _palettes().items()},
    }


def _palettes() -> dict[str, np.ndarray]:
    """Name → 256×3 uint8: colours of a whole map, from 0 to the end of the overlay's scale."""
    stops = [(0.0, _CALM), *((at, colour) for at, colour, _ in colours.STOPS)]
    levels = np.linspace(0, colours.SCALE_END, colours.LEVELS)
    heat = [
        np.interp(levels, [at for at, _ in stops], [colour[c] for _, colour in stops])
        for c in range(3)
    ]
    positions = np.linspace(0, 1, colours.LEVELS)
    return {
        "heat": np.stack(heat, axis=1).astype(np.uint8),
        **{name: colormaps[name](positions, bytes=True)[:, :3] for name in ("viridis", "inferno")},
    }


def waiting(model: str | None, category: str, prompt: str) -> dict[str, Any]:
    """The viewer before there is a photo.

    Args:
        prompt: key of the text that says what to do.
    """
    return {"kind": "waiting", "prompt": prompt, **_known(model, category)}


def known(model: str | None, category: str) -> dict[str, Any]:
    """What is known of another model before there is a photo; an inspection that came meanwhile
    stays."""
    return {"kind": "known", **_known(model, category)}


def problem(text: str, model: str | None, category: str) -> dict[str, Any]:
    """The viewer where a photo could not be inspected; the text is for the visitor."""
    return {"kind": "problem", "text": text, **_known(model, category)}


def inspect_photo(path: str, model: str | None, category: str) -> dict[str, Any]:
    """The viewer with a photo inspected, or with the reason why it was not; `pending` where that
    is only that the weights are still being fetched."""
    try:
        inspection = find_detector(model, category)(path)
    except DownloadPending:
        name = translate("model_of", model=str(model).upper(), category=category)
        return problem(translate("pending", model=name), model, category) | {"pending": True}
    except _PROBLEMS as error:
        return problem(translate_error(error), model, category)
    return {
        "kind": "inspection",
        "id": secrets.token_hex(6),
        "example": _example(path, category),
        **_known(model, category),
        **inspection_payload(inspection),
    }


def inspection_payload(inspection: Inspection) -> dict[str, Any]:
    """Everything a page draws of an inspection.

    `photo` and `reconstruction` are JPEG data addresses. `map` is the anomaly map, `error` the
    root of E as a share of the root of 20 × the thesis's limit, in 0..255; see `pack_map`. What
    the detector does not have, such as a reconstruction, is None.
    """
    rebuilt = inspection.reconstruction
    return {
        "photo": _jpeg(inspection.photo),
        "reconstruction": None if rebuilt is None else _jpeg(rebuilt),
        "map": pack_map(to_steps(inspection.anomaly_map)),
        "error": _error(inspection),
        "thesis_score": inspection.thesis_score,
        "thesis_limit": inspection.thesis_limit,
        "unfamiliar": inspection.unfamiliar,
        "name": inspection.name,
        "notes": [translate_message(note) for note in inspection.notes],
        "model": inspection.model,
        "category": inspection.category,
    }


def comparison(path: str, models: Sequence[str], category: str) -> dict[str, Any]:
    """One photo by several models; one that fails says so in its place."""
    try:
        photo = read_photo(path)
    except ImageError as error:
        return {"inspections": [{"title": models[0], "problem": translate_error(error)}]}
    inspections: list[dict[str, Any]] = []
    for model in models:
        try:
            detector = find_detector(model, category)
            # One that knows its camera's bit depth reads the file with it.
            inspection = detector(photo if detector.metadata.bit_depth is None else path)
        except WeightsError as error:
            inspections.append({"title": model, "problem": translate_error(error)})
        else:
            anomaly_map = pack_map(to_steps(inspection.anomaly_map))
            inspections.append({"title": inspection.model, "map": anomaly_map})
    return {"photo": _jpeg(photo.shown), "inspections": inspections}


def histogram(scores: Mapping[str, Sequence[float]], threshold: float) -> str:
    """Groups of scores (multiples of the normal limit) as the HTML element that the page draws
    every histogram of scores with; the names are those of `histogram_…` texts."""
    listed = {group: _listed(values) for group, values in scores.items() if values}
    if not listed:
        return ""
    return (
        f'<score-histogram scores="{escape(json.dumps(listed))}" threshold="{threshold:g}">'
        f"</score-histogram>"
    )


def to_steps(values: np.ndarray) -> np.ndarray:
    """Multiples of the normal limit, any shape → uint16 steps, rounded down."""
    return np.floor(values.astype(np.float64) * STEPS).clip(0, 65535).astype(np.uint16)


def pack_map(values: np.ndarray) -> dict[str, Any]:
    """h×w uint16 → its shape and `data`, the base64 of the deflated little-endian differences along
    rows (modulo 2¹⁶)."""
    # Smooth maps shrink to a third as differences.
    differences = np.diff(values, axis=1, prepend=values.dtype.type(0))
    data = base64.b64encode(zlib.compress(differences.astype("<u2").tobytes(), 6)).decode()
    return {"data": data, "shape": list(values.shape)}


def _known(model: str | None, category: str) -> dict[str, Any]:
    """What a threshold is chosen by: stored scores in steps, and presets."""
    known: dict[str, Any] = {"model": model, "category": category}
    try:
        metadata, source = find_header(model, category)
    except WeightsError:
        return known  # the viewer says elsewhere that there are no such weights
    found = presets(metadata)
    scores = stored_scores(metadata)
    good = len(scores.held_out) + len(scores.good)
    return {
        "model": metadata.model,
        "category": metadata.category,
        # A link cannot lead to a detector that only this visitor has.
        "linkable": source.source not in ("uploaded", "taught here"),
        "scores": {group: _listed(values) for group, values in asdict(scores).items()},
        "bounds": false_alarm_percents(good),
        "drawn": drawn_defects(metadata),
        "presets": asdict(found) if found else {"balanced": 1.0},
    }


def _listed(scores: Sequence[float]) -> list[int]:
    listed: list[int] = to_steps(np.asarray(scores, np.float64)).tolist()
    return listed


def _error(inspection: Inspection) -> dict[str, Any] | None:
    if inspection.error_map is None or inspection.thesis_limit is None:
        return None
    root = np.sqrt(inspection.error_map / (ERROR_END * inspection.thesis_limit))
    return pack_map((root.clip(0, 1) * 255).astype(np.uint16))


def _jpeg(image: np.ndarray) -> str:
    """H×W×3 uint8 → a JPEG as a `data:` address."""
    return "data:image/jpeg;base64," + base64.b64encode(to_jpeg(image)).decode()


def _example(path: str, category: str) -> str | None:
    """The name of the example the file is a copy of, for a link that opens it again."""
    known = catalogue.categories().get(category)
    for example in known.examples if known else ():
        if example.path.name == Path(path).name and filecmp.cmp(example.path, path, shallow=False):
            return example.path.stem
    return None
