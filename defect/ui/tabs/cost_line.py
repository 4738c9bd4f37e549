"""The line under a threshold slider that says what the threshold costs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.thresholds import cost
from defect.inspection import DEFAULT_THRESHOLD
from defect.ui import cards as words
from defect.ui.tabs.picker import model_of
from defect.weights.errors import WeightsError


def cost_line(model: str, category: str, element: str) -> gr.Markdown:
    """The line, for the default threshold."""
    text = cost_text(model, category, DEFAULT_THRESHOLD)
    return gr.Markdown(text, elem_id=element, elem_classes="hint")


def cost_text(model: str, category: str, limit: float) -> str:
    """What the threshold costs; nothing where no scores are stored."""
    try:
        metadata, _ = catalogue.header(model, category)
    except WeightsError:
        return ""  # the tab says elsewhere that there are no such weights
    return words.threshold_cost(cost(metadata, limit))


def update_cost(
    line: gr.Markdown, category: gr.Dropdown, model: gr.Radio, threshold: gr.Slider
) -> None:
    """Keeps the line true while the slider moves or another model or category is chosen."""

    def of_category(name: str, model: str, limit: float) -> str:
        # The picker may go to another model of the category; the browser may not know yet.
        return cost_text(model_of(catalogue.categories()[name], model), name, limit)

    quiet: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "always_last",
    }
    category.input(of_category, [category, model, threshold], line, **quiet)
    gr.on(
        [threshold.input, threshold.release, model.input],
        cost_text,
        [model, category, threshold],
        line,
        **quiet,
    )
