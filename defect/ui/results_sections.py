"""The Results tab's sections, filled with what the weights' headers say."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np

from defect import catalogue, results
from defect.images import network_input
from defect.inspector import DEFAULT_LIMIT
from defect.networks import DETECTORS, MEMORY
from defect.results import Result
from defect.results.headers import number_in
from defect.threshold_cost import GOOD, cost, stored_scores
from defect.ui import results_words, words
from defect.ui.download import write_download
from defect.weights import WeightsError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_PHOTOS = (
    "No reconstructions of **{}** are shown: they would be pictures of photos that may not be "
    "passed on. Inspect a photo of your own to see one."
)
NO_WEIGHTS = "The weights of this model are not bundled, so nothing can be reconstructed here."


def sections(found: list[Result]) -> tuple[Any, ...]:
    """What does not depend on the pickers: scorecard, CSV, JSON, how to read it, means, transfer,
    the thesis's figures, and the steel classifier in words and figures."""
    rows = results.rows(found)
    steel = results.steel_of(found)
    pixel = results_words.thesis_table(rows, pixel=True)
    thesis = (
        f"<h3>Image AUROC</h3>{results_words.thesis_table(rows)}"
        f'<p class="absent">{escape(results_words.ranking(results.rank_correlations(rows)))}</p>'
        f"<h3>Pixel AUROC</h3>{pixel}"
    )
    return (
        results_words.scorecard(rows),
        write_download("defect-results.csv", results.to_csv(rows)),
        write_download("defect-results.json", results.to_json(found)),
        results_words.reading(rows),
        results_words.means_table(results.means(rows)),
        results_words.transfer_table(found, results.transfer_means(found)),
        thesis,
        results_words.steel_summary(steel) if steel else "There is no steel classifier here.",
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
    from defect import figures

    test, training = result.test, result.training
    name = f"{result.model.upper()} on {result.category}"
    scores = stored_scores(result)
    lists = test.get("scores") or {}
    defective = [kind != GOOD for kind in lists.get("kind", [])]
    value, low, high = (number_in(test, "image", "auroc", end) for end in ("value", "low", "high"))
    auroc = "AUROC not measured"
    if value is not None:
        interval = f" (95 %: {low:.3f}–{high:.3f})" if low is not None and high is not None else ""
        auroc = f"AUROC {value:.3f}{interval}"
    caption = _roc_caption(result)
    cost_text = words.threshold_cost(cost(result, DEFAULT_LIMIT))
    epochs = (
        f"{training.images_fit} photos, {training.images_held_out} held out; learning rate "
        f"{training.learning_rate:g}."
    )
    cards = [
        _figure(
            f"ROC: {auroc}",
            lambda: figures.roc_figure(lists["calibrated"], lists.get("thesis") or None, defective),
            f"ROC curve of {name}. {auroc}.",
            caption,
            bool(scores.good and scores.defective),
        ),
        _figure(
            "Scores of good and defective photos",
            lambda: figures.histogram_figure(scores.held_out, scores.good, scores.defective),
            f"Histogram of the scores of {name}. {cost_text}",
            cost_text,
            bool(scores.held_out or scores.good or scores.defective),
        ),
        _figure(
            f"Training: {training.epochs_run} epochs",
            lambda: figures.training_figure(
                training.loss_curve, training.held_out_curve, training.best_epoch
            ),
            f"Training curves of {name}.",
            epochs,
            bool(training.loss_curve),
        ),
    ]
    kinds = f"<h3>By kind of defect</h3>{results_words.kinds_table(result)}"
    note = f'<p class="absent">{escape(result.note)}</p>' if result.note else ""
    return f'<div class="figures">{"".join(cards)}</div>{note}{kinds}'


def _roc_caption(result: Result) -> str:
    image = result.test.get("image", {})
    parts = []
    if "normal" in image and "defective" in image:
        parts.append(f"{image['normal']} good and {image['defective']} defective test photos")
    thesis = number_in(result.test, "thesis_image", "auroc", "value")
    if thesis is not None:
        parts.append(f"thesis score {thesis:.3f}")
    best = number_in(image, "f1_max", "value")
    if best is not None:
        parts.append(f"best F1 the test labels allow {best:.3f}")
    return "; ".join(parts) + "." if parts else ""


def reconstructions(result: Result) -> tuple[str, gr.Gallery]:
    """A sentence and the gallery: example and reconstruction side by side."""
    known = catalogue.categories().get(result.category)
    if known is None or result.model not in known.models:
        return NO_WEIGHTS, gr.Gallery(None, visible=False)
    if result.model == MEMORY:
        return "A memory compares; it rebuilds nothing.", gr.Gallery(None, visible=False)
    if not known.examples:
        return NO_PHOTOS.format(result.category), gr.Gallery(None, visible=False)
    try:
        inspect = catalogue.inspector(result.model, result.category)
    except WeightsError as problem:
        return str(problem), gr.Gallery(None, visible=False)
    seen = inspect([example.path for example in known.examples])
    items = [
        (_pair(each.photo, each.reconstruction), f"{example.caption} · {each.score:.2f}")
        for example, each in zip(known.examples, seen, strict=True)
        if each.reconstruction is not None  # a memory rebuilds nothing
    ]
    told = "Rendered examples, each beside its reconstruction, with their scores."
    return told, gr.Gallery(items, visible=True)


def _pair(photo: np.ndarray, reconstruction: np.ndarray) -> np.ndarray:
    """H×W×3 photo and 256×256×3 reconstruction, both uint8 → one 256×520×3 picture."""
    gap = np.full((256, 8, 3), 255, np.uint8)
    return np.hstack([network_input(photo), gap, reconstruction])


def steel_section(result: Result) -> str:
    """Confusion matrix, training curve and tables of the steel classifier."""
    from defect import figures

    test, training = result.test, result.training
    cards = [
        _figure(
            "Confusion matrix",
            lambda: figures.confusion_figure(test["confusion"], list(test["per_class"])),
            "Confusion matrix of the steel classifier.",
            "Held-out photos; blue are named right, red are mistaken.",
            "confusion" in test,
        ),
        _figure(
            f"Training: {training.epochs_run} epochs",
            lambda: figures.training_figure(
                training.loss_curve, training.held_out_curve, training.best_epoch
            ),
            "Training curve of the steel classifier.",
            f"{training.images_fit} photos; learning rate {training.learning_rate:g}.",
            bool(training.loss_curve),
        ),
    ]
    tables = (
        f"<figure><h3>By class</h3>{results_words.steel_table(result)}"
        f"{results_words.unknown_table(result)}</figure>"
    )
    return f'<div class="figures">{"".join(cards)}{tables}</div>'


def _figure(
    title: str, draw: Callable[[], Figure], alternative: str, caption: str, measured: bool
) -> str:
    """A titled figure, or the word that there are no numbers to draw it from."""
    from defect.figures import to_svg

    drawn = to_svg(draw(), alternative) if measured else '<p class="absent">Not measured.</p>'
    return (
        f"<figure><h3>{escape(title)}</h3>{drawn}<figcaption>{escape(caption)}</figcaption>"
        f"</figure>"
    )
