"""Entry point of the Space, and of `python app.py`: builds the demo and launches it."""

from __future__ import annotations

import os
import sys

# Read when these libraries are imported, so they are set before.
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from defect.catalogue import EXAMPLES_FOLDER
from defect.ui import build_demo
from defect.ui.theme import appearance
from defect.weights import WeightsError


def main() -> None:
    """Starts the app; a problem is told in one sentence."""
    port = os.environ.get("GRADIO_SERVER_PORT")
    try:
        build_demo().queue(max_size=64, default_concurrency_limit=4).launch(
            # Gradio alone would move on to the next port without a word.
            server_port=int(port) if port else None,
            **appearance(),
            max_file_size="64mb",
            allowed_paths=[str(EXAMPLES_FOLDER)],
            footer_links=["api", "settings"],
        )
    except WeightsError as error:
        sys.exit(f"defect: {error}")
    except (OSError, ValueError) as error:
        advice = "Set GRADIO_SERVER_PORT to a free port and start again." if port else ""
        sys.exit(f"defect: {str(error).partition('. ')[0]}. {advice}")


if __name__ == "__main__":
    main()
