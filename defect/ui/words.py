"""Results as the HTML and Markdown the tabs show. Whatever came from a user is escaped."""

from __future__ import annotations

from html import escape

from defect.catalogue import Category
from defect.classifier import Classification
from defect.networks import MEMORY
from defect.threshold_cost import Cost
from defect.weights import Metadata, WeightsSource


def waiting(text: str) -> str:
    """The verdict card before there is a verdict."""
    return _card("", "No photo yet", text)


def problem(text: str) -> str:
    """The verdict card for something that went wrong."""
    return _card("problem", "Not inspected", text)


def probabilities(result: Classification) -> str:
    """The six probabilities as bars, the likeliest first."""
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<div class="row{" top" if i == 0 else ""}"><span>{escape(name)}</span>'
        f'<span class="track"><i style="width:{100 * p:.1f}%"></i></span><b>{_percent(p)}</b></div>'
        for i, (name, p) in enumerate(ranked)
    )
    return f'<div class="bars">{rows}</div>'


def steel_verdict(result: Classification) -> str:
    """The card that names the class, or says that the photo is like none of them."""
    notes = "".join(f'<div class="note">{escape(note)}</div>' for note in result.notes)
    if not result.known:
        text = (
            f"This photo is unlike every steel surface the network was taught ("
            f"{result.novelty:.1f} × the limit). Of the six, {result.label} comes nearest; "
            "do not rely on it."
        )
        return _card("problem", "Not one of these six", text, notes)
    sure = (
        "Almost certain"
        if result.confidence >= 0.95
        else ("Likely" if result.confidence >= 0.7 else "Unsure")
    )
    text = (
        f"{sure}, among these six ({_percent(result.confidence)}), "
        f"{100 * result.margin:.0f} points before {result.second}."
    )
    return _card("", result.label, text, notes)


def expectation(category: Category) -> str:
    """What kind of photo a category wants."""
    text = f"**{category.name}** expects {category.expects}."
    if category.rendered:
        return text + " It is rendered by this project, not photographed: click an example."
    return text + " There is no example to click: its data set may not be passed on. Upload yours."


def origin(metadata: Metadata, source: WeightsSource) -> str:
    """Where the weights come from and how they were made."""
    training = metadata.training
    lines = [
        f"**{source.file}** ({source.source}, {source.size / 1e6:.1f} MB), sha256 "
        f"`{source.sha256[:16]}…`",
        f"Trained on {metadata.dataset} ({metadata.licence}): {training.images_fit} normal photos, "
        + (
            f"each judged by the others; taught in {training.seconds:.0f} s, no training epochs."
            if metadata.model == MEMORY
            else f"{training.images_held_out} held out; epoch {training.best_epoch} of "
            f"{training.epochs_run} kept; learning rate {training.learning_rate:g}, seed "
            f"{training.seed}; corruption: {training.corruption}."
        ),
    ]
    image = metadata.test.get("image", {})
    if image.get("auroc", {}).get("value") is not None:
        pixel = metadata.test.get("pixel", {}).get("auroc")
        thesis = metadata.test.get("thesis_image", {}).get("auroc", {}).get("value")
        lines.append(
            f"On {image['normal']} normal and {image['defective']} defective test photos: image "
            f"AUROC {image['auroc']['value']:.3f}"
            + (f" (thesis score: {thesis:.3f})" if thesis is not None else "")
            + (f", pixel AUROC {pixel:.3f}" if pixel is not None else "")
            + f"; {100 * image['false_alarm_rate']:.0f} % false alarms and "
            f"{100 * image['detection_rate']:.0f} % of defects found at the default threshold."
        )
    if metadata.note:
        lines.append(metadata.note)
    return "\n\n".join(lines)


def threshold_cost(cost: Cost) -> str:
    """What a threshold costs, in a sentence that says how little or much it was counted on."""
    good = cost.held_out + cost.good
    if not good:
        return ""
    text = f"At this limit {_of_hundred(cost.stopped, good, 'good parts')} stopped"
    if cost.defective:
        text += f" and {_of_hundred(cost.caught, cost.defective, 'known defects')} caught"
    held_out = f"{cost.held_out} held-out" if cost.held_out else ""
    test = f"{cost.good} test" if cost.good else ""
    counted = " and ".join(part for part in (held_out, test) if part) + " photos of good parts"
    if cost.defective:
        counted += f" and {cost.defective} of defective ones"
    return f"{text} (counted on {counted})."


def _of_hundred(count: int, total: int, what: str) -> str:
    """Such as `about 2 of 100 good parts are`; all and none are never rounded to."""
    if count in (0, total):
        return f"{'all' if count else 'none of the'} {total} {what} are"
    return f"about {min(max((200 * count + total) // (2 * total), 1), 99)} of 100 {what} are"


def _card(kind: str, word: str, text: str, rest: str = "") -> str:
    return (
        f'<div class="verdict {kind}"><div class="word">{escape(word)}</div>'
        f'<div class="why">{escape(text)}</div>{rest}</div>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
