"""What the tab "Your product" says. Whatever came from a visitor is escaped."""

from __future__ import annotations

from html import escape

from defect.inspector import Inspection
from defect.product import Product, one_in
from defect.report import describe

INTRO = (
    "Teach a detector **your own part** from good photos alone: 10 to 50, taken the way you will "
    "take the others (same place, same background, same light). It takes seconds, needs no "
    "defects, and is yours: only this page can use it, it is gone when you close the page, and "
    "you can download it."
)
LIMITS = (
    "**What it cannot do.** It tells what *looks* unlike the good photos, so it misses what a "
    "photo of 256×256 pixels does not show (hairline cracks, a wrong size), calls a new but "
    "harmless look defective, and knows nothing of parts it saw at other angles or on other "
    "backgrounds. The false-alarm figure is a forecast from your good photos; check it on new ones."
)
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
    return card("", "Nothing taught yet", "Add good photos, or load a detector you downloaded.")


def problem(text: str) -> str:
    """Something that could not be done, and why."""
    return card("problem", "Not done", text)


def taught(product: Product) -> str:
    """How the teaching went, with what was noticed."""
    n = product.photos
    photos = "1 photo" if n == 1 else f"{n} photos"
    if product.names:
        head = f"Taught {product.name} in {product.seconds:.0f} s from {photos}"
    else:
        head = f"Loaded {product.name}, taught from {photos}"
    promise = f"Expect about 1 false alarm in {one_in(n)} good photos at the default threshold."
    odd = ""
    if product.odd:
        lines = "".join(
            f"<li><b>{escape(product.names[one.index])}</b> {escape(one.reason)}</li>"
            for one in product.odd[:20]
        )
        more = len(product.odd) - 20
        lines += f"<li>and {more} more</li>" if more > 0 else ""
        odd = (
            f"<p><b>Please check these photos:</b></p><ul>{lines}</ul><p>While they are in, what "
            "looks like them passes as normal, and the limit is set with them. Unless they are "
            "good, tick them below and teach again.</p>"
        )
    elif len(product.names) >= 5:
        odd = '<p class="note">No photo stands out among them.</p>'
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in product.notes)
    return card("problem" if product.odd else "good", head, promise, rest=odd + notes)


def verdict(inspection: Inspection) -> str:
    """The verdict on one photo."""
    kind, word = ("bad", "Defective") if inspection.defective else ("good", "Looks normal")
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in inspection.notes)
    numbers = (
        f'<p class="note">Score <b>{inspection.score:.2f}</b> · threshold '
        f"{inspection.limit:.2f}</p>"
    )
    return card(kind, word, describe(inspection), rest=numbers + notes)
