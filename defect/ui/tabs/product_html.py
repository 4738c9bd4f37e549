"""What the tab "Your product" says. Whatever came from a visitor is escaped."""

from __future__ import annotations

from html import escape

from defect.inspection import Inspection, multiple, percent, regions, unfamiliar
from defect.training.teaching import Product, false_alarm_odds
from defect.ui.i18n import translate, translate_message

STYLE = """<style>
.product-card {border: 1px solid var(--border-color-primary); border-left: 6px solid #64748b;
  border-radius: 10px; padding: 12px 14px; color: var(--body-text-color);}
.product-card.good {border-left-color: #15803d;} .product-card.bad {border-left-color: #c81e1e;}
.product-card.problem {border-left-color: #b45309;}
.product-card b.word {display: block; font-size: 1.2rem; line-height: 1.3;}
.product-card ul {margin: 6px 0 0; padding-left: 1.2em; list-style: disc;}
.product-card li, .product-card p {margin: 3px 0 0; overflow-wrap: anywhere;}
.product-card .note {color: var(--body-text-color-subdued); font-size: .88rem;}
</style>"""


def card(kind: str, word: str, *paragraphs: str, rest: str = "") -> str:
    """A card; the paragraphs are escaped, `rest` is HTML."""
    text = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs if paragraph)
    return f'<div class="product-card {kind}"><b class="word">{escape(word)}</b>{text}{rest}</div>'


def untaught() -> str:
    """Before anything was taught."""
    return card("", translate("product_untaught"), translate("product_untaught_why"))


def problem(text: str) -> str:
    """Something that could not be done, and why."""
    return card("problem", translate("product_not_done"), translate_message(text))


def taught(product: Product) -> str:
    """How the teaching went, with what was noticed."""
    n = product.photos
    head = translate(
        "product_taught" if product.names else "product_loaded",
        name=product.name,
        seconds=f"{product.seconds:.0f}",
        photos=translate("product_photos_one" if n == 1 else "product_photos", count=n),
    )
    promise = translate("product_promise", photos=false_alarm_odds(n))
    odd = ""
    if product.odd:
        lines = "".join(
            f"<li><b>{escape(product.names[one.index])}</b> {escape(translate_message(one.reason))}</li>"
            for one in product.odd[:20]
        )
        more = len(product.odd) - 20
        lines += f"<li>{translate('product_more', count=more)}</li>" if more > 0 else ""
        odd = f"<p><b>{translate('product_odd')}</b></p><ul>{lines}</ul><p>{translate('product_odd_why')}</p>"
    elif len(product.names) >= 5:
        odd = f'<p class="note">{translate("product_none_odd")}</p>'
    notes = "".join(
        f'<p class="note">{escape(translate_message(note))}</p>' for note in product.notes
    )
    return card("problem" if product.odd else "good", head, promise, rest=odd + notes)


def verdict(inspection: Inspection) -> str:
    """The verdict on one photo."""
    kind = "bad" if inspection.defective else "good"
    word = translate("defective" if inspection.defective else "looks_normal")
    notes = "".join(
        f'<p class="note">{escape(translate_message(note))}</p>' for note in inspection.notes
    )
    numbers = translate(
        "product_numbers", score=f"{inspection.score:.2f}", limit=f"{inspection.limit:.2f}"
    )
    rest = f'<p class="note">{numbers}</p>{notes}'
    return card(kind, word, _reason(inspection), rest=rest)


def _reason(inspection: Inspection) -> str:
    """The verdict's reason in the visitor's language; in English what `describe` says."""
    score, found = multiple(inspection.score), regions(inspection)
    if not found:
        text = translate("sentence_normal", score=score)
    else:
        text = translate(
            "sentence_many" if len(found) > 1 else "sentence_one",
            score=score,
            where=translate("at_" + found[0].where.replace(" ", "_")),
            area=_share(found[0].area),
            count=len(found),
            all=_share(sum(region.area for region in found)),
        )
    text = text[0].upper() + text[1:]
    return translate("product_unfamiliar_after", text=text) if unfamiliar(inspection) else text


def _share(share: float) -> str:
    return translate("under_percent") if 0 < share < 0.001 else percent(share)
