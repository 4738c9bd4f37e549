"""Named endpoints for programs: the same door as the tabs, with typed, labelled outputs."""

from __future__ import annotations

import dataclasses
from typing import Any

import gradio as gr
import numpy as np

import defect
from defect import catalogue
from defect.images import ImageError
from defect.overlay import draw_cam, draw_overlay
from defect.ui.batch_work import inspect_files, write_csv
from defect.ui.photo_input import photo_input, uploaded
from defect.weights import IndexEntry, WeightsError, read_index


def endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        _autoencoder()
        _cnn()
        _batch()
        _models_and_health()


def _autoencoder() -> None:
    sent = photo_input(label="photo")
    model = gr.Textbox("dae", label="model: cae, vae or dae")
    category = gr.Textbox(catalogue.DEFAULT_CATEGORY, label="category: see /models")
    threshold = gr.Number(1.0, label="threshold: multiples of the normal limit")

    def predict_autoencoder(
        photo: str | None, model: str, category: str, threshold: float
    ) -> tuple[Any, ...]:
        """Inspects one photo: verdict, scores, pictures."""
        try:
            result = catalogue.inspector(model, category)(_given(photo)).at(threshold)
        except (ImageError, WeightsError, ValueError) as error:
            raise gr.Error(str(error)) from error
        details = {
            "model": result.model,
            "category": result.category,
            "thesis_limit": result.thesis_limit,
            "area_share": float(result.mask.mean()),
            "notes": list(result.notes),
            "weights": dataclasses.asdict(result.weights),
        }
        return (
            result.defective,
            result.score,
            result.limit,
            result.thesis_score,
            draw_overlay(result.photo, result.anomaly_map, result.limit),
            result.reconstruction,
            (result.mask * np.uint8(255)),
            details,
        )

    gr.Button().click(
        predict_autoencoder,
        [sent, model, category, threshold],
        [
            gr.Checkbox(label="defective"),
            gr.Number(label="score (multiple of the normal limit)"),
            gr.Number(label="limit (threshold used, same unit)"),
            gr.Number(label="thesis_score (mean squared error)"),
            gr.Image(label="overlay", format="jpeg"),
            gr.Image(label="reconstruction", format="png"),
            gr.Image(label="mask (256×256, white where over the limit)", format="png"),
            gr.JSON(label="details"),
        ],
        api_name="predict_autoencoder",
        concurrency_limit=2,
        concurrency_id="network",
    )


def _cnn() -> None:
    def predict_cnn(photo: str | None) -> tuple[Any, ...]:
        """Names the defect on a steel surface."""
        try:
            result = catalogue.classifier()(_given(photo))
        except (ImageError, WeightsError) as error:
            raise gr.Error(str(error)) from error
        details = {"notes": list(result.notes), "weights": dataclasses.asdict(result.weights)}
        return (
            result.label,
            result.confidence,
            result.probabilities,
            draw_cam(result.photo, result.cam),
            details,
        )

    gr.Button().click(
        predict_cnn,
        photo_input(label="photo"),
        [
            gr.Textbox(label="class"),
            gr.Number(label="confidence (0..1)"),
            gr.JSON(label="probabilities (class → 0..1)"),
            gr.Image(label="grad_cam", format="jpeg"),
            gr.JSON(label="details"),
        ],
        api_name="predict_cnn",
        concurrency_limit=2,
        concurrency_id="network",
    )


def _batch() -> None:
    def predict_batch(
        photos: list[str] | None, model: str, category: str, threshold: float
    ) -> tuple[Any, ...]:
        """Inspects up to 200 photos of one category."""
        try:
            batch = inspect_files([uploaded(p) for p in photos or []], model, category, threshold)
        except (WeightsError, ValueError) as error:
            raise gr.Error(str(error)) from error
        rows = batch.rows()
        return [dataclasses.asdict(row) for row in rows], write_csv(batch)

    gr.Button().click(
        predict_batch,
        [
            gr.File(label="photos", file_count="multiple"),
            gr.Textbox("dae", label="model: cae, vae or dae"),
            gr.Textbox(catalogue.DEFAULT_CATEGORY, label="category: see /models"),
            gr.Number(1.0, label="threshold: multiples of the normal limit"),
        ],
        [gr.JSON(label="rows (one a photo, highest score first)"), gr.File(label="csv")],
        api_name="predict_batch",
        concurrency_limit=1,
        concurrency_id="batch",
    )


def _models_and_health() -> None:
    def models() -> list[dict[str, Any]]:
        """Every weights file here: model, category, sha256, size, and what photo it expects."""
        rows = []
        for entry in _index():
            category = catalogue.categories().get(entry.category)
            expects = category.expects if category else "a close-up of a hot-rolled steel surface"
            rows.append({**dataclasses.asdict(entry), "expects": expects})
        return rows

    def health() -> dict[str, Any]:
        """Whether the app answers, and its version."""
        return {"status": "ok", "version": defect.__version__, "weights": len(_index())}

    gr.Button().click(models, None, gr.JSON(label="models"), api_name="models")
    gr.Button().click(health, None, gr.JSON(label="health"), api_name="health")


def _index() -> list[IndexEntry]:
    try:
        return read_index()
    except WeightsError as error:
        raise gr.Error(str(error)) from error


def _given(path: str | None) -> str:
    if path is None:
        raise ImageError("There is no photo. Send one as `photo`.")
    return path
