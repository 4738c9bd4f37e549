"""What a tab says before anything was asked of it, where that is made of data.

The page is built in English before there is a visitor; one who reads another language is told
again as the page opens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.components import Component

from defect.ui.i18n import in_english

Localised = dict[Component, Callable[[], Any]]
"""Components, each with what makes its first value in the visitor's language."""


def localise_on_load(demo: gr.Blocks, localised: Localised) -> None:
    """Has the demo say all of it in the visitor's language when it loads."""

    def speak() -> tuple[Any, ...]:
        if in_english():
            return (gr.skip(),) * len(localised)
        return tuple(translate() for translate in localised.values())

    demo.load(speak, None, list(localised), api_visibility="private", show_progress="hidden")
