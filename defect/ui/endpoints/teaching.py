"""Endpoints for programs that teach or load a detector; every other endpoint takes its key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from defect.detectors.registry import load_file
from defect.inspection import Message
from defect.training.memory import teach as teach_detector
from defect.ui.downloads import write_detector
from defect.ui.endpoints import answers
from defect.ui.endpoints.answers import typed_json
from defect.ui.gradio_private.server import check_job, distinct
from defect.ui.sessions import DETECTORS
from defect.ui.uploads import uploaded
from defect.weights.errors import WeightsError
from defect.weights.hub import APP_WAIT

_TEACHING: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "teach"}


def teaching_endpoints() -> None:
    """Adds the endpoints to the demo being built; nothing of them is visible."""
    with gr.Group(visible=False):
        key = gr.Textbox(label="key: the model of predict_autoencoder, compare and predict_batch")
        summary = typed_json(answers.DetectorSummary, "what was taught, and which photos to check")
        gr.Button().click(
            teach,
            [gr.File(label="photos", file_count="multiple"), gr.Textbox("my part", label="name")],
            [key, summary, gr.File(label="detector")],
            api_name="teach",
            **_TEACHING,
        )
        gr.Button().click(
            load_detector,
            gr.File(label="detector"),
            [key, summary],
            api_name="load_detector",
            **_TEACHING,
        )


def teach(photos: list[str] | None, name: str, request: gr.Request) -> tuple[Any, ...]:
    """Teaches a detector from up to 300 good photos of one product.

    Keep the key: it is the only way to the detector, which is deleted when your session ends.

    Args:
        photos: photos of good parts, 10 to 50 of them
        name: of the product
    """
    try:
        paths = distinct([uploaded(path) for path in photos or []])
        detector = teach_detector(
            paths, name, wait=APP_WAIT, report_progress=lambda done, total: check_job()
        )
    except (WeightsError, ValueError) as error:
        raise gr.Error(str(error)) from error
    key = DETECTORS.put(detector, request.session_hash)
    return key, answers.detector(detector, detector.teaching), write_detector(detector)


def load_detector(detector: str | None, request: gr.Request) -> tuple[Any, ...]:
    """Loads a detector from a file, such as `teach` answers with.

    Args:
        detector: the file, a .safetensors
    """
    try:
        if detector is None:
            raise WeightsError(
                Message("no_detector_file", "There is no file. Send the detector as `detector`.")
            )
        loaded = load_file(Path(uploaded(detector)), wait=APP_WAIT)
    except WeightsError as error:
        raise gr.Error(str(error)) from error
    return DETECTORS.put(loaded, request.session_hash), answers.detector(loaded, None)
