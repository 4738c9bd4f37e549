"""The interface's texts in English and Chinese, a file a tab.

What does not change is a `label`, which Gradio puts into the visitor's language in the browser.
What is made of data is translated by the server: `translate` fills a text's `{name}`s, and
`translate_message` gives a `Message` of the library, whose own language is English. Programs, which
ask for no language, get English. The page's scripts have the viewer's tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.components import Component

from defect.inspection import Message
from defect.ui.gradio_private import page as gradio_page
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

Localised = dict[Component, Callable[[], Any]]
"""Components, each with what makes its first value in the visitor's language."""


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


def join(parts: Sequence[str], last: str = "comma") -> str:
    """The parts as a list in a sentence.

    Args:
        last: what stands before the last one, `comma` or `and`.
    """
    if len(parts) < 2:
        return "".join(parts)
    return translate(f"list_{last}").join([translate("list_comma").join(parts[:-1]), parts[-1]])


def translate_message(text: str) -> str:
    """A message of the library, or a phrase of a weights file's header, in the language of who
    asks; any other text stays as it is."""
    if in_english():
        return str(text)
    if not isinstance(text, Message):
        return library.PHRASES.get(text, text)
    template = library.MESSAGES.get(text.key)
    if template is None:
        return str(text)
    values = {
        name: translate_message(value) if isinstance(value, str) else value
        for name, value in text.values.items()
    }
    return template.format(**values)


def translate_messages(texts: Sequence[str]) -> str:
    """Several messages as one text."""
    return ("" if not in_english() else " ").join(map(translate_message, texts))


def translate_error(error: Exception) -> str:
    """What an error of the library says, in the language of who asks."""
    return translate_message(error.args[0] if error.args else str(error))


def figure_texts(english: Mapping[str, str]) -> Mapping[str, str]:
    """The texts of `evaluation.plots` in the language of who asks."""
    return english if in_english() else library.FIGURES


def name_of(kind: str, short: bool = False) -> str:
    """A kind of defect as a name to show.

    Args:
        short: without its own name beside it, which is what tables and programs call it.
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


def localise_on_load(demo: gr.Blocks, localised: Localised) -> None:
    """Has the demo give the components' first values again, in the visitor's language, when it
    loads: the page is built in English before there is a visitor."""

    def first_values() -> tuple[Any, ...]:
        if in_english():
            return (gr.skip(),) * len(localised)
        return tuple(make() for make in localised.values())

    demo.load(first_values, None, list(localised), api_visibility="private", show_progress="hidden")


def _table() -> dict[str, str]:
    return texts_for(gradio_page.current_request())
