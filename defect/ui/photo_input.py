"""An image input that hands the uploaded file over unopened."""

from __future__ import annotations

from typing import Any

import gradio as gr


def photo_input(**options: Any) -> gr.Image:
    """`gr.Image` whose value is the path of the file as uploaded.

    Gradio opens (and converts) an upload before the app sees it: damaged files become a bare
    error and 16-bit photos turn white. `images.read_photo` does better, so nothing is opened here.
    """
    image = gr.Image(type="filepath", image_mode=None, **options)
    image.preprocess = _path  # type: ignore[method-assign]
    return image


def _path(payload: Any) -> str | None:
    return None if payload is None else payload.path
