"""What the browser draws itself: the scripts and skeletons beside this file.

Plain scripts, joined into one: no build step, nothing from another host.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import gradio as gr

from defect.ui.i18n import PAGE_TEXTS

_FOLDER = Path(__file__).resolve().parent
_SCRIPTS = ("map", "paint", "say", "plot", "history", "viewer", "compare", "mend")


def drawn(name: str, element: str, script: str, value: object = None) -> gr.HTML:
    """A part of the page that a script keeps: its value is data, and never becomes HTML.

    Args:
        name: of the skeleton, such as `viewer`.
        element: the part's id; ids inside begin with it where `@@` stands.
        script: the function that takes the part over: `viewer`, `compare` or `historyPanel`.
        value: JSON to start with.
    """
    skeleton = (_FOLDER / f"{name}.html").read_text(encoding="utf-8")
    return gr.HTML(
        value,
        html_template=skeleton.replace("@@", ""),
        js_on_load=f"window.defect.{script}(element, props, watch);",
        head=_head(),
        apply_default_css=False,
        elem_id=element,
        padding=False,
    )


@lru_cache(maxsize=1)
def _head() -> str:
    parts = [(_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    texts = json.dumps(PAGE_TEXTS, ensure_ascii=False).replace("<", "\\u003c")
    public = "window.defect = { viewer, compare, historyPanel };"
    begun = "keepMended();\nkeepTitle();\ntellLanguage();"
    body = "\n".join([f"const TEXTS = {texts};", *parts, public, begun])
    # Several parts bring the same head; the page must take it once.
    return f"<script>if (!window.defect) (() => {{\n{body}\n}})();</script>"
