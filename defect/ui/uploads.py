"""Files from a visitor or a program: only what was uploaded is read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import gradio as gr

from defect.imaging.photo import ImageError
from defect.inspection import Message
from defect.ui.gradio_private import page as gradio_page
from defect.ui.i18n import translate_message


def photo_input(**options: Any) -> gr.Image:
    """`gr.Image` whose value is the path of the file as uploaded.

    Gradio opens (and converts) an upload before the app sees it: damaged files become a bare
    error and 16-bit photos turn white. `read_photo` does better, so nothing is opened here.
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
    if not file.is_relative_to(gradio_page.upload_folder().resolve()):
        raise _error(
            Message("not_uploaded", "Upload the photo first: paths on the server are not read.")
        )
    if not file.is_file():
        raise _error(
            Message("upload_expired", "This upload is no longer here. Add the photo again.")
        )
    os.utime(file)
    return str(file)


def required(photo: str | None) -> str:
    """The photo's path.

    Raises:
        ImageError: there is none.
    """
    if photo is None:
        raise ImageError(Message("photo_not_sent", "There is no photo. Send one as `photo`."))
    return photo


def _path(payload: Any) -> str | None:
    if payload is None:
        return None
    if payload.path is None:
        raise _error(
            Message("upload_not_a_file", "Send the photo as a file, not as text or an address.")
        )
    return uploaded(payload.path)


def _error(message: Message) -> gr.Error:
    return gr.Error(translate_message(message))
