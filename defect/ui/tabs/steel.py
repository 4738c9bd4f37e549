"""The Steel surface tab: names one of six NEU defects, for one photo or many."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.imaging.overlay import draw_cam
from defect.imaging.photo import ImageError
from defect.reports.rows import NOT_READ
from defect.reports.steel_rows import UNKNOWN
from defect.ui.batches import Batch, Task, steel_task
from defect.ui.i18n import Localised, label, name_of, translate, translate_error
from defect.ui.tabs import cards
from defect.ui.tabs.batch_page import (
    BatchView,
    Column,
    batch_notes,
    batch_page,
    summary_html,
    unreadable_count,
)
from defect.ui.tabs.picker import example_gallery, gallery_items
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
    with gr.Accordion(label("many_photos"), open=False, elem_id="steel-batch"):
        localised = batch_page("steel-batch-", _view(), _start)

    def classify(path: str | None) -> tuple[Any, ...]:
        if path is None:
            return _waiting(), "", None
        try:
            result = catalogue.classifier()(path)
        except (ImageError, WeightsError) as error:
            return cards.problem(translate_error(error)), "", None
        return (
            cards.steel_verdict(result),
            cards.probabilities(result),
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
        **localised,
    }


def _start(threshold: float) -> Task:
    return steel_task(catalogue.classifier())


def _view() -> BatchView:
    return BatchView(
        columns=(
            Column("file", "head_file", 220, number=False),
            Column("verdict", "head_class", 140, number=False, show=_class),
            Column("confidence", "head_confidence", 120),
            Column("second", "head_second", 140, number=False, show=name_of),
            Column("margin", "head_margin", 100),
            Column("note", "head_note", 340, number=False),
        ),
        caption=lambda row: f"{_class(row.verdict)} · {100 * row.confidence:.0f} % · {row.file}",
        summary=_summary,
        prompt="steel_many_prompt",
        run="steel_classify_all",
        verb="progress_classifying",
        failed="steel_failed",
        gallery="steel_gallery",
        table="steel_table",
    )


def _class(verdict: str) -> str:
    """A class, `unknown` or `not read`, for the visitor."""
    texts = {UNKNOWN: "row_unknown", NOT_READ: "row_not_read"}
    return translate(texts[verdict]) if verdict in texts else name_of(verdict)


def _summary(batch: Batch) -> str:
    rows = [batch.kind.row(result, batch.about) for result in batch.results]
    counts = [
        translate("steel_count", count=count, name=escape(_class(name)))
        for name, count in Counter(row.verdict for row in rows).most_common()
    ]
    return summary_html([*counts, *unreadable_count(batch)], batch_notes(batch))


def _waiting() -> str:
    return cards.waiting(translate("steel_prompt"))


def _origin() -> str:
    try:
        metadata, source = catalogue.header("cnn", "neu")
    except WeightsError as error:
        return translate_error(error)
    text = cards.origin(metadata, source)
    test = metadata.test
    if "accuracy" in test:
        text += "\n\n" + translate(
            "steel_figures",
            count=test["count"],
            accuracy=f"{100 * test['accuracy']:.2f}",
            f1=f"{test['macro_f1']:.4f}",
        )
    return text
