"""The Steel surface tab: names one of six NEU defects and shows what spoke for it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect import catalogue
from defect.images import ImageError
from defect.overlay import draw_cam
from defect.ui import words
from defect.ui.photo_input import photo_input
from defect.ui.picker import example_gallery
from defect.ui.steel_batch import steel_batch
from defect.weights import WeightsError

PROMPT = "Click an example, or upload a close-up of a hot-rolled steel surface."


def steel_tab() -> None:
    """Builds the tab inside the caller's `gr.Tab`."""
    examples = catalogue.steel_examples()
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            gr.Markdown(
                "A small CNN names the defect on a close-up of hot-rolled steel: **crazing, "
                "inclusion, patches, pitted surface, rolled-in scale** or **scratches**. A photo "
                "unlike all it was taught is told apart. The examples are rendered by this "
                "project, not photographed.",
                elem_classes="hint",
            )
            photo = photo_input(
                label="Steel surface",
                sources=["upload", "clipboard"],
                height=300,
                elem_id="steel-photo",
                buttons=["fullscreen"],
            )
            gallery = example_gallery(examples, "steel-examples")
        with gr.Column(scale=6, min_width=300):
            card = gr.HTML(words.waiting(PROMPT), elem_id="steel-verdict", padding=False)
            bars = gr.HTML(elem_id="steel-bars", padding=False)
            cam = gr.Image(
                label="What spoke for it (Grad-CAM)",
                format="jpeg",
                interactive=False,
                height=340,
                elem_id="steel-cam",
                buttons=["download", "fullscreen"],
                alt_text="The photo with the regions that led to the class in yellow",
            )
            with gr.Accordion("Where these weights come from", open=False):
                gr.Markdown(_origin())

    def classify(path: str | None) -> tuple[Any, ...]:
        if path is None:
            return words.waiting(PROMPT), "", None
        try:
            result = catalogue.classifier()(path)
        except (ImageError, WeightsError) as problem:
            return words.problem(str(problem)), "", None
        return (
            words.steel_verdict(result),
            words.probabilities(result),
            draw_cam(result.photo, result.cam),
        )

    def choose_example(event: gr.SelectData) -> str:
        return str(examples[event.index].path)

    photo.change(
        classify,
        photo,
        [card, bars, cam],
        api_visibility="private",
        show_progress="minimal",
        concurrency_limit=2,
        concurrency_id="network",
    )
    gallery.select(choose_example, None, photo, api_visibility="private", show_progress="hidden")
    steel_batch()


def _origin() -> str:
    try:
        metadata, source = catalogue.header("cnn", "neu")
    except WeightsError as problem:
        return str(problem)
    text = words.origin(metadata, source)
    test = metadata.test
    if "accuracy" in test:
        text += (
            f"\n\nOn {test['count']} held-out NEU photos: {100 * test['accuracy']:.2f} % right, "
            f"macro F1 {test['macro_f1']:.4f}."
        )
    return text
