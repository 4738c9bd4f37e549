"""Named endpoints for programs and agents that inspect photos, with typed answers.

The functions' docstrings are what the API page and MCP tools say of them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.recognition import Recogniser
from defect.imaging.overlay import draw_cam, draw_overlay
from defect.imaging.photo import ImageError, read_photo
from defect.inspection import Inspection, check_threshold
from defect.reports.writer import mask_png
from defect.ui.batches import inspection_task, run_to_end, write_csv
from defect.ui.downloads import download_path, write_jpeg, write_picture
from defect.ui.endpoints import answers
from defect.ui.endpoints.answers import typed_json
from defect.ui.sessions import find_detector
from defect.ui.uploads import photo_input, required, uploaded
from defect.weights.errors import WeightsError

NETWORK: dict[str, Any] = {"concurrency_limit": 2, "concurrency_id": "network"}
"""Photos inspected at the same time: one per core of a small server."""
_PROBLEMS = (ImageError, WeightsError, ValueError)


def inspection_endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        _autoencoder()
        _compare()
        _cnn()
        _batch()
        _recognise()


def predict_autoencoder(
    photo: str | None, model: str, category: str, threshold: float
) -> tuple[Any, ...]:
    """Inspects one product photo for defects with a detector trained on good parts only.

    Args:
        photo: the photo, showing the category's product framed as the category expects
        model: cae, vae, dae or memory (the models endpoint lists which a category has), or the key
            of a detector that was taught or loaded here. Without a reconstruction, its picture
            and the thesis score are null
        category: the product, such as bottle; the models endpoint lists what each expects. Ignored
            with a key
        threshold: scores from here on are called defective; 1.0 is the normal limit
    """
    try:
        result = find_detector(model, category)(required(photo)).at(threshold)
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    rebuilt = result.reconstruction
    return (
        answers.inspected(result),
        _overlay(result),
        None if rebuilt is None else write_jpeg("reconstruction", rebuilt),
        write_picture("mask.png", mask_png(result.mask)),
    )


def compare(photo: str | None, category: str, threshold: float, model: str = "") -> tuple[Any, ...]:
    """Inspects one product photo with every detector there is for its category.

    Args:
        photo: the photo, showing the category's product framed as the category expects
        category: the product, such as bottle; the models endpoint lists what each expects. May be
            empty with a key
        threshold: scores from here on are called defective; 1.0 is each model's own normal limit
        model: the key of a detector that was taught or loaded here, to compare as well
    """
    try:
        check_threshold(threshold)
        file = required(photo)
        opened = read_photo(file)
        keys = [model] if model else []
        known = catalogue.categories().get(category)
        # An unknown category is refused by the catalogue, in its own words.
        fallback = () if keys and not category else catalogue.default_category().models
        models = [*keys, *(known.models if known else fallback)]
        detectors = [find_detector(model, category) for model in models]
        # One that knows its camera's bit depth reads the file with it.
        results = [
            detector(opened if detector.metadata.bit_depth is None else file).at(threshold)
            for detector in detectors
        ]
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
        result = catalogue.classifier()(required(photo))
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return answers.steel(result), write_jpeg("grad-cam", draw_cam(result.photo, result.cam))


def predict_batch(
    photos: list[str] | None, model: str, category: str, threshold: float
) -> tuple[Any, ...]:
    """Inspects up to 200 photos with one detector. A file that cannot be read becomes a row that
    says why; the report holds overlays, masks, the table and a manifest.

    Args:
        photos: photos, or ZIP archives of photos
        model: cae, vae, dae or memory (the models endpoint lists which a category has), or the key
            of a detector that was taught or loaded here
        category: the product, such as bottle; the models endpoint lists what each expects. Ignored
            with a key
        threshold: scores from here on are called defective; 1.0 is the normal limit
    """
    report = download_path("inspection.zip")
    try:
        task = inspection_task(find_detector(model, category), threshold)
        batch = run_to_end([uploaded(path) for path in photos or []], task, report=report)
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return answers.batch_inspected(batch.rows()), write_csv(batch), str(report)


def recognise(photo: str | None) -> tuple[str, bool]:
    """Names the category a photo most likely shows, among those with a memory model.

    Args:
        photo: a photo of a product
    """
    try:
        found = _recogniser()([required(photo)])[0]
    except _PROBLEMS as error:
        raise gr.Error(str(error)) from error
    return found.category, found.sure


def _autoencoder() -> None:
    gr.Button().click(
        predict_autoencoder,
        [photo_input(label="photo"), *_chosen()],
        [
            typed_json(answers.Inspected, "result"),
            gr.Image(label="overlay (JPEG)"),
            gr.Image(label="reconstruction (JPEG, 256×256; null where there is none)"),
            gr.Image(label="mask (PNG, white where over the threshold)"),
        ],
        api_name="predict_autoencoder",
        **NETWORK,
    )


def _compare() -> None:
    gr.Button().click(
        compare,
        [
            photo_input(label="photo"),
            *_chosen()[1:],
            gr.Textbox("", label="model: key from teach or load_detector, optional"),
        ],
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
            gr.File(label="report (ZIP: overlays, masks, report.csv, regions.json, manifest.json)"),
        ],
        api_name="predict_batch",
        concurrency_limit=1,
        concurrency_id="batch",
    )


def _recognise() -> None:
    gr.Button().click(
        recognise,
        photo_input(label="photo"),
        [gr.Textbox(label="category"), gr.Checkbox(label="sure (no other comes close)")],
        api_name="recognise",
        **NETWORK,
    )


def _chosen() -> list[Any]:
    first = catalogue.default_category()
    return [
        gr.Textbox(first.models[0], label="model: see /models, or a detector's key"),
        gr.Textbox(first.name, label="category: see /models"),
        gr.Number(1.0, label="threshold: multiples of the normal limit"),
    ]


@lru_cache(maxsize=1)
def _recogniser() -> Recogniser:
    return Recogniser()


def _overlay(result: Inspection) -> str:
    drawn = draw_overlay(result.photo, result.anomaly_map, result.threshold)
    return write_jpeg("overlay", drawn)
