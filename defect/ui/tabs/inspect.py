"""The Inspect tab: one photo in; the page then draws every threshold and view itself."""

from __future__ import annotations

import secrets
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.catalogue import Category
from defect.ui import payload
from defect.ui.i18n import Localised, in_english, label, translate_error
from defect.ui.links import read_link
from defect.ui.sessions import find_header
from defect.ui.static import page_part
from defect.ui.tabs import cards
from defect.ui.tabs.picker import (
    example_gallery,
    gallery_items,
    model_choice,
    model_of,
    picker,
    wait_for,
)
from defect.ui.uploads import photo_input
from defect.weights.errors import WeightsError

Pending = tuple[str, str, str]
"""An inspection that waits for weights: a token of its own, model and category."""


def inspect_tab(demo: gr.Blocks, tabs: gr.Tabs) -> Localised:
    """Builds the tab inside the caller's `gr.Tab`; a link's state is opened when `demo` loads."""
    first = catalogue.default_category()
    current = gr.State(first.name)
    pending, arrived = gr.State(None), gr.State(None)
    with gr.Row(elem_id="inspect-row"):
        with gr.Column(scale=5, min_width=300):
            category, model, localised = picker(first)
            expects = gr.Markdown(cards.expectation(first), elem_classes="hint")
            photo = photo_input(
                label=label("photo"),
                sources=["upload", "clipboard"],
                height=240,
                elem_id="photo",
                buttons=["fullscreen"],
            )
            examples = example_gallery(first.examples, "examples")
            page_part("history", "history", "historyPanel")
        with gr.Column(scale=6, min_width=300):
            shown = page_part("viewer", "viewer", "viewer", _waiting(first.models[0], first))
    compare = gr.Button(label("compare"), interactive=False, elem_id="compare-run", size="md")
    comparison = page_part("comparison", "comparison", "comparison", {})
    with gr.Accordion(label("origin"), open=False):
        origin = gr.Markdown(_origin(first.models[0], first.name), elem_id="origin")

    def inspect(path: str | None, model: str, category: str) -> tuple[Any, ...]:
        if path is None:
            value = _waiting(model, catalogue.categories()[category])
        else:
            value = payload.inspect_photo(path, model, category)
        # A new value each time: its change is what starts `wait`.
        turn = (secrets.token_hex(6), model, category) if value.pop("pending", False) else None
        button = gr.Button(interactive=value["kind"] == "inspection")
        return value, {}, button, _origin(model, category), turn

    def wait(turn: Pending | None) -> str | None:
        return None if turn is None else wait_for(*turn)

    def inspect_again(
        token: str | None, turn: Pending | None, path: str | None, model: str, category: str
    ) -> tuple[Any, ...]:
        """The inspection that had to wait, unless the visitor went on to something else."""
        if path is None or turn is None or turn != (token, model, category):
            return (gr.skip(),) * 5
        return inspect(path, model, category)

    def change_model(path: str | None, model: str, category: str) -> tuple[Any, ...]:
        if path is not None:
            return inspect(path, model, category)
        # Gradio may send this late, when an example is on its way already.
        known = payload.known(model, category)
        return known, gr.skip(), gr.skip(), _origin(model, category), None

    def compare_all(path: str | None, category: str) -> dict[str, Any]:
        if path is None:
            return {}
        return payload.comparison(path, catalogue.categories()[category].models, category)

    def choose_category(name: str, before: str, model: str, path: str | None) -> tuple[Any, ...]:
        if name == before:  # the Tab key passed by
            return (*(gr.skip(),) * 3, path, *(gr.skip(),) * 5)
        return name, *begin(catalogue.categories()[name], model)

    def begin(chosen: Category, wanted: str | None) -> tuple[Any, ...]:
        gallery = gr.Gallery(
            gallery_items(chosen.examples), visible=bool(chosen.examples), selected_index=None
        )
        model = model_of(chosen, wanted)
        return cards.expectation(chosen), gallery, None, *inspect(None, model, chosen.name)

    def choose_example(name: str, model: str, event: gr.SelectData) -> tuple[Any, ...]:
        path = str(catalogue.categories()[name].examples[event.index].path)
        return path, *inspect(path, model, name)

    def first_texts() -> tuple[Any, ...]:
        """What is there from the start, for a visitor who reads another language."""
        if in_english():
            return (gr.skip(),) * 3
        origin = _origin(first.models[0], first.name)
        return cards.expectation(first), gallery_items(first.examples), origin

    def open_link(request: gr.Request) -> tuple[Any, ...]:
        link = read_link(
            dict(request.query_params), [getattr(tab, "id", None) for tab in tabs.children]
        )
        tab = gr.Tabs(selected=link.tab) if link.tab else gr.skip()
        if link.category is None:
            expected, items, origin = first_texts()
            unchanged = (gr.skip(),) * 3
            return tab, *unchanged, expected, items, None, *unchanged, origin, None
        name, radio = link.category.name, model_choice(link.category, link.model)
        started = begin(link.category, link.model)
        if link.example is None:
            return tab, name, name, radio, *started
        path = str(link.example.path)
        inspected = inspect(path, model_of(link.category, link.model), name)
        return tab, name, name, radio, *started[:2], path, *inspected

    result = [shown, comparison, compare, origin, pending]
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    network: dict[str, Any] = {
        "api_visibility": "private",
        "show_progress": "minimal",
        "show_progress_on": shown,
        "concurrency_limit": 2,
        "concurrency_id": "network",
    }
    # Not `photo.change`: it also follows what the app itself puts there, before the pickers do.
    photo.input(inspect, [photo, model, category], result, trigger_mode="always_last", **network)
    model.input(change_model, [photo, model, category], result, **network)
    examples.select(
        choose_example,
        [category, model],
        [photo, *result],
        trigger_mode="always_last",
        **network,
    )
    compare.click(compare_all, [photo, category], comparison, **network)
    category.input(
        choose_category,
        [category, current, model, photo],
        [current, expects, examples, photo, *result],
        **quiet,
    )
    pending.change(wait, pending, arrived, concurrency_limit=8, concurrency_id="fetch", **quiet)
    arrived.change(inspect_again, [arrived, pending, photo, model, category], result, **network)
    opened = [tabs, current, category, model, expects, examples, photo, *result]
    demo.load(open_link, None, opened, **network)
    return localised


def _waiting(model: str, category: Category) -> dict[str, Any]:
    prompt = "prompt_example" if category.examples else "prompt_upload"
    return payload.waiting(model, category.name, prompt)


def _origin(model: str, category: str) -> str:
    try:
        return cards.origin(*find_header(model, category))
    except WeightsError as error:
        return translate_error(error)
