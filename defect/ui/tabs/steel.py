"""The Steel surface tab: names one of six NEU defects and shows what spoke for it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.imaging.overlay import draw_cam
from defect.imaging.photo import ImageError
from defect.ui import cards as words
from defect.ui.greeting import Localised
from defect.ui.i18n import label, translate, translate_message
from defect.ui.tabs.picker import example_gallery, gallery_items
from defect.ui.tabs.steel_batch import steel_batch
from defect.ui.uploads import photo_input
from defect.weights.errors import WeightsError


def steel_tab() -> Localised:
    """Builds the tab inside the caller's `gr.Tab`."""
    examples = catalogue.steel_examples()
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            gr.Markdown(label("steel_intro"), elem_classes="hint")
            photo = photo_input(
                label=label("steel_photo"),
                sources=["upload", "clipboard"],
                height=300,
                elem_id="steel-photo",
                buttons=["fullscreen"],
            )
            gallery = example_gallery(examples, "steel-examples")
        with gr.Column(scale=6, min_width=300):
            card = gr.HTML(_waiting(), elem_id="steel-verdict", padding=False)
            bars = gr.HTML(elem_id="steel-bars", padding=False)
            cam = gr.Image(
                label=label("steel_cam"),
                format="jpeg",
                interactive=False,
                height=340,
                elem_id="steel-cam",
                buttons=["download", "fullscreen"],
                alt_text=translate("steel_cam_alt"),
            )
            with gr.Accordion(label("origin"), open=False):
                origin = gr.Markdown(_origin())

    def classify(path: str | None) -> tuple[Any, ...]:
        if path is None:
            return _waiting(), "", None
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
    return {
        card: _waiting,
        gallery: lambda: gallery_items(examples),
        cam: lambda: gr.Image(alt_text=translate("steel_cam_alt")),
        origin: _origin,
        **steel_batch(),
    }


def _waiting() -> str:
    return words.waiting(translate("steel_prompt"))


def _origin() -> str:
    try:
        metadata, source = catalogue.header("cnn", "neu")
    except WeightsError as problem:
        return translate_message(str(problem))
    text = words.origin(metadata, source)
    test = metadata.test
    if "accuracy" in test:
        text += "\n\n" + translate(
            "steel_figures",
            count=test["count"],
            accuracy=f"{100 * test['accuracy']:.2f}",
            f1=f"{test['macro_f1']:.4f}",
        )
    return text
