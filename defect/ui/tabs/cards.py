"""Results as the HTML and Markdown the tabs show. Whatever came from a visitor is escaped."""

from __future__ import annotations

from html import escape

from defect.detectors.catalogue import Category
from defect.detectors.steel import Classification
from defect.detectors.thresholds import Cost, false_alarm_percents
from defect.inspection import WeightsSource
from defect.ui.i18n import name_of, translate, translate_message
from defect.weights.files import Metadata


def waiting(text: str) -> str:
    """The verdict card before there is a verdict."""
    return _card("", translate("no_photo"), text)


def problem(text: str) -> str:
    """The verdict card for something that went wrong; the text is for the visitor."""
    return _card("problem", translate("not_inspected"), text)


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
    notes = "".join(
        f'<div class="note">{escape(translate_message(note))}</div>' for note in result.notes
    )
    if not result.known:
        text = translate(
            "steel_unknown_why",
            ood_score=f"{result.ood_score:.1f}",
            nearest=name_of(result.label),
        )
        return _card("problem", translate("steel_unknown"), text, notes)
    certainty = (
        "steel_certain"
        if result.confidence >= 0.95
        else ("steel_likely" if result.confidence >= 0.7 else "steel_unsure")
    )
    text = translate(
        "steel_why",
        certainty=translate(certainty),
        confidence=_percent(result.confidence),
        margin=f"{100 * result.margin:.0f}",
        second=name_of(result.second),
    )
    return _card("", name_of(result.label), text, notes)


def expectation(category: Category) -> str:
    """What kind of photo a category wants."""
    text = translate("expects", category=category.name, what=translate_message(category.expects))
    return text + translate("expects_rendered" if category.rendered else "expects_upload")


def origin(metadata: Metadata, source: WeightsSource) -> str:
    """Where the weights come from and how they were made."""
    training = metadata.training
    lines = [
        translate(
            "origin_file",
            file=source.file,
            source=translate_message(source.source),
            size=f"{source.size / 1e6:.1f}",
            sha256=source.sha256[:16],
        ),
        translate(
            "origin_trained" if training.epochs_run else "origin_memory",
            dataset=translate_message(metadata.dataset),
            licence=translate_message(metadata.licence),
            fit=training.images_fit,
            held_out=training.images_held_out,
            best=training.best_epoch,
            run=training.epochs_run,
            rate=f"{training.learning_rate or 0:g}",
            seed=training.seed,
            corruption=translate_message(training.corruption),
            seconds=f"{training.seconds:.0f}",
        ),
    ]
    image = metadata.test.get("image", {})
    if image.get("auroc", {}).get("value") is not None:
        pixel = metadata.test.get("pixel", {}).get("auroc")
        thesis = metadata.test.get("thesis_image", {}).get("auroc", {}).get("value")
        lines.append(
            translate(
                "origin_test",
                normal=image["normal"],
                defective=image["defective"],
                auroc=f"{image['auroc']['value']:.3f}",
                thesis="" if thesis is None else translate("origin_thesis", thesis=f"{thesis:.3f}"),
                pixel="" if pixel is None else translate("origin_pixel", pixel=f"{pixel:.3f}"),
                alarms=f"{100 * image['false_alarm_rate']:.0f}",
                found=f"{100 * image['detection_rate']:.0f}",
            )
        )
    if metadata.note:
        lines.append(translate_message(metadata.note))
    return "\n\n".join(lines)


def threshold_cost(cost: Cost) -> str:
    """What a threshold costs, in a sentence that says how little or much it was counted on."""
    good = cost.held_out + cost.good
    if not good:
        return ""
    held_out = translate("cost_held_out", count=cost.held_out) if cost.held_out else ""
    most = false_alarm_percents(good)[cost.stopped]
    test = translate("cost_test", count=cost.good) if cost.good else ""
    line = translate(
        "cost_line" if cost.defective else "cost_line_good",
        good=_of_hundred(cost.stopped, good, "good"),
        defective=_of_hundred(cost.caught, cost.defective, "defective"),
        counted=translate("cost_and").join(part for part in (held_out, test) if part),
        known=cost.defective,
        bound=translate("cost_bound", most=most) if most < 100 else "",
    )
    found, drawn = cost.drawn
    if drawn and not cost.defective:
        line += " " + translate("cost_drawn", found=found, drawn=drawn)
    return line


def _of_hundred(count: int, total: int, kind: str) -> str:
    """Such as `false alarms on about 2 of 100 good parts`; all and none are never rounded to."""
    if count in (0, total):
        return translate(f"cost_all_{kind}" if count else f"cost_none_{kind}", total=total)
    about = min(max((200 * count + total) // (2 * total), 1), 99)
    return translate(f"cost_{kind}", about=about)


def _card(kind: str, word: str, text: str, rest: str = "") -> str:
    return (
        f'<div class="verdict {kind}"><div class="word">{escape(word)}</div>'
        f'<div class="why">{escape(text)}</div>{rest}</div>'
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
