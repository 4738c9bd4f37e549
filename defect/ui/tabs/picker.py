"""What the tabs share to choose with: category, model, examples, and what a threshold costs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from html import escape

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.catalogue import Category, Example
from defect.detectors.registry import DETECTORS
from defect.detectors.thresholds import cost
from defect.ui.i18n import (
    Localised,
    join,
    label,
    name_of,
    translate,
    translate_error,
    translate_message,
)
from defect.ui.sessions import find_header
from defect.ui.tabs import cards
from defect.weights.errors import WeightsError
from defect.weights.hub import DownloadProgress, megabytes

_TICK = 0.5
"""Seconds between two questions how far a download is."""


def picker(first: Category, prefix: str = "") -> tuple[gr.Dropdown, gr.Radio, Localised]:
    """Category and model side by side; the models offered follow the category.

    A model that is only on the Hub says so with its size, and is downloaded when it is chosen; a
    line underneath says how far that is, and which models there are no weights of.

    Args:
        first: chosen at the start.
        prefix: of the elements' ids, `category`, `model` and `availability`.
    """
    with gr.Row():
        category = gr.Dropdown(
            list(catalogue.categories()),
            value=first.name,
            label=label("category"),
            scale=3,
            min_width=110,
            elem_id=f"{prefix}category",
        )
        model = gr.Radio(
            _models(first),
            value=first.models[0],
            label=label("model"),
            scale=4,
            min_width=150,
            elem_id=f"{prefix}model",
        )
    text = availability_line(first)
    line = gr.HTML(text, visible=bool(text), padding=False, elem_id=f"{prefix}availability")

    def choose(name: str, wanted: str | None) -> tuple[gr.Radio, gr.HTML]:
        chosen = catalogue.categories()[name]
        return model_choice(chosen, wanted), _shown(availability_line(chosen))

    def fetch(model: str, name: str) -> Iterator[tuple[gr.HTML, gr.Radio]]:
        for text in _fetching(model, name):
            yield _shown(text), gr.skip()
        yield gr.skip(), gr.Radio(choices=_models(catalogue.categories()[name]))

    # This event also comes from a visitor who only passes by with the Tab key: the model stays.
    category.input(
        choose,
        [category, model],
        [model, line],
        api_visibility="private",
        show_progress="hidden",
    )
    model.input(
        fetch,
        [model, category],
        [line, model],
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=8,
        concurrency_id="fetch",
    )
    return category, model, {line: lambda: availability_line(first)}


def model_of(category: Category, wanted: str | None) -> str:
    """The model to use: the wanted one if the category has it, or else its recommended one."""
    return wanted if wanted in category.models else category.models[0]


def model_choice(category: Category, wanted: str | None) -> gr.Radio:
    """The model picker with the category's models, one of them chosen."""
    return gr.Radio(choices=_models(category), value=model_of(category, wanted))


def availability_line(category: Category) -> str:
    """Which of the models are not bundled for a category; empty where all are."""
    on_hub, missing = [], []
    for model in DETECTORS:
        where = catalogue.availability(model, category.name)
        if where is None:
            missing.append(model.upper())
        elif where.kind == "hub":
            on_hub.append(f"{model.upper()} ({megabytes(where.size)})")
    parts = [translate("models_on_hub", models=join(on_hub))] if on_hub else []
    parts += [translate("models_missing", models=join(missing))] if missing else []
    return _hint(" ".join(parts)) if parts else ""


def _fetching(model: str, category: str) -> Iterator[str]:
    """What the line says while a chosen model is downloaded, and after."""
    name = translate("model_of", model=model.upper(), category=category)
    try:
        progress = catalogue.fetch(model, category)
        if progress is None:
            yield availability_line(catalogue.categories()[category])
            return
        while progress is not None and progress.running:
            yield _bar(name, progress)
            time.sleep(_TICK)
            progress = catalogue.fetch(model, category)
    except WeightsError as error:
        yield _hint(translate_error(error))
        return
    if progress is not None and progress.failure:
        yield _hint(translate_message(progress.failure))
    else:
        yield _hint(translate("fetched", model=name))


def cost_text(model: str | None, category: str, threshold: float) -> str:
    """What the threshold costs; nothing where no scores are stored."""
    try:
        metadata, _ = find_header(model, category)
    except WeightsError:
        return ""  # the tab says elsewhere that there are no such weights
    return cards.threshold_cost(cost(metadata, threshold))


def wait_for(token: str, model: str, category: str) -> str:
    """Returns the token when the weights' download has ended, well or not."""
    with suppress(WeightsError):  # which the next inspection reports
        while (progress := catalogue.fetch(model, category)) is not None and progress.running:
            time.sleep(_TICK)
    return token


def _bar(name: str, progress: DownloadProgress) -> str:
    share = 100 * min(progress.received / progress.size, 1)
    received, size = megabytes(progress.received), megabytes(progress.size)
    text = translate("fetching", model=name, received=received, size=size)
    return (
        f'{_hint(text)}<div role="progressbar" aria-label="{escape(text)}" aria-valuemin="0" '
        f'aria-valuemax="100" aria-valuenow="{share:.0f}" style="height:6px;margin-top:4px;'
        f'border-radius:3px;background:var(--border-color-primary)"><div style="height:6px;'
        f'border-radius:3px;background:var(--color-accent);width:{share:.1f}%"></div></div>'
    )


def _hint(text: str) -> str:
    return f'<div class="hint">{escape(text)}</div>'


def _shown(text: str) -> gr.HTML:
    return gr.HTML(text, visible=bool(text))


def example_gallery(examples: Sequence[Example], element: str) -> gr.Gallery:
    """Examples in a row of four; hidden where there are none."""
    return gr.Gallery(
        gallery_items(examples),
        label=label("examples"),
        show_label=False,
        columns=4,
        height="auto",
        allow_preview=False,
        object_fit="cover",
        interactive=False,
        elem_id=element,
        visible=bool(examples),
        buttons=[],
    )


def gallery_items(examples: Sequence[Example]) -> list[tuple[str, str]]:
    return [(str(example.path), name_of(example.caption, short=True)) for example in examples]


def _models(category: Category) -> list[tuple[str, str]]:
    return [(_label(model, category.name), model) for model in category.models]


def _label(model: str, category: str) -> str:
    where = catalogue.availability(model, category)
    if where is None or where.kind != "hub":
        return model.upper()
    return f"{model.upper()} · {megabytes(where.size)}"
