"""Results as the HTML and Markdown the tabs show. Whatever came from a user is escaped."""

from __future__ import annotations

from html import escape

from defect.detectors.catalogue import Category
from defect.detectors.steel import Classification
from defect.detectors.thresholds import Cost
from defect.networks.autoencoders import MEMORY
from defect.ui.i18n import name_of, retell, say
from defect.weights.files import Metadata, WeightsSource


def waiting(text: str) -> str:
    """The verdict card before there is a verdict."""
    return _card("", say("no_photo"), text)


def problem(text: str) -> str:
    """The verdict card for something that went wrong."""
    return _card("problem", say("not_inspected"), retell(text))


def probabilities(result: Classification) -> str:
    """The six probabilities as bars, the likeliest first."""
    ranked = sorted(result.probabilities.items(), key=lambda item: -item[1])
    rows = "".join(
        f'<div class="row{" top" if i == 0 else ""}"><span>{escape(name_of(name))}</span>'
        f'<span class="track"><i style="width:{100 * p:.1f}%"></i></span><b>{_percent(p)}</b></div>'
        for i, (name, p) in enumerate(ranked)
    )
    return f'<div class="bars">{rows}</div>'


def steel_verdict(result: Classification) -> str:
    """The card that names the class, or says that the photo is like none of them."""
    notes = "".join(f'<div class="note">{escape(retell(note))}</div>' for note in result.notes)
    if not result.known:
        text = say(
            "steel_unknown_why",
            novelty=f"{result.novelty:.1f}",
            nearest=name_of(result.label),
        )
        return _card("problem", say("steel_unknown"), text, notes)
    sure = (
        "steel_certain"
        if result.confidence >= 0.95
        else ("steel_likely" if result.confidence >= 0.7 else "steel_unsure")
    )
    text = say(
        "steel_why",
        sure=say(sure),
        confidence=_percent(result.confidence),
        margin=f"{100 * result.margin:.0f}",
        second=name_of(result.second),
    )
    return _card("", name_of(result.label), text, notes)


def expectation(category: Category) -> str:
    """What kind of photo a category wants."""
    text = say("expects", category=category.name, what=retell(category.expects))
    return text + say("expects_rendered" if category.rendered else "expects_upload")


def origin(metadata: Metadata, source: WeightsSource) -> str:
    """Where the weights come from and how they were made."""
    training = metadata.training
    lines = [
        say(
            "origin_file",
            file=source.file,
            source=retell(source.source),
            size=f"{source.size / 1e6:.1f}",
            sha256=source.sha256[:16],
        ),
        say(
            "origin_taught" if metadata.model == MEMORY else "origin_trained",
            dataset=retell(metadata.dataset),
            licence=retell(metadata.licence),
            fit=training.images_fit,
            held_out=training.images_held_out,
            best=training.best_epoch,
            run=training.epochs_run,
            rate=f"{training.learning_rate:g}",
            seed=training.seed,
            corruption=retell(training.corruption),
            seconds=f"{training.seconds:.0f}",
        ),
    ]
    image = metadata.test.get("image", {})
    if image.get("auroc", {}).get("value") is not None:
        pixel = metadata.test.get("pixel", {}).get("auroc")
        thesis = metadata.test.get("thesis_image", {}).get("auroc", {}).get("value")
        lines.append(
            say(
                "origin_test",
                normal=image["normal"],
                defective=image["defective"],
                auroc=f"{image['auroc']['value']:.3f}",
                thesis="" if thesis is None else say("origin_thesis", thesis=f"{thesis:.3f}"),
                pixel="" if pixel is None else say("origin_pixel", pixel=f"{pixel:.3f}"),
                alarms=f"{100 * image['false_alarm_rate']:.0f}",
                found=f"{100 * image['detection_rate']:.0f}",
            )
        )
    if metadata.note:
        lines.append(retell(metadata.note))
    return "\n\n".join(lines)


def threshold_cost(cost: Cost) -> str:
    """What a threshold costs, in a sentence that says how little or much it was counted on."""
    good = cost.held_out + cost.good
    if not good:
        return ""
    held_out = say("cost_held_out", count=cost.held_out) if cost.held_out else ""
    test = say("cost_test", count=cost.good) if cost.good else ""
    return say(
        "cost_line" if cost.defective else "cost_line_good",
        good=_of_hundred(cost.stopped, good, "good"),
        defective=_of_hundred(cost.caught, cost.defective, "defective"),
        counted=say("cost_and").join(part for part in (held_out, test) if part),
        known=cost.defective,
    )


def _of_hundred(count: int, total: int, kind: str) -> str:
    """Such as `about 2 of 100 good parts are`; all and none are never rounded to."""
    if count in (0, total):
        return say(f"cost_all_{kind}" if count else f"cost_none_{kind}", total=total)
    about = min(max((200 * count + total) // (2 * total), 1), 99)
    return say(f"cost_{kind}", about=about)


def _card(kind: str, word: str, text: str, rest: str = "") -> str:
    return (
        f'<div class="verdict {kind}"><div class="word">{escape(word)}</div>'
        f'<div class="why">{escape(text)}</div>{rest}</div>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
