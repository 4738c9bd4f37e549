"""What the browser runs: the scripts, skeletons and style sheets beside this file.

Plain scripts, joined into one: no build step, nothing from another host.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import gradio as gr

from defect.ui.i18n import PAGE_TEXTS
from defect.ui.payload import page_settings

_FOLDER = Path(__file__).resolve().parent
_SCRIPTS = (
    "maps",
    "sentences",
    "drawing",
    "histogram",
    "history",
    "viewer",
    "comparison",
    "page",
)
_STYLES = ("page", "viewer", "batch", "product", "results", "api")
_START = """
window.defect = { viewer, comparison, historyPanel };
customElements.define("score-histogram", ScoreHistogram);
keepRepaired();
keepTitle();
storeLanguage();
"""


def page_part(
    name: str, element: str, script: str, value: object = None, prefix: str = ""
) -> gr.HTML:
    """A part of the page that a script draws: its value is data, and never becomes HTML.

    Args:
        name: of the skeleton, such as `viewer`.
        element: the part's id.
        script: the function that takes the part over: `viewer`, `comparison` or `historyPanel`.
        value: JSON to start with.
        prefix: of the ids inside, where the skeleton has `@@`.
    """
    skeleton = (_FOLDER / f"{name}.html").read_text(encoding="utf-8")
    return gr.HTML(
        value,
        html_template=skeleton.replace("@@", prefix),
        js_on_load=f"window.defect.{script}(element, props, watch, {element!r});",
        head=_head(),
        apply_default_css=False,
        elem_id=element,
        padding=False,
    )


def functions() -> str:
    """The scripts' functions with the texts and settings they need; running it changes nothing."""
    parts = [(_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    return "\n".join(
        [
            f"const TEXTS = {_literal(PAGE_TEXTS)};",
            f"const SETTINGS = {_literal(page_settings())};",
            *parts,
        ]
    )


@lru_cache(maxsize=1)
def style_sheet() -> str:
    """All of the app's CSS."""
    return "\n".join((_FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in _STYLES)


@lru_cache(maxsize=1)
def _head() -> str:
    # Several parts bring the same head; the page must take it once.
    return f"<script>if (!window.defect) (() => {{\n{functions()}{_START}}})();</script>"


def _literal(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
