"""Endpoints for programs that teach a detector and use it: `teach`, `load_taught`,
`inspect_taught`; and `recognise`, which names the category of a photo."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import gradio as gr
import numpy as np

from defect.detectors.recognition import Recogniser
from defect.imaging.overlay import draw_overlay
from defect.imaging.photo import ImageError
from defect.training.teaching import Product, false_alarm_odds, load_taught_file
from defect.ui.downloads import write_download
from defect.ui.tabs.product import inspect_taught as inspect_with
from defect.ui.taught_detectors import PRODUCTS
from defect.ui.uploads import photo_input, uploaded
from defect.weights.errors import WeightsError
from defect.weights.hub import APP_WAIT


def product_endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        _teaching()
        _inspecting()
        _recognising()


def _teaching() -> None:
    def teach(photos: list[str] | None, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Teaches a detector from up to 300 good photos of one product.

        Keep the key: it is the only way to the detector, which goes when your session ends.
        """
        try:
            product = teach([uploaded(path) for path in photos or []], name, wait=APP_WAIT)
        except (WeightsError, ValueError) as error:
            raise gr.Error(str(error)) from error
        key = PRODUCTS.put(product, request.session_hash)
        file = write_download(f"{product.name}.safetensors", product.file)
        return key, _summary(product), file

    def load_taught(detector: str | None, request: gr.Request) -> tuple[Any, ...]:
        """Loads a detector that `teach` gave as a file."""
        if detector is None:
            raise gr.Error("There is no file. Send the detector as `detector`.")
        try:
            product = load_taught_file(uploaded(detector), wait=APP_WAIT)
        except WeightsError as error:
            raise gr.Error(str(error)) from error
        return PRODUCTS.put(product, request.session_hash), _summary(product)

    key = gr.Textbox(label="key (for inspect_taught)")
    summary = gr.JSON(label="what was taught, and which photos look odd")
    gr.Button().click(
        teach,
        [gr.File(label="photos", file_count="multiple"), gr.Textbox("my part", label="name")],
        [key, summary, gr.File(label="detector")],
        api_name="teach",
        concurrency_limit=1,
        concurrency_id="teach",
    )
    gr.Button().click(
        load_taught,
        gr.File(label="detector"),
        [key, summary],
        api_name="load_taught",
        concurrency_limit=1,
        concurrency_id="teach",
    )


def _inspecting() -> None:
    def inspect_taught(photo: str | None, key: str, threshold: float) -> tuple[Any, ...]:
        """Inspects one photo with a taught detector: verdict, score, pictures."""
        if photo is None:
            raise gr.Error("There is no photo. Send one as `photo`.")
        try:
            result = inspect_with(key, photo, threshold)
        except (ImageError, WeightsError, ValueError) as error:
            raise gr.Error(str(error)) from error
        details = {
            "name": result.category,
            "area_share": float(result.mask.mean()),
            "notes": list(result.notes),
            "detector": dataclasses.asdict(result.weights),
        }
        return (
            result.defective,
            result.score,
            result.limit,
            draw_overlay(result.photo, result.anomaly_map, result.limit),
            result.mask * np.uint8(255),
            details,
        )

    gr.Button().click(
        inspect_taught,
        [
            photo_input(label="photo"),
            gr.Textbox(label="key (from teach or load_taught)"),
            gr.Number(1.0, label="threshold: multiples of the normal limit"),
        ],
        [
            gr.Checkbox(label="defective"),
            gr.Number(label="score (multiple of the normal limit)"),
            gr.Number(label="limit (threshold used, same unit)"),
            gr.Image(label="overlay", format="jpeg"),
            gr.Image(label="mask (256×256, white where over the limit)", format="png"),
            gr.JSON(label="details"),
        ],
        api_name="inspect_taught",
        concurrency_limit=2,
        concurrency_id="network",
    )


def _recognising() -> None:
    def recognise(photo: str | None) -> tuple[str, bool]:
        """Names the category a photo most likely shows, among those there are memories of."""
        if photo is None:
            raise gr.Error("There is no photo. Send one as `photo`.")
        try:
            found = _recogniser()([photo])[0]
        except (ImageError, WeightsError) as error:
            raise gr.Error(str(error)) from error
        return found.category, found.sure

    gr.Button().click(
        recognise,
        photo_input(label="photo"),
        [gr.Textbox(label="category"), gr.Checkbox(label="sure (no other lies as near)")],
        api_name="recognise",
        concurrency_limit=2,
        concurrency_id="network",
    )


@lru_cache(maxsize=1)
def _recogniser() -> Recogniser:
    return Recogniser()


def _summary(product: Product) -> dict[str, Any]:
    return {
        "name": product.name,
        "photos": product.photos,
        "seconds": round(product.seconds, 1),
        "expect_one_false_alarm_in": false_alarm_odds(product.photos),
        "odd": [{"photo": product.names[one.index], "reason": one.reason} for one in product.odd],
        "notes": list(product.notes),
    }
