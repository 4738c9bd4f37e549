"""What the Inspect tab's viewer and comparison are given to draw: JSON, never HTML."""

from __future__ import annotations

import filecmp
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from defect.detectors import catalogue
from defect.detectors.catalogue import Category
from defect.detectors.thresholds import presets, stored_scores
from defect.imaging.photo import ImageError, read_photo
from defect.inspection import Inspection, unfamiliar
from defect.ui.i18n import translate, translate_message
from defect.ui.payload import jpeg, packed, steps, to_wire
from defect.weights.errors import WeightsError
from defect.weights.resolution import DownloadPending


def nothing(model: str, category: Category) -> dict[str, Any]:
    """The viewer before there is a photo."""
    prompt = "prompt_example" if category.examples else "prompt_upload"
    return {"kind": "waiting", "prompt": prompt, **_known(model, category.name)}


def known(model: str, category: Category) -> dict[str, Any]:
    """What is known of another model before there is a photo; a look that came meanwhile stays."""
    return {"kind": "known", **_known(model, category.name)}


def problem(text: str, model: str, category: str) -> dict[str, Any]:
    """The viewer where a photo could not be inspected."""
    return {"kind": "problem", "text": translate_message(text), **_known(model, category)}


def look(path: str, model: str, category: str) -> dict[str, Any]:
    """The viewer with a photo inspected, or with the reason why it was not; `awaited` where that is
    only that the weights are still being fetched."""
    try:
        inspection = catalogue.inspector(model, category)(path)
    except DownloadPending:
        name = translate("model_of", model=model.upper(), category=category)
        return problem(translate("awaited", model=name), model, category) | {"awaited": True}
    except (ImageError, WeightsError) as error:
        return problem(str(error), model, category)
    wired = to_wire(inspection)
    return {
        "kind": "look",
        "id": secrets.token_hex(6),
        "example": _example(path, category),
        "unfamiliar": unfamiliar(inspection),
        **wired,
        "notes": [translate_message(note) for note in wired["notes"]],
        **_known(model, category),
    }


def compared(path: str, category: Category) -> dict[str, Any]:
    """One photo by every model the category has; a model that fails is told in its place."""
    try:
        photo = read_photo(path)
    except ImageError as error:
        return {"looks": [{"model": category.models[0], "problem": translate_message(str(error))}]}
    looks: list[dict[str, Any]] = []
    for model in category.models:
        try:
            looks.append(_small(catalogue.inspector(model, category.name)(photo)))
        except WeightsError as error:
            looks.append({"model": model, "problem": translate_message(str(error))})
    return {"photo": jpeg(photo.shown), "looks": looks}


def _small(inspection: Inspection) -> dict[str, Any]:
    drawn = packed(steps(inspection.anomaly_map))
    return {"map": drawn, "model": inspection.model, "category": inspection.category}


def _known(model: str, category: str) -> dict[str, Any]:
    """What a threshold is chosen by: stored scores in steps, and presets."""
    known: dict[str, Any] = {"model": model, "category": category}
    try:
        metadata, _ = catalogue.header(model, category)
    except WeightsError:
        return known  # the viewer says elsewhere that there are no such weights
    found = presets(metadata)
    scores = asdict(stored_scores(metadata))
    known["scores"] = {group: _steps(values) for group, values in scores.items()}
    known["presets"] = asdict(found) if found else {"balanced": 1.0}
    return known


def _steps(scores: Sequence[float]) -> list[int]:
    listed: list[int] = steps(np.asarray(scores, np.float64)).tolist()
    return listed


def _example(path: str, category: str) -> str | None:
    """The name of the example the file is a copy of, for a link that opens it again."""
    for example in catalogue.categories()[category].examples:
        if example.path.name == Path(path).name and filecmp.cmp(example.path, path, shallow=False):
            return example.path.stem
    return None
