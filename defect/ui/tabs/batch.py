"""The Batch tab: many photos of one category through one detector."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.inspection import DEFAULT_THRESHOLD
from defect.reports.rows import DEFECTIVE, NORMAL, NOT_READ
from defect.ui import payload
from defect.ui.batches import Batch, Task, inspection_task
from defect.ui.i18n import Localised, translate
from defect.ui.sessions import find_detector
from defect.ui.tabs.batch_page import (
    BatchView,
    Choice,
    Column,
    batch_notes,
    batch_page,
    summary_html,
    unreadable_count,
)
from defect.ui.tabs.picker import cost_text, model_of, picker

_VERDICTS = {DEFECTIVE: "row_defective", NORMAL: "row_normal", NOT_READ: "row_not_read"}


def batch_tab() -> Localised:
    """Builds the tab inside the caller's `gr.Tab`."""

    def choose() -> Choice:
        category, model, localised = picker(catalogue.default_category(), "batch-")
        return Choice([model, category], [category.input, model.input], localised)

    def start(model: str, category: str, threshold: float) -> Task:
        return inspection_task(find_detector(model, category), threshold)

    def examples(model: str, category: str) -> list[str]:
        paths = [str(example.path) for example in catalogue.categories()[category].examples]
        if not paths:
            raise gr.Error(
                translate("batch_no_examples_why", category=category),
                title=translate("batch_no_examples"),
            )
        return paths

    def cost(model: str, category: str, threshold: float) -> str:
        # The picker may go to another model of the category; the browser may not know yet.
        model = model_of(catalogue.categories()[category], model)
        return cost_text(model, category, threshold)

    return batch_page(
        "batch-",
        inspections_view("batch_prompt"),
        start,
        choose=choose,
        examples=examples,
        cost=cost,
    )


def inspections_view(prompt: str) -> BatchView:
    """The page of a batch of inspections.

    Args:
        prompt: key of what the page says before there is a batch.
    """
    return BatchView(
        columns=(
            Column("file", "head_file", 220, number=False),
            Column("verdict", "head_verdict", 110, number=False, show=_verdict),
            Column("score", "head_score", 90),
            Column("threshold", "head_threshold", 110),
            Column("regions", "head_regions", 100),
            Column("area_percent", "head_marked", 110),
            Column("thesis_score", "head_thesis_score", 130),
            Column("note", "head_note", 340, number=False),
        ),
        caption=lambda row: f"{row.score:.2f} · {_verdict(row.verdict)} · {row.file}",
        summary=_summary,
        prompt=prompt,
        run="batch_inspect_all",
        verb="progress_inspecting",
        failed="batch_failed",
        gallery="batch_gallery",
        table="batch_table",
    )


def _verdict(verdict: str) -> str:
    return translate(_VERDICTS[verdict])


def _summary(batch: Batch) -> str:
    about = batch.about
    threshold = about.threshold or DEFAULT_THRESHOLD
    scores: dict[str, Any] = {
        "found_normal": [result.score for result in batch.results if not result.defective],
        "found_defective": [result.score for result in batch.results if result.defective],
    }
    counts = [
        _count("bad", "count_defective", len(scores["found_defective"])),
        _count("good", "count_normal", len(scores["found_normal"])),
        *unreadable_count(batch),
    ]
    about_text = translate(
        "batch_summary",
        model=about.model.upper(),
        category=escape(about.category),
        threshold=f"{threshold:.2f}",
    )
    notes = [about_text, *batch_notes(batch)]
    return summary_html(counts, notes) + payload.histogram(scores, threshold)


def _count(kind: str, text: str, count: int) -> str:
    return f'<span class="{kind}">{translate(text, count=count)}</span>'
