"""Endpoints that say what there is: `models` and `health`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

import defect
from defect.detectors import catalogue
from defect.detectors.registry import DETECTORS
from defect.ui.endpoints import answers
from defect.ui.endpoints.answers import typed_json
from defect.weights.errors import WeightsError
from defect.weights.index import read_index


def catalogue_endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        listed = typed_json(list[answers.Model], "models")
        gr.Button().click(models, None, listed, api_name="models")
        gr.Button().click(health, None, typed_json(answers.Health, "health"), api_name="health")


def models() -> list[dict[str, Any]]:
    """Lists every trained model: its category, file, checksum, what photo it expects, and whether
    it is bundled, or on the Hub and downloaded when it is first used."""
    try:
        entries = catalogue.entries()
        known = catalogue.categories()
    except WeightsError as error:
        raise gr.Error(str(error)) from error
    rows = []
    for entry, where in entries:
        if entry.model not in (*DETECTORS, "cnn"):
            continue  # a part of other models, which takes no photos itself
        category = known.get(entry.category)
        expects = category.expects if category else "a close-up of a hot-rolled steel surface"
        row = answers.Model(
            model=entry.model,
            category=entry.category,
            file=entry.file,
            sha256=entry.sha256,
            size=entry.size,
            expects=str(expects),
            where=where,
        )
        rows.append(asdict(row))
    return rows


def health() -> dict[str, Any]:
    """Says whether the app answers, and its version."""
    try:
        count = len(read_index())
    except WeightsError as error:
        raise gr.Error(str(error)) from error
    return {"status": "ok", "version": defect.__version__, "weights": count}
