"""The category and model pickers, and the examples to click, as the tabs share them."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr

from defect import catalogue
from defect.catalogue import Category, Example
from defect.ui.texts import label


def picker(first: Category, prefix: str = "") -> tuple[gr.Dropdown, gr.Radio]:
    """Category and model side by side; the models offered follow the category.

    Args:
        first: chosen at the start.
        prefix: of the elements' ids, `category` and `model`.
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

    # This event also comes from a visitor who only passes by with the Tab key: the model stays.
    category.input(
        lambda name, model: model_choice(catalogue.categories()[name], model),
        [category, model],
        model,
        api_visibility="private",
        show_progress="hidden",
    )
    return category, model


def model_of(category: Category, wanted: str | None) -> str:
    """The model to use: the wanted one if the category has it, or else its recommended one."""
    return wanted if wanted in category.models else category.models[0]


def model_choice(category: Category, wanted: str | None) -> gr.Radio:
    """The model picker with the category's models, one of them chosen."""
    return gr.Radio(choices=_models(category), value=model_of(category, wanted))


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
    return [(str(example.path), example.caption) for example in examples]


def _models(category: Category) -> list[tuple[str, str]]:
    return [(model.upper(), model) for model in category.models]
