"""An image input that hands the uploaded file over unopened."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from defect.ui.i18n import translate_message

EXPIRED = "That upload is no longer here. Add the photo again."


def photo_input(**options: Any) -> gr.Image:
    """`gr.Image` whose value is the path of the file as uploaded.

    Gradio opens (and converts) an upload before the app sees it: damaged files become a bare
    error and 16-bit photos turn white. `images.read_photo` does better, so nothing is opened here.
    Never answer it with `gr.skip()` or an update: Gradio would put an image input of its own in
    its place.
    """
    image = gr.Image(type="filepath", image_mode=None, **options)
    image.preprocess = _path  # type: ignore[method-assign]
    return image


def uploaded(path: str) -> str:
    """The path, if it is of an uploaded file that is still there; keeps it for another hour.

    Gradio checks paths only of payloads that say they are files, and a program may not say so.

    Raises:
        gr.Error: it lies elsewhere on the server, or was removed.
    """
    file = Path(path).resolve()
    if not file.is_relative_to(Path(get_upload_folder()).resolve()):
        raise gr.Error(
            translate_message("Upload the photo first: paths on the server are not read.")
        )
    if not file.is_file():
        raise gr.Error(translate_message(EXPIRED))
    os.utime(file)
    return str(file)


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise gr.Error(translate_message("Send the photo as a file, not as text or an address."))
    return uploaded(payload.path)
