"""Every use of Gradio's private parts, and a check of what each relies on.

An upgrade of Gradio that changes one of them fails in `check`, when the app is built.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio import queueing, route_utils, state_holder, utils
from gradio.context import LocalContext


def check() -> None:
    """Asserts that this version of Gradio has what this module uses."""

    def parameters(function: Callable[..., Any]) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(utils.get_upload_folder) == [], "get_upload_folder takes arguments"
    assert hasattr(LocalContext, "request"), "LocalContext holds no request"
    assert hasattr(LocalContext, "blocks"), "LocalContext holds no blocks"
    assert parameters(state_holder.SessionState.__init__) == ["self", "blocks"]
    assert parameters(queueing.Queue.push) == ["self", "body", "request", "username"]
    with gr.Blocks() as blocks:
        pass
    assert isinstance(blocks.upload_file_set, set), "Blocks tracks no files"
    assert hasattr(blocks, "default_config"), "Blocks has no default_config"


def upload_folder() -> Path:
    """The folder Gradio writes uploads to, serves and cleans."""
    return Path(utils.get_upload_folder())


def current_request() -> Any:
    """The request being answered, or `None` outside of one."""
    return LocalContext.request.get(None)


def delete_later(path: Path) -> None:
    """Has the running app delete a file in time, even if its visitor left before the answer; by
    itself Gradio knows only files that it answered with."""
    blocks = LocalContext.blocks.get(None)
    if blocks is not None:
        blocks.upload_file_set.add(str(path))


class _LightSession(state_holder.SessionState):
    """A visitor's state without a description of every component.

    Gradio makes that anew for each visitor, so for each call of an endpoint: with this many
    components it costs more than the inspection. Only deep links read what is not in use.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]


def lighten_sessions() -> None:
    """Has Gradio make light sessions from now on."""
    state_holder.SessionState = _LightSession  # type: ignore[misc]
    route_utils.SessionState = _LightSession  # type: ignore[misc]


def explain_full_queue(demo: gr.Blocks, text: Callable[[Any], str]) -> None:
    """Has a full queue answer with a text, made for the request, instead of Gradio's own."""
    push = demo._queue.push

    async def push_or_explain(body: Any, request: Any, username: str | None) -> Any:
        accepted, answer, status = await push(body, request, username)
        return accepted, text(request) if status == "queue_full" else answer, status

    demo._queue.push = push_or_explain  # type: ignore[method-assign]
