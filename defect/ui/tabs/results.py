"""The Results tab: scorecard, curves, transfer, the thesis's figures, the steel classifier.

Nothing is read or drawn before the tab is opened; then only the weights' headers are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from defect.detectors import catalogue
from defect.detectors.catalogue import Example
from defect.detectors.registry import DETECTORS
from defect.detectors.thresholds import GOOD, cost, stored_scores
from defect.evaluation import scorecard
from defect.evaluation.scorecard import Result
from defect.evaluation.scorecard.headers import number_in
from defect.imaging.photo import network_input
from defect.inspection import DEFAULT_THRESHOLD
from defect.ui import payload
from defect.ui.downloads import write_download
from defect.ui.i18n import (
    Localised,
    figure_texts,
    label,
    name_of,
    translate,
    translate_error,
    translate_message,
)
from defect.ui.tabs import cards
from defect.ui.tabs import results_tables as tables
from defect.weights.errors import WeightsError
from defect.weights.files import Training

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def results_tab(tab: gr.Tab) -> Localised:
    """Builds the tab inside the caller's `gr.Tab`, which is `tab`."""
    opened = gr.State(False)
    summary = gr.Markdown(
        label("results_intro"),
        elem_id="results-summary",
    )
    card = gr.Dataframe(
        headers=tables.scorecard([])["headers"],
        datatype=[column.kind for column in tables.SCORECARD],
        interactive=False,
        wrap=True,
        column_widths=[f"{column.width}px" for column in tables.SCORECARD],
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
            gr.Markdown(label("results_means", count=len(scorecard.MASKED)))
            means = gr.HTML(elem_id="results-means", padding=False)

    gr.Markdown(label("results_one"))
    with gr.Row():
        category = gr.Dropdown(
            [], label=label("results_category"), elem_id="results-category", min_width=200
        )
        model = gr.Radio([], label=label("model"), elem_id="results-model", min_width=200)
    detail = gr.HTML(elem_id="results-detail", padding=False)
    reconstructions_note = gr.Markdown(elem_classes="hint", elem_id="results-reconstructions-note")
    reconstructions = gr.Gallery(
        show_label=False,
        columns=4,
        height="auto",
        format="jpeg",
        object_fit="contain",
        interactive=False,
        visible=False,
        elem_id="results-reconstructions",
        buttons=["download", "fullscreen"],
    )

    gr.Markdown(label("results_transfer"))
    transfer = gr.HTML(elem_id="results-transfer", padding=False)
    gr.Markdown(label("results_thesis"))
    thesis = gr.HTML(elem_id="results-thesis", padding=False)
    gr.Markdown(label("results_steel"))
    steel_text = gr.Markdown(elem_id="results-steel-text")
    steel = gr.HTML(elem_id="results-steel", padding=False)

    chosen = [category, model, detail, reconstructions_note, reconstructions]
    static = [card, as_csv, as_json, traps, means, transfer, thesis, steel_text, steel]

    def open_tab(already: bool) -> tuple[Any, ...]:
        if already:
            return (gr.skip(),) * (2 + len(static) + len(chosen))
        try:
            found = scorecard.read_results(catalogue.WEIGHTS_FOLDER)
        except WeightsError as error:
            why = translate("results_none", why=translate_error(error))
            return False, why, *(gr.skip(),) * (len(static) + len(chosen))
        first = next((r for r in found if r.category == catalogue.DEFAULT_CATEGORY), None)
        first = first or next((r for r in found if r.model in DETECTORS), None)
        shown = (gr.skip(),) * len(chosen)
        if first is not None:
            shown = choice(found, first.category, None)
        return True, gr.skip(), *sections(found), *shown

    def choose(name: str | None, wanted: str | None) -> tuple[Any, ...]:
        if name is None:
            return (gr.skip(),) * len(chosen)
        try:
            return choice(scorecard.read_results(catalogue.WEIGHTS_FOLDER), name, wanted)
        except WeightsError as error:
            raise gr.Error(translate_error(error)) from error

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
    return {card: lambda: tables.scorecard([])}


def sections(found: list[Result]) -> tuple[Any, ...]:
    """What does not depend on the pickers: scorecard, CSV, JSON, how to read it, means, transfer,
    the thesis's figures, and the steel classifier in words and figures."""
    rows = scorecard.rows(found)
    steel = scorecard.steel_of(found)
    pixel = tables.thesis_table(rows, pixel=True)
    thesis = (
        f"<h3>{translate('card_auroc')}</h3>{tables.thesis_table(rows)}"
        f'<p class="absent">{escape(tables.ranking(scorecard.rank_correlations(rows)))}</p>'
        f"<h3>{translate('card_pixel')}</h3>{pixel}"
    )
    return (
        tables.scorecard(rows),
        write_download("defect-results.csv", scorecard.to_csv(rows)),
        write_download("defect-results.json", scorecard.to_json(found)),
        tables.reading(rows),
        tables.means_table(scorecard.means(rows)),
        tables.transfer_table(found, scorecard.transfer_means(found)),
        thesis,
        tables.steel_summary(steel) if steel else translate("results_no_steel"),
        steel_section(steel) if steel else "",
    )


def choice(found: list[Result], name: str, wanted: str | None) -> tuple[Any, ...]:
    """Pickers, figures and reconstructions; of the recommended model if the wanted is absent."""
    detectors = [result for result in found if result.model in DETECTORS]
    models = [result.model for result in detectors if result.category == name]
    if not models:
        return (gr.skip(),) * 5
    model = wanted if wanted in models else min(models, key=catalogue.PREFERRED.index)
    result = next(r for r in detectors if (r.category, r.model) == (name, model))
    return (
        gr.Dropdown(choices=list(dict.fromkeys(r.category for r in detectors)), value=name),
        gr.Radio(choices=[(each.upper(), each) for each in models], value=model),
        detail(result),
        *reconstructions(result),
    )


def detail(result: Result) -> str:
    """ROC, histogram and training curves side by side, then a table of the kinds of defect."""
    from defect.evaluation import plots

    test, training = result.test, result.training
    name = translate("model_on", model=result.model.upper(), category=result.category)
    scores = stored_scores(result)
    lists = test.get("scores") or {}
    defective = [kind != GOOD for kind in lists.get("kind", [])]
    value, low, high = (number_in(test, "image", "auroc", end) for end in ("value", "low", "high"))
    auroc = translate("auroc_none")
    if value is not None:
        interval = ""
        if low is not None and high is not None:
            interval = translate("auroc_interval", low=f"{low:.3f}", high=f"{high:.3f}")
        auroc = translate("auroc", value=f"{value:.3f}", interval=interval)
    caption = _roc_caption(result)
    cost_text = cards.threshold_cost(cost(result, DEFAULT_THRESHOLD))
    figures = [
        _figure(
            translate("roc", auroc=auroc),
            lambda: plots.roc_figure(
                lists["calibrated"], lists.get("thesis") or None, defective, **_figure_texts()
            ),
            translate("roc_label", name=name, auroc=auroc),
            caption,
            bool(scores.good and scores.defective),
        ),
        _card(
            translate("scores"),
            payload.histogram(asdict(scores), DEFAULT_THRESHOLD),
            cost_text,
        ),
        _training_figure(
            training,
            translate("training_label", name=name),
            translate("training_photos", **_run(training)),
        ),
    ]
    kinds = f"<h3>{translate('kinds')}</h3>{tables.kinds_table(result)}"
    note = f'<p class="absent">{escape(translate_message(result.note))}</p>' if result.note else ""
    return f'<div class="figures">{"".join(figures)}</div>{note}{kinds}'


def _roc_caption(result: Result) -> str:
    image = result.test.get("image", {})
    parts = []
    if "normal" in image and "defective" in image:
        counts = {"normal": image["normal"], "defective": image["defective"]}
        parts.append(translate("roc_photos", **counts))
    thesis = number_in(result.test, "thesis_image", "auroc", "value")
    if thesis is not None:
        parts.append(translate("roc_thesis", value=f"{thesis:.3f}"))
    best = number_in(image, "f1_max", "value")
    if best is not None:
        parts.append(translate("roc_f1", value=f"{best:.3f}"))
    return translate("semicolon").join(parts) + translate("stop") if parts else ""


def reconstructions(result: Result) -> tuple[str, gr.Gallery]:
    """A sentence and the gallery: example and reconstruction side by side."""
    hidden = gr.Gallery(None, visible=False)
    known = catalogue.categories().get(result.category)
    if known is None or result.model not in known.models:
        return translate("reconstructions_no_weights"), hidden
    if not known.examples:
        return translate("reconstructions_no_photos", category=result.category), hidden
    try:
        detector = catalogue.detector(result.model, result.category)
    except WeightsError as error:
        return translate_error(error), hidden
    inspections = detector([example.path for example in known.examples])
    items = [
        (_pair(each.photo, each.reconstruction), _caption(example, each.score))
        for example, each in zip(known.examples, inspections, strict=True)
        if each.reconstruction is not None
    ]
    if not items:
        return translate("reconstructions_memory"), hidden
    return translate("reconstructions"), gr.Gallery(items, visible=True)


def _caption(example: Example, score: float) -> str:
    return f"{name_of(example.caption, short=True)} · {score:.2f}"


def _pair(photo: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """H×W×3 photo and 256×256×3 reconstruction, both uint8 → one 256×520×3 picture."""
    gap = np.full((256, 8, 3), 255, np.uint8)
    return np.hstack([network_input(photo), gap, reconstruction])


def steel_section(result: Result) -> str:
    """Confusion matrix, training curve and tables of the steel classifier."""
    from defect.evaluation import plots

    test, training = result.test, result.training
    figures = [
        _figure(
            translate("confusion"),
            lambda: plots.confusion_figure(
                test["confusion"],
                [name_of(kind, short=True) for kind in test["per_class"]],
                **_figure_texts(),
            ),
            translate("confusion_label"),
            translate("confusion_why"),
            "confusion" in test,
        ),
        _training_figure(
            training,
            translate("training_steel_label"),
            translate("training_steel", **_run(training)),
        ),
    ]
    by_class = (
        f"<figure><h3>{translate('by_class')}</h3>{tables.steel_table(result)}"
        f"{tables.unknown_table(result)}</figure>"
    )
    return f'<div class="figures">{"".join(figures)}{by_class}</div>'


def _run(training: Training) -> dict[str, Any]:
    """The values of a training curve's caption."""
    return {
        "fit": training.images_fit,
        "held_out": training.images_held_out or 0,
        "rate": f"{training.learning_rate or 0:g}",
    }


def _training_figure(training: Training, alternative: str, caption: str) -> str:
    from defect.evaluation import plots

    return _figure(
        translate("training", epochs=training.epochs_run or 0),
        lambda: plots.training_figure(
            training.loss_curve,
            training.held_out_curve,
            training.best_epoch or 0,
            **_figure_texts(),
        ),
        alternative,
        caption,
        bool(training.loss_curve),
    )


def _figure_texts() -> dict[str, Any]:
    from defect.evaluation import plots

    return {"texts": figure_texts(plots.TEXTS)}


def _figure(
    title: str, draw: Callable[[], Figure], alternative: str, caption: str, measured: bool
) -> str:
    """A titled figure, or a note that there are no numbers to draw it from."""
    from defect.evaluation.plots import to_svg

    return _card(title, to_svg(draw(), alternative) if measured else "", caption)


def _card(title: str, drawing: str, caption: str) -> str:
    """A drawing (HTML; empty where nothing was measured) with its title and caption."""
    drawing = drawing or f'<p class="absent">{translate("not_measured")}</p>'
    return (
        f"<figure><h3>{escape(title)}</h3>{drawing}<figcaption>{escape(caption)}</figcaption>"
        f"</figure>"
    )
