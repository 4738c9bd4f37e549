"""The server around the app: queue, limits, MCP."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import gradio as gr

from defect.catalogue import EXAMPLES_FOLDER
from defect.ui.batch_style import BATCH_CSS
from defect.ui.theme import CSS, build_theme

MAX_WAITING = 64
MAX_UPLOAD = "200mb"
"""Of one file: a ZIP of many photos. A photo may have 40 MB, which its own gate says."""
BUSY = "Many photos are waiting already. Try again in a few seconds."


def queued(demo: gr.Blocks) -> gr.Blocks:
    """The demo with a bounded queue that says kindly when it is full."""
    demo.queue(max_size=MAX_WAITING, default_concurrency_limit=4)
    push = demo._queue.push

    async def push_kindly(*args: Any, **options: Any) -> Any:
        accepted, told, status = await push(*args, **options)
        return accepted, BUSY if status == "queue_full" else told, status

    demo._queue.push = push_kindly  # type: ignore[method-assign]
    return demo


def launch_options() -> dict[str, Any]:
    """For `launch`: looks, limits, and MCP where its extra is installed."""
    return {
        "theme": build_theme(),
        "css": CSS + BATCH_CSS,
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(EXAMPLES_FOLDER)],
        "footer_links": ["api", "settings"],
        "mcp_server": find_spec("mcp") is not None,
    }
