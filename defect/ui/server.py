"""The server around the app: queue, limits, MCP."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr

from defect.detectors.catalogue import EXAMPLES_FOLDER
from defect.ui.endpoints.catalogue import health
from defect.ui.gradio_private import page as gradio_page
from defect.ui.gradio_private import server as gradio_server
from defect.ui.i18n import texts_for, translate_message
from defect.ui.theme import appearance

MAX_WAITING = 64
MAX_UPLOAD = "200mb"
"""Of one file: a ZIP of many photos. A single photo may have 40 MB, which `read_photo` checks."""
SESSIONS = 500
"""Visitors and calls remembered; each takes about 15 kB, and a call is a visitor of its own."""


def configure_queue(demo: gr.Blocks) -> gr.Blocks:
    """Gives the demo a bounded queue that says in a sentence when it is full."""
    gradio_page.check()
    gradio_page.lighten_sessions()
    demo.queue(max_size=MAX_WAITING, default_concurrency_limit=4)
    gradio_page.explain_full_queue(demo, lambda request: texts_for(request)["queue_full"])
    return demo


def protection(demo: gr.Blocks) -> dict[str, Any]:
    """Puts the limits of a public server onto the demo; returns options for its `launch`."""
    return gradio_server.protect(demo, translate=translate_message, health=health)


def launch_options() -> dict[str, Any]:
    """For `launch`: theme, languages, limits, and MCP where its extra is installed."""
    return {
        **appearance(),
        "max_file_size": MAX_UPLOAD,
        "state_session_capacity": SESSIONS,
        "allowed_paths": [str(EXAMPLES_FOLDER)],
        "footer_links": ["api", "settings"],
        "mcp_server": find_spec("mcp") is not None,
        # Rendered by Node first, a link clicked after a reload opened no photo, seen once.
        "ssr_mode": False,
    }
