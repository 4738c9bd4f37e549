"""The Results tab's sections, filled with what the weights' headers say."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from defect.detectors import catalogue
from defect.detectors.catalogue import Example
from defect.detectors.thresholds import GOOD, cost, stored_scores
from defect.evaluation import scorecard as results
from defect.evaluation.scorecard import Result
from defect.evaluation.scorecard.headers import number_in
from defect.imaging.photo import network_input
from defect.inspection import DEFAULT_THRESHOLD
from defect.networks.autoencoders import DETECTORS, MEMORY
from defect.ui import cards as words
from defect.ui.downloads import write_download
from defect.ui.i18n import name_of, translate, translate_figure, translate_message
from defect.ui.tabs import results_tables as results_words
from defect.weights.files import WeightsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def sections(found: list[Result]) -> tuple[Any, ...]:
    """What does not depend on the pickers: scorecard, CSV, JSON, how to read it, means, transfer,
    the thesis's figures, and the steel classifier in words and figures."""
    rows = results.rows(found)
    steel = results.steel_of(found)
    pixel = results_words.thesis_table(rows, pixel=True)
    thesis = (
        f"<h3>{translate('card_auroc')}</h3>{results_words.thesis_table(rows)}"
        f'<p class="absent">{escape(results_words.ranking(results.rank_correlations(rows)))}</p>'
        f"<h3>{translate('card_pixel')}</h3>{pixel}"
    )
    return (
        results_words.scorecard(rows),
        write_download("defect-results.csv", results.to_csv(rows)),
        write_download("defect-results.json", results.to_json(found)),
        results_words.reading(rows),
        results_words.means_table(results.means(rows)),
        results_words.transfer_table(found, results.transfer_means(found)),
        thesis,
        results_words.steel_summary(steel) if steel else translate("results_no_steel"),
        steel_section(steel) if steel else "",
    )


def choice(found: list[Result], name: str, wanted: str | None) -> tuple[Any, ...]:
    """Pickers, figures and reconstructions; of the recommended model if the wanted is absent."""
    autoencoders = [result for result in found if result.model in DETECTORS]
    models = [result.model for result in autoencoders if result.category == name]
    if not models:
        return (gr.skip(),) * 5
    model = wanted if wanted in models else min(models, key=catalogue.PREFERRED.index)
    result = next(r for r in autoencoders if (r.category, r.model) == (name, model))
    return (
        gr.Dropdown(choices=list(dict.fromkeys(r.category for r in autoencoders)), value=name),
        gr.Radio(choices=[(each.upper(), each) for each in models], value=model),
        detail(result),
        *reconstructions(result),
    )


def detail(result: Result) -> str:
    """ROC, histogram and training curves side by side, then a table of the kinds of defect."""
    from defect.evaluation import plots as figures

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
    cost_text = words.threshold_cost(cost(result, DEFAULT_THRESHOLD))
    epochs = translate(
        "training_photos",
        fit=training.images_fit,
        held_out=training.images_held_out,
        rate=f"{training.learning_rate:g}",
    )
    cards = [
        _figure(
            translate("roc", auroc=auroc),
            lambda: figures.roc_figure(lists["calibrated"], lists.get("thesis") or None, defective),
            translate("roc_label", name=name, auroc=auroc),
            caption,
            bool(scores.good and scores.defective),
        ),
        _figure(
            translate("histogram"),
            lambda: figures.histogram_figure(scores.held_out, scores.good, scores.defective),
            translate("histogram_label", name=name, cost=cost_text),
            cost_text,
            bool(scores.held_out or scores.good or scores.defective),
        ),
        _figure(
            translate("training", epochs=training.epochs_run),
            lambda: figures.training_figure(
                training.loss_curve, training.held_out_curve, training.best_epoch
            ),
            translate("training_label", name=name),
            epochs,
            bool(training.loss_curve),
        ),
    ]
    kinds = f"<h3>{translate('kinds')}</h3>{results_words.kinds_table(result)}"
    note = f'<p class="absent">{escape(translate_message(result.note))}</p>' if result.note else ""
    return f'<div class="figures">{"".join(cards)}</div>{note}{kinds}'


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
    known = catalogue.categories().get(result.category)
    if known is None or result.model not in known.models:
        return translate("rebuilt_no_weights"), gr.Gallery(None, visible=False)
    if result.model == MEMORY:
        return translate("rebuilt_memory"), gr.Gallery(None, visible=False)
    if not known.examples:
        return translate("rebuilt_no_photos", category=result.category), gr.Gallery(
            None, visible=False
        )
    try:
        inspect = catalogue.inspector(result.model, result.category)
    except WeightsError as problem:
        return translate_message(str(problem)), gr.Gallery(None, visible=False)
    seen = inspect([example.path for example in known.examples])
    items = [
        (_pair(each.photo, each.reconstruction), _caption(example, each.score))
        for example, each in zip(known.examples, seen, strict=True)
        if each.reconstruction is not None  # a memory rebuilds nothing
    ]
    return translate("rebuilt"), gr.Gallery(items, visible=True)


def _caption(example: Example, score: float) -> str:
    return f"{name_of(example.caption, short=True)} · {score:.2f}"


def _pair(photo: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """H×W×3 photo and 256×256×3 reconstruction, both uint8 → one 256×520×3 picture."""
    gap = np.full((256, 8, 3), 255, np.uint8)
    return np.hstack([network_input(photo), gap, reconstruction])


def steel_section(result: Result) -> str:
    """Confusion matrix, training curve and tables of the steel classifier."""
    from defect.evaluation import plots as figures

    test, training = result.test, result.training
    cards = [
        _figure(
            translate("confusion"),
            lambda: figures.confusion_figure(test["confusion"], list(test["per_class"])),
            translate("confusion_label"),
            translate("confusion_why"),
            "confusion" in test,
        ),
        _figure(
            translate("training", epochs=training.epochs_run),
            lambda: figures.training_figure(
                training.loss_curve, training.held_out_curve, training.best_epoch
            ),
            translate("training_steel_label"),
            translate(
                "training_steel",
                fit=training.images_fit,
                rate=f"{training.learning_rate:g}",
            ),
            bool(training.loss_curve),
        ),
    ]
    tables = (
        f"<figure><h3>{translate('by_class')}</h3>{results_words.steel_table(result)}"
        f"{results_words.unknown_table(result)}</figure>"
    )
    return f'<div class="figures">{"".join(cards)}{tables}</div>'


def _figure(
    title: str, draw: Callable[[], Figure], alternative: str, caption: str, measured: bool
) -> str:
    """A titled figure, or the word that there are no numbers to draw it from."""
    from defect.evaluation.plots import to_svg

    drawn = f'<p class="absent">{translate("not_measured")}</p>'
    if measured:
        drawn = translate_figure(to_svg(draw(), alternative))
    return (
        f"<figure><h3>{escape(title)}</h3>{drawn}<figcaption>{escape(caption)}</figcaption>"
        f"</figure>"
    )
