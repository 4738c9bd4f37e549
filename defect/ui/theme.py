"""How the app looks."""

from __future__ import annotations

from typing import Any

import gradio as gr

from defect.ui.i18n import LANGUAGES
from defect.ui.static import style_sheet

FONT = ["ui-sans-serif", "system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def build_theme() -> gr.themes.Base:
    """Quiet slate with one blue; red and green are kept for verdicts."""
    return gr.themes.Base(
        primary_hue="blue",
        secondary_hue="slate",
        neutral_hue="slate",
        radius_size="md",
        font=FONT,
        font_mono=MONO,
    ).set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_400",
        block_border_width="1px",
        block_label_background_fill="white",
        block_label_background_fill_dark="*neutral_900",
        block_label_border_width="0px",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_300",
        block_title_text_weight="600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        slider_color="*primary_600",
    )


def appearance() -> dict[str, Any]:
    """Theme, style sheet and languages, as `launch` takes them."""
    return {"theme": build_theme(), "css": style_sheet(), "i18n": LANGUAGES}
