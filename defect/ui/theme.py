"""How the app looks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from defect.ui.i18n import LANGUAGES

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
    drawn = Path(__file__).with_name("static") / "page.css"
    css = CSS + drawn.read_text(encoding="utf-8")
    return {"theme": build_theme(), "css": css, "i18n": LANGUAGES}


CSS = """
.gradio-container {width: 100%; max-width: 1240px !important; margin: 0 auto !important;}
#masthead h1 {font-size: 1.55rem; margin: .4rem 0 .1rem; letter-spacing: -.01em;}
#masthead p {margin: 0; color: var(--body-text-color-subdued);}

.verdict {border-radius: 10px; padding: 14px 16px; border: 1px solid var(--border-color-primary);
  border-left: 6px solid var(--v); background: color-mix(in srgb, var(--v) 8%, transparent);
  min-height: 118px;}
.verdict {--v: #64748b;}
.verdict.good {--v: #15803d;}
.verdict.bad {--v: #c81e1e;}
.verdict.problem {--v: #b45309;}
.dark .verdict {--v: #94a3b8;}
.dark .verdict.good {--v: #4ade80;}
.dark .verdict.bad {--v: #f87171;}
.dark .verdict.problem {--v: #fbbf24;}
.verdict .word {font-size: 1.45rem; font-weight: 700; color: var(--v); line-height: 1.2;}
.verdict .why {margin-top: 3px; color: var(--body-text-color);}
.verdict .note {margin-top: 4px; font-size: .86rem; color: var(--body-text-color-subdued);}

.gauge {position: relative; height: 10px; border-radius: 5px; margin: 16px 0 30px;
  background: color-mix(in srgb, var(--body-text-color) 14%, transparent);}
.gauge .fill {position: absolute; inset: 0 auto 0 0; border-radius: 5px; background: var(--v);}
.gauge .tick {position: absolute; top: -4px; bottom: -4px; width: 2px;
  background: var(--body-text-color);}
.gauge .tick span {position: absolute; top: 19px; transform: translateX(-50%); font-size: .74rem;
  white-space: nowrap; color: var(--body-text-color-subdued);}

.gauge .tick.first span {transform: none; left: 0;}
.gauge .tick.last span {transform: none; right: 0;}

.bars {display: grid; gap: 9px 10px; grid-template-columns: fit-content(13rem) 1fr max-content;}
.bars .row {display: grid; grid-template-columns: subgrid; grid-column: 1 / -1;
  align-items: center;}
.bars .track {height: 12px; border-radius: 6px;
  background: color-mix(in srgb, var(--body-text-color) 10%, transparent);}
.bars .track i {display: block; height: 100%; border-radius: 6px; min-width: 2px;
  background: var(--primary-500);}
.bars .row.top {font-weight: 700;}
.bars .row b {text-align: right; font-variant-numeric: tabular-nums; font-weight: inherit;}
.hint {color: var(--body-text-color-subdued); font-size: .9rem;}
.hint p {margin: 0;}

:root {--good: #15803d; --bad: #c81e1e;}
.dark {--good: #4ade80; --bad: #f87171;}
.figures {display: grid; gap: 20px 24px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr));}
.figures figure {margin: 0; min-width: 0; max-width: 520px;}
.figures svg {width: 100%; height: auto; display: block; overflow: visible;}
.figures svg * {stroke-linejoin: round; stroke-linecap: butt;}
.figures svg text {font-family: inherit !important; fill: currentColor;}
.figures figcaption, .absent, .numbers .interval {color: var(--body-text-color-subdued);
  font-size: .84rem;}
#results-detail h3, #results-steel h3, #results-thesis h3 {font-size: .95rem; font-weight: 600;
  margin: 14px 0 6px;}
.figures h3 {margin-top: 0 !important;}
.numbers {overflow-x: auto; max-width: 100%; border: 1px solid var(--border-color-primary);
  border-radius: 8px; background: var(--block-background-fill);}
.numbers table {border-collapse: collapse; width: 100%; border: 0 !important;
  margin: 0 !important; font-size: .86rem;
  font-variant-numeric: tabular-nums;}
.numbers table th, .numbers table td {padding: 5px 10px !important; text-align: right !important;
  white-space: nowrap; font-weight: 400; border: 0 !important; background: none !important;}
.numbers table thead th {color: var(--body-text-color-subdued); font-weight: 600;
  white-space: normal; word-break: keep-all; vertical-align: bottom;}
.numbers table .groups th {text-align: center !important; padding-bottom: 0 !important;}
.numbers table th:first-child {text-align: left !important; font-weight: 600; white-space: nowrap;}
.numbers table tr {border: 0 !important; background: none !important;}
.numbers table tbody tr {border-top: 1px solid var(--border-color-primary) !important;}
.numbers table .sum > * {font-weight: 700;}
.numbers .low {color: var(--bad);}
.figures .numbers table th, .figures .numbers table td {padding-inline: 7px !important;}
.figures .numbers table th:first-child {white-space: normal;}
#scorecard {max-width: 100%; overflow-x: auto;}
#scorecard th .cell-menu-button {display: flex; border: 0; background: none; width: 16px;
  min-width: 16px; margin: 0; right: 0; color: var(--body-text-color-subdued);}
#scorecard th .cell-wrap {padding-right: 15px;}
#scorecard th .header-content, #scorecard th .header-content * {text-align: left;
  justify-content: flex-start;}
#scorecard [role=gridcell] *, #scorecard th * {font-family: var(--font) !important;}
#scorecard [role=gridcell] {font-variant-numeric: tabular-nums;}
#results-rebuilt .grid-wrap {min-height: 0; height: auto !important; overflow: visible;}
#results-rebuilt .thumbnail-item {aspect-ratio: 520 / 256;}
footer button {color: var(--body-text-color-subdued) !important;}
gradio-app > .gradio-container, .gradio-container > .main, .gradio-container .main > .wrap,
.gradio-container main.contain {min-width: 0; max-width: 100%;}
.gradio-container .row > *, .gradio-container .column > *, .gradio-container .form > * {
  min-width: 0;}
#examples .grid-wrap, #steel-examples .grid-wrap, #batch-gallery .grid-wrap {min-height: 0;}
#examples .caption-label, #steel-examples .caption-label, #batch-gallery .caption-label {
  left: 0; right: 0; bottom: 0; max-width: 100%; border-radius: 0; text-align: center;
  white-space: normal; font-size: .74rem; line-height: 1.2; padding: 3px 4px;}
#batch-table {max-width: 100%; overflow-x: auto;}
#examples .grid-container, #steel-examples .grid-container {
  grid-template-columns: repeat(4, minmax(0, 1fr)) !important;}
#photo img, #steel-photo img, #steel-cam img {
  object-fit: contain !important; width: 100%; height: 100%;}
#steel-verdict, #steel-bars, .html-container {padding: 0 !important;}
@media (max-width: 640px) {
  .numbers table th, .numbers table td {padding-inline: 7px !important;}
  .main.fillable {padding: 12px !important;}
  #category, #model, #batch-category, #batch-model {
    flex: 1 1 100% !important; min-width: 100% !important;}
  #batch-gallery .grid-container {grid-template-columns: repeat(2, 1fr) !important;}
  .tab-container button {padding-inline: 9px !important;}
  #results-rebuilt .grid-container {grid-template-columns: repeat(2, minmax(0, 1fr)) !important;}
  .bars {grid-template-columns: fit-content(7.6rem) 1fr max-content;}
}
"""
