"""The Inspect tab: one photo in, verdict, overlay and a threshold that moves live."""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect import catalogue
from defect.images import ImageError
from defect.inspector import DEFAULT_LIMIT, Inspection
from defect.overlay import draw_error, draw_overlay
from defect.ui import words
from defect.ui.cost_line import cost_line, cost_text
from defect.ui.kept import Kept
from defect.ui.photo_input import photo_input
from defect.ui.picker import example_gallery, gallery_items, picker
from defect.weights import WeightsError

_LOOKS: Kept[tuple[tuple[str | None, str, str], Inspection]] = Kept(128)
"""Results a slider may still ask: about 4 MB each."""


def inspect_tab() -> None:
    """Builds the tab inside the caller's `gr.Tab`."""
    first = catalogue.default_category()
    shown = gr.State(None)
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            category, model = picker(first)
            expects = gr.Markdown(words.expectation(first), elem_classes="hint")
            photo = photo_input(
                label="Photo",
                sources=["upload", "clipboard"],
                height=300,
                elem_id="photo",
                buttons=["fullscreen"],
            )
            examples = example_gallery(first.examples, "examples")
        with gr.Column(scale=6, min_width=300):
            card = gr.HTML(words.waiting(_prompt(first)), elem_id="verdict", padding=False)
            overlay = gr.Image(
                label="Overlay",
                format="jpeg",
                interactive=False,
                height=400,
                elem_id="overlay",
                buttons=["download", "fullscreen"],
                alt_text="The photo with unusual places coloured",
            )
            gr.HTML(words.LEGEND, padding=False)
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_LIMIT,
                step=0.01,
                elem_id="threshold",
                label="Threshold (× normal limit)",
                info="99 of 100 normal photos stay under 1.0. Moving it runs no network again.",
            )
            cost = cost_line(first.models[0], first.name, "cost")
            with gr.Row():
                rebuilt = gr.Image(
                    label="Reconstruction",
                    format="jpeg",
                    interactive=False,
                    height=220,
                    min_width=140,
                    elem_id="reconstruction",
                    buttons=["download"],
                    alt_text="The photo as the network rebuilds it",
                )
                error = gr.Image(
                    label="Error map (thesis)",
                    format="jpeg",
                    interactive=False,
                    height=220,
                    min_width=140,
                    elem_id="error-map",
                    buttons=["download"],
                    alt_text="Squared reconstruction error on a fixed scale",
                )
            with gr.Accordion("Where these weights come from", open=False):
                origin = gr.Markdown(_origin(first.models[0], first.name), elem_id="origin")

    result = [shown, card, overlay, rebuilt, error]

    def look(path: str | None, model: str, category: str, limit: float) -> tuple[Any, ...]:
        if path is None:
            return _nothing(words.waiting(_prompt(catalogue.categories()[category])))
        try:
            inspection = catalogue.inspector(model, category)(path).at(limit)
        except (ImageError, WeightsError) as problem:
            return _nothing(words.problem(str(problem)))
        return (
            _LOOKS.put(((path, model, category), inspection)),
            words.verdict(inspection),
            _overlay(inspection),
            inspection.reconstruction,
            None if inspection.error_map is None else draw_error(inspection.error_map),
        )

    def judge(
        key: str | None, path: str | None, model: str, category: str, limit: float
    ) -> tuple[Any, ...]:
        costs = cost_text(model, category, limit)
        if key is None:
            return (gr.skip(),) * 5 + (costs,)
        held = _LOOKS.get(key)
        if held is None:
            # Forgotten: many visitors since.
            return *look(path, model, category, limit), costs
        looked_at, inspection = held
        if looked_at != (path, model, category) or inspection.limit == limit:
            # Another look is on its way, or nothing changes.
            return (gr.skip(),) * 5 + (costs,)
        inspection = inspection.at(limit)
        _LOOKS.put((looked_at, inspection), key)
        drawn = words.verdict(inspection), _overlay(inspection)
        return gr.skip(), *drawn, gr.skip(), gr.skip(), costs

    def choose_category(name: str, limit: float) -> tuple[Any, ...]:
        chosen = catalogue.categories()[name]
        return (
            words.expectation(chosen),
            gr.Gallery(
                gallery_items(chosen.examples), visible=bool(chosen.examples), selected_index=None
            ),
            None,
            _origin(chosen.models[0], name),
            cost_text(chosen.models[0], name, limit),
        )

    def choose_example(name: str, event: gr.SelectData) -> str:
        return str(catalogue.categories()[name].examples[event.index].path)

    asked = [photo, model, category, threshold]
    looked = gr.on(
        [photo.change, model.input],
        look,
        asked,
        result,
        api_visibility="private",
        show_progress="minimal",
        concurrency_limit=2,
        concurrency_id="network",
    )
    rejudge: dict[str, Any] = {
        "fn": judge,
        "inputs": [shown, *asked],
        "outputs": [*result, cost],
        "api_visibility": "private",
        "show_progress": "hidden",
        "trigger_mode": "always_last",
        "concurrency_limit": 8,
    }
    gr.on([threshold.input, threshold.release], **rejudge)
    looked.then(**rejudge)  # the slider may have moved while the network ran
    model.change(
        lambda model, category, limit: (
            _origin(model, category),
            cost_text(model, category, limit),
        ),
        [model, category, threshold],
        [origin, cost],
        api_visibility="private",
    )
    category.input(
        choose_category,
        [category, threshold],
        [expects, examples, photo, origin, cost],
        api_visibility="private",
        show_progress="hidden",
    )
    examples.select(
        choose_example, category, photo, api_visibility="private", show_progress="hidden"
    )


def _prompt(category: catalogue.Category) -> str:
    if category.examples:
        return "Click an example, or upload a photo of the kind described."
    return "Upload a photo of the kind described."


def _nothing(card: str) -> tuple[Any, ...]:
    return None, card, None, None, None


def _overlay(inspection: Inspection) -> Any:
    return draw_overlay(inspection.photo, inspection.anomaly_map, inspection.limit)


def _origin(model: str, category: str) -> str:
    try:
        return words.origin(*catalogue.header(model, category))
    except WeightsError as problem:
        return str(problem)
