"""The Results tab: scorecard, curves, transfer, the thesis's figures, the steel classifier.

Nothing is read or drawn before the tab is opened; then only the weights' headers are.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.evaluation import scorecard as results
from defect.networks.autoencoders import AUTOENCODERS
from defect.ui.greeting import Localised
from defect.ui.i18n import label, translate, translate_message
from defect.ui.tabs import results_tables as results_words
from defect.ui.tabs.results_sections import choice, sections
from defect.weights.errors import WeightsError


def results_tab(tab: gr.Tab) -> Localised:
    """Builds the tab inside the caller's `gr.Tab`, which is `tab`."""
    opened = gr.State(False)
    summary = gr.Markdown(
        label("results_intro"),
        elem_id="results-summary",
    )
    card = gr.Dataframe(
        headers=results_words.scorecard([])["headers"],
        datatype=[column.kind for column in results_words.SCORECARD],
        interactive=False,
        wrap=True,
        column_widths=[f"{column.width}px" for column in results_words.SCORECARD],
        max_height=560,
        pinned_columns=1,
        buttons=[],
        show_label=False,
        label=label("results_card"),
        elem_id="scorecard",
    )
    with gr.Row(elem_id="results-files"):
        as_csv = gr.DownloadButton(
            label("results_csv"), size="sm", scale=0, min_width=150, elem_id="results-csv"
        )
        as_json = gr.DownloadButton(
            label("results_json"), size="sm", scale=0, min_width=150, elem_id="results-json"
        )
    with gr.Row():
        with gr.Column(scale=6, min_width=300):
            traps = gr.Markdown(elem_id="results-reading", elem_classes="hint")
        with gr.Column(scale=5, min_width=300):
            gr.Markdown(label("results_means", count=len(results.MASKED)))
            means = gr.HTML(elem_id="results-means", padding=False)

    gr.Markdown(label("results_one"))
    with gr.Row():
        category = gr.Dropdown(
            [], label=label("results_category"), elem_id="results-category", min_width=200
        )
        model = gr.Radio([], label=label("model"), elem_id="results-model", min_width=200)
    detail = gr.HTML(elem_id="results-detail", padding=False)
    rebuilt_note = gr.Markdown(elem_classes="hint", elem_id="results-rebuilt-note")
    rebuilt = gr.Gallery(
        show_label=False,
        columns=4,
        height="auto",
        format="jpeg",
        object_fit="contain",
        interactive=False,
        visible=False,
        elem_id="results-rebuilt",
        buttons=["download", "fullscreen"],
    )

    gr.Markdown(label("results_transfer"))
    transfer = gr.HTML(elem_id="results-transfer", padding=False)
    gr.Markdown(label("results_thesis"))
    thesis = gr.HTML(elem_id="results-thesis", padding=False)
    gr.Markdown(label("results_steel"))
    steel_text = gr.Markdown(elem_id="results-steel-text")
    steel = gr.HTML(elem_id="results-steel", padding=False)

    chosen = [category, model, detail, rebuilt_note, rebuilt]
    static = [card, as_csv, as_json, traps, means, transfer, thesis, steel_text, steel]

    def open_tab(already: bool) -> tuple[Any, ...]:
        if already:
            return (gr.skip(),) * (2 + len(static) + len(chosen))
        try:
            found = results.read_results(catalogue.WEIGHTS_FOLDER)
        except WeightsError as problem:
            described = translate("results_none", why=translate_message(str(problem)))
            return False, described, *(gr.skip(),) * (len(static) + len(chosen))
        first = next((r for r in found if r.category == catalogue.DEFAULT_CATEGORY), None)
        first = first or next((r for r in found if r.model in AUTOENCODERS), None)
        shown = (gr.skip(),) * len(chosen)
        if first is not None:
            shown = choice(found, first.category, None)
        return True, gr.skip(), *sections(found), *shown

    def choose(name: str | None, wanted: str | None) -> tuple[Any, ...]:
        if name is None:
            return (gr.skip(),) * len(chosen)
        try:
            return choice(results.read_results(catalogue.WEIGHTS_FOLDER), name, wanted)
        except WeightsError as problem:
            raise gr.Error(translate_message(str(problem))) from problem

    def choose_row(event: gr.SelectData) -> tuple[Any, ...]:
        return choose(event.row_value[0], event.row_value[1].lower())

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress_on": detail}
    tab.select(
        open_tab,
        opened,
        [opened, summary, *static, *chosen],
        api_visibility="private",
        show_progress="minimal",
        show_progress_on=card,
    )
    pickers = [category.input, model.input]
    gr.on(pickers, choose, [category, model], chosen, trigger_mode="always_last", **quiet)
    card.select(choose_row, None, chosen, **quiet)
    return {card: lambda: results_words.scorecard([])}
