"""The interface's texts in English and Chinese, a file a tab.

What stands still is a `label`, which Gradio puts into the visitor's language in the browser. What
is made of data is said in that language by the server: `say` fills a text's `{name}`s, and
`translate_message` says a sentence of the library, whose own language is English. Programs, which ask for no
language, hear English. The page's scripts have the Inspect tab's tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from defect.ui.i18n import api, batch, inspect, library, product, results, steel

_FILES = (inspect, steel, batch, product, results, api)
ENGLISH: dict[str, str] = {key: text for file in _FILES for key, text in file.ENGLISH.items()}
CHINESE: dict[str, str] = {key: text for file in _FILES for key, text in file.CHINESE.items()}
TEXTS = {"en": ENGLISH, "zh-CN": CHINESE}
PAGE_TEXTS = {"en": inspect.ENGLISH, "zh-CN": inspect.CHINESE}
# Simplified is nearer to a reader of Traditional than English.
LANGUAGES = gr.I18n(**TEXTS, **{"zh-TW": CHINESE})
COOKIE = "language"
"""Set by the page once the visitor chose another language in Gradio's settings."""


def label(key: str, **values: object) -> str:
    """The text as a Gradio label, in the visitor's language.

    Args:
        values: of the text's `{name}`s; the same for every visitor.

    Raises:
        KeyError: there is no such text, or it lacks a value.
    """
    if not values:
        ENGLISH[key]  # raises
        return LANGUAGES(key)  # type: ignore[return-value]  # Gradio takes it wherever it takes a str
    filled = f"{key} {' '.join(map(str, values.values()))}"
    for table in (ENGLISH, CHINESE):
        table[filled] = table[key].format(**values)
    return LANGUAGES(filled)  # type: ignore[return-value]


def translate(key: str, **values: object) -> str:
    """The text in the language of who asks, its `{name}`s filled in.

    Raises:
        KeyError: there is no such text, or it lacks a value.
    """
    return _table()[key].format(**values)


def listed(parts: Sequence[str], last: str = "comma") -> str:
    """The parts as a list in a sentence.

    Args:
        last: what stands before the last one, `comma` or `and`.
    """
    if len(parts) < 2:
        return "".join(parts)
    return translate(f"list_{last}").join([translate("list_comma").join(parts[:-1]), parts[-1]])


def translate_message(text: str) -> str:
    """What the library says, in the language of who asks; what is not known stays as it is."""
    return text if in_english() else library.translate_message(text)


def translate_figure(svg: str) -> str:
    """A figure with what is written in it in the language of who asks."""
    return svg if in_english() else library.translate_figure(svg)


def name_of(kind: str, short: bool = False) -> str:
    """A kind of defect as a name to show.

    Args:
        short: not beside its own name, which is what tables and programs call it.
    """
    if in_english() or kind not in library.KINDS:
        return kind
    return library.KINDS[kind] if short else f"{library.KINDS[kind]} {kind}"


def in_english() -> bool:
    """Whether who asks is answered in English."""
    return _table() is ENGLISH


def texts_for(request: Any) -> dict[str, str]:
    """The texts in the language of a request, as Gradio finds it in the same browser; in English
    for none.

    The browser names the languages it asks for; Gradio looks at the first one.
    """
    if request is None:
        return ENGLISH
    first = dict(request.headers).get("accept-language", "").split(",")[0].split(";")[0].strip()
    asked = dict(request.cookies).get(COOKIE) or first
    return CHINESE if asked in LANGUAGES.translations and asked != "en" else ENGLISH


def _table() -> dict[str, str]:
    return texts_for(LocalContext.request.get(None))
