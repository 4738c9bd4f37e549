"""The server around the app: queue, limits, MCP."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio import route_utils, state_holder

from defect.detectors.catalogue import EXAMPLES_FOLDER
from defect.ui.batch_style import BATCH_CSS
from defect.ui.i18n import ENGLISH, texts_for
from defect.ui.theme import appearance

MAX_WAITING = 64
MAX_UPLOAD = "200mb"
"""Of one file: a ZIP of many photos. A photo may have 40 MB, which its own gate says."""
BUSY = ENGLISH["queue_full"]

SESSIONS = 500
"""Visitors and calls remembered; each takes about 15 kB, and a call is a visitor of its own."""


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


def queued(demo: gr.Blocks) -> gr.Blocks:
    """The demo with a bounded queue that says kindly when it is full."""
    lighten_sessions()
    demo.queue(max_size=MAX_WAITING, default_concurrency_limit=4)
    push = demo._queue.push

    async def push_kindly(body: Any, request: Any, username: str | None) -> Any:
        accepted, described, status = await push(body, request, username)
        if status == "queue_full":
            described = texts_for(request)["queue_full"]
        return accepted, described, status

    demo._queue.push = push_kindly  # type: ignore[method-assign]
    return demo


def launch_options() -> dict[str, Any]:
    """For `launch`: looks, languages, limits, and MCP where its extra is installed."""
    looks = appearance()
    return {
        **looks,
        "css": looks["css"] + BATCH_CSS,
        "max_file_size": MAX_UPLOAD,
        "state_session_capacity": SESSIONS,
        "allowed_paths": [str(EXAMPLES_FOLDER)],
        "footer_links": ["api", "settings"],
        "mcp_server": find_spec("mcp") is not None,
        # Rendered by Node first, a link clicked after a reload opened no photo, seen once.
        "ssr_mode": False,
    }
