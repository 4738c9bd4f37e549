"""Entry point of the Space, and of `python app.py`: builds the demo and launches it."""

from __future__ import annotations

import os
import sys
import tempfile

# Read when these libraries are imported, so they are set before.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
# Swept by this app, so it is this app's own.
os.environ.setdefault("GRADIO_TEMP_DIR", os.path.join(tempfile.gettempdir(), "defect-app"))
# Otherwise MKL keeps buffers for every thread that ever multiplied matrices.
os.environ.setdefault("MKL_DISABLE_FAST_MM", "1")

from defect.ui import zero_gpu  # noqa: F401  # before torch
from defect.ui.demo import build_demo
from defect.ui.runtime import configure_heap, configure_threads
from defect.ui.server import configure_queue, launch_options, protection
from defect.weights.errors import WeightsError


def main() -> None:
    """Starts the app; a problem is reported in one sentence."""
    port = os.environ.get("GRADIO_SERVER_PORT")
    try:
        configure_heap()
        configure_threads()
        # Gradio alone would move on to the next port without a word.
        demo = configure_queue(build_demo())
        options = {**launch_options(), **protection(demo)}
        demo.launch(server_port=int(port) if port else None, **options)
    except WeightsError as error:
        sys.exit(f"defect: {error}")
    except (OSError, ValueError) as error:
        advice = "Set GRADIO_SERVER_PORT to a free port and start again." if port else ""
        sys.exit(f"defect: {str(error).partition('. ')[0]}. {advice}")


if __name__ == "__main__":
    main()
