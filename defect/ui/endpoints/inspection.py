"""Named endpoints for programs and agents: the same door as the tabs, with typed answers.

The functions' docstrings are what the API page and MCP tools say of them.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr

import defect
from defect.detectors import catalogue
from defect.detectors.registry import DETECTORS
from defect.imaging.overlay import draw_cam, draw_overlay
from defect.imaging.photo import ImageError, read_photo
from defect.inspection import Inspection, check_threshold
from defect.reports.writer import mask_png
from defect.ui.batches import inspect_files, write_csv
from defect.ui.downloads import download_path, write_jpeg, write_picture
from defect.ui.endpoints import answers
from defect.ui.endpoints.answers import typed_json
from defect.ui.uploads import photo_input, uploaded
from defect.weights.errors import WeightsError
from defect.weights.index import IndexEntry, read_index

NETWORK: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "network"}
"""Photos looked at at once: one a core of a small server."""
_PROBLEMS = (ImageError, WeightsError, ValueError)


def endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        _autoencoder()
        _compare()
        _cnn()
        _batch()
        _models_and_health()


def predict_autoencoder(
    photo: str | None, model: str, category: str, threshold: float
) -> tuple[Any, ...]:
    """Inspects one product photo for defects with a detector that only saw good parts.

    Args:
        photo: the photo, showing the category's product framed as the category expects
        model: cae, vae, dae or memory; which there are for a category, the models endpoint lists.
            A memory rebuilds nothing: no reconstruction, and null for the thesis score
        category: the product, such as bottle; the models endpoint lists what each expects
        threshold: scores from here on are called defective; 1.0 is the normal limit
    """
    try:
        result = catalogue.inspector(model, category)(_given(photo)).at(threshold)
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return (
        answers.inspected(result),
        _overlay(result),
        None
        if result.reconstruction is None
        else write_jpeg("reconstruction", result.reconstruction),
        write_picture("mask.png", mask_png(result.mask)),
    )


def compare(photo: str | None, category: str, threshold: float) -> tuple[Any, ...]:
    """Inspects one product photo with every detector there is for its category.

    Args:
        photo: the photo, showing the category's product framed as the category expects
        category: the product, such as bottle; the models endpoint lists what each expects
        threshold: scores from here on are called defective; 1.0 is each model's own normal limit
    """
    try:
        check_threshold(threshold)
        prepared = read_photo(_given(photo))
        known = catalogue.categories().get(category)
        # An unknown category is refused by the catalogue, in its own words.
        models = known.models if known else catalogue.default_category().models
        results = [catalogue.inspector(model, category)(prepared).at(threshold) for model in models]
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    listed = {"category": category, "results": [answers.inspected(result) for result in results]}
    return listed, [(_overlay(result), result.model) for result in results]


def predict_cnn(photo: str | None) -> tuple[Any, ...]:
    """Names the defect on a close-up of hot-rolled steel, one of six NEU classes.

    Args:
        photo: a close-up of a hot-rolled steel surface
    """
    try:
        result = catalogue.classifier()(_given(photo))
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return answers.steel(result), write_jpeg("grad-cam", draw_cam(result.photo, result.cam))


def predict_batch(
    photos: list[str] | None, model: str, category: str, threshold: float
) -> tuple[Any, ...]:
    """Inspects up to 200 photos of one category. A file that cannot be read becomes a row that says
    why; the report holds overlays, masks, the table and a manifest.

    Args:
        photos: photos, or ZIP archives of photos
        model: cae, vae, dae or memory; the models endpoint lists which there are for a category
        category: the product, such as bottle; the models endpoint lists what each expects
        threshold: scores from here on are called defective; 1.0 is the normal limit
    """
    report = download_path("inspection.zip")
    try:
        paths = [uploaded(path) for path in photos or []]
        batch = inspect_files(paths, model, category, threshold, report=report)
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return answers.batch_inspected(batch.rows()), write_csv(batch), str(report)


def models() -> list[dict[str, Any]]:
    """Lists every trained model: its category, file, checksum, what photo it expects, and whether
    it is bundled, or on the Hub and fetched when it is first asked for."""
    try:
        entries = catalogue.entries()
    except WeightsError as error:
        raise gr.Error(str(error)) from error
    rows = []
    for entry, where in entries:
        if entry.model not in (*DETECTORS, "cnn"):
            continue  # a part of other models, which takes no photos itself
        category = catalogue.categories().get(entry.category)
        expects = category.expects if category else "a close-up of a hot-rolled steel surface"
        rows.append({**dataclasses.asdict(entry), "expects": expects, "where": where})
    return rows


def health() -> dict[str, Any]:
    """Says whether the app answers, and its version."""
    return {"status": "ok", "version": defect.__version__, "weights": len(_index())}


def _autoencoder() -> None:
    gr.Button().click(
        predict_autoencoder,
        [photo_input(label="photo"), *_chosen()],
        [
            typed_json(answers.Inspected, "result"),
            gr.Image(label="overlay (JPEG)"),
            gr.Image(label="reconstruction (JPEG, 256×256; none of a memory)"),
            gr.Image(label="mask (PNG, 256×256, white where over the threshold)"),
        ],
        api_name="predict_autoencoder",
        **NETWORK,
    )


def _compare() -> None:
    gr.Button().click(
        compare,
        [photo_input(label="photo"), *_chosen()[1:]],
        [
            typed_json(answers.Compared, "result"),
            gr.Gallery(label="overlays (JPEG, the caption names the model)"),
        ],
        api_name="compare",
        **NETWORK,
    )


def _cnn() -> None:
    gr.Button().click(
        predict_cnn,
        photo_input(label="photo"),
        [typed_json(answers.Steel, "result"), gr.Image(label="Grad-CAM (JPEG)")],
        api_name="predict_cnn",
        **NETWORK,
    )


def _batch() -> None:
    gr.Button().click(
        predict_batch,
        [gr.File(label="photos", file_count="multiple"), *_chosen()],
        [
            typed_json(answers.BatchInspected, "result"),
            gr.File(label="table (CSV)"),
            gr.File(label="report (ZIP: overlays, masks, report.csv, manifest.json)"),
        ],
        api_name="predict_batch",
        concurrency_limit=1,
        concurrency_id="batch",
    )


def _models_and_health() -> None:
    listed = typed_json(list[answers.Model], "models")
    gr.Button().click(models, None, listed, api_name="models")
    gr.Button().click(health, None, typed_json(answers.Health, "health"), api_name="health")


def _chosen() -> list[Any]:
    first = catalogue.default_category()
    return [
        gr.Textbox(first.models[0], label="model: see /models"),
        gr.Textbox(first.name, label="category: see /models"),
        gr.Number(1.0, label="threshold: multiples of the normal limit"),
    ]


def _overlay(result: Inspection) -> str:
    drawn = draw_overlay(result.photo, result.anomaly_map, result.limit)
    return write_jpeg("overlay", drawn)


def _index() -> list[IndexEntry]:
    try:
        return read_index()
    except WeightsError as error:
        raise gr.Error(str(error)) from error


def _given(path: str | None) -> str:
    if path is None:
        raise ImageError("There is no photo. Send one as `photo`.")
    return path
