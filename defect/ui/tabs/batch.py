"""The Batch tab: many photos → progress → gallery with verdicts → table → CSV and ZIP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.inspection import DEFAULT_THRESHOLD
from defect.reports.rows import DEFECTIVE, NORMAL, NOT_READ, Row
from defect.ui.batches import (
    MAX_FILES,
    Batch,
    counts,
    run_batch,
    start_batch,
    tile,
    write_csv,
    write_zip,
)
from defect.ui.downloads import write_picture
from defect.ui.greeting import Localised
from defect.ui.i18n import label, translate, translate_message
from defect.ui.score_histogram import score_histogram
from defect.ui.sessions import BoundedStore
from defect.ui.tabs.cost_line import cost_line, cost_text, update_cost
from defect.ui.tabs.picker import picker
from defect.ui.uploads import uploaded
from defect.weights.files import WeightsError

_TABLE = {
    "file": "head_file",
    "verdict": "head_verdict",
    "score": "head_score",
    "limit": "head_threshold",
    "regions": "head_regions",
    "area_percent": "head_marked",
    "thesis_score": "head_thesis_score",
    "note": "head_note",
}
"""Fields of a row worth a screen, and the texts of their headings."""
_TOLD_EVERY = 0.3
"""Seconds between two messages of progress."""
_BATCHES: BoundedStore[Batch] = BoundedStore(8, budget=170e6, weight=lambda batch: batch.size)
"""A batch of 200 takes 55 MB."""


def batch_tab() -> Localised:
    """Builds the tab inside the caller's `gr.Tab`."""
    first = catalogue.default_category()
    held = gr.State(None)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            category, model, localised = picker(first, "batch-")
            files, _ = many_files("batch-")
            with gr.Row():
                run = gr.Button(label("batch_inspect_all"), variant="primary", elem_id="batch-run")
                stop = gr.Button(
                    label("batch_stop"), interactive=False, elem_id="batch-stop", min_width=80
                )
            sample = gr.Button(label("batch_examples"), size="sm", elem_id="batch-sample")
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_THRESHOLD,
                step=0.01,
                elem_id="batch-threshold",
                label=label("threshold"),
                info=label("batch_threshold_hint"),
            )
            cost = cost_line(first.models[0], first.name, "batch-cost")
        with gr.Column(scale=7, min_width=300):
            summary = gr.HTML(_prompt(), elem_id="batch-summary", padding=False)
            gallery = gr.Gallery(
                label=label("batch_gallery"),
                show_label=False,
                columns=4,
                height="auto",
                object_fit="contain",
                interactive=False,
                elem_id="batch-gallery",
                buttons=["download", "fullscreen"],
            )
            with gr.Row():
                csv = gr.DownloadButton(
                    label("download_csv"), interactive=False, elem_id="batch-csv", size="sm"
                )
                make = gr.Button(
                    label("make_zip"), interactive=False, elem_id="batch-zip", size="sm"
                )
                ready = gr.DownloadButton(
                    label("download_zip"), visible=False, elem_id="batch-zip-ready", size="sm"
                )
    table = gr.Dataframe(
        headers=_lines([])["headers"],
        datatype=["str", "str", "number", "number", "number", "number", "number", "str"],
        interactive=False,
        wrap=True,
        column_widths=["220px", "110px", "90px", "110px", "100px", "110px", "130px", "340px"],
        elem_id="batch-table",
        label=label("batch_table"),
        max_height=420,
        buttons=[],
    )
    result = [summary, gallery, table, csv, make, ready]

    def inspect_all(
        paths: list[str] | None, model: str, category: str, limit: float
    ) -> Iterator[tuple[Any, ...]]:
        try:
            given = [uploaded(path) for path in paths or []]
            photos, started = start_batch(given, model, category, limit)
            key = _BATCHES.put(started)
            yield key, *_running(started), gr.Button(interactive=True)
            described = time.monotonic()
            for batch in run_batch(photos, started):
                _BATCHES.put(batch, key)
                if time.monotonic() - described > _TOLD_EVERY:
                    yield (gr.skip(), *_running(batch), gr.skip())
                    described = time.monotonic()
        except (WeightsError, ValueError) as error:
            text = translate("batch_not_inspected", why=escape(translate_message(str(error))))
            yield None, *_nothing(batch_card(text, "problem")), gr.Button(interactive=False)
            return
        yield key, *_show(batch), gr.Button(interactive=False)

    def judge(key: str | None, limit: float) -> tuple[Any, ...]:
        if key is None:
            return (gr.skip(),) * len(result)
        batch = _BATCHES.get(key)
        return (
            _nothing(batch_card(translate("batch_gone")))
            if batch is None
            else _show(batch.at(limit))
        )

    def stopped(key: str | None, limit: float) -> tuple[Any, ...]:
        return *judge(key, limit), gr.Button(interactive=False)

    def make_zip(key: str | None, limit: float) -> tuple[Any, ...]:
        batch = _BATCHES.get(key)
        if batch is None:
            raise gr.Error(translate("batch_gone_for_zip"), title=translate("batch_no_zip"))
        made = gr.DownloadButton(value=write_zip(batch.at(limit)), visible=True)
        return gr.Button(visible=False), made

    def take_examples(name: str) -> list[str]:
        examples = catalogue.categories()[name].examples
        if not examples:
            raise gr.Error(
                translate("batch_no_examples_why", category=name),
                title=translate("batch_no_examples"),
            )
        return [str(example.path) for example in examples]

    inspection: dict[str, Any] = {
        "fn": inspect_all,
        "inputs": [files, model, category, threshold],
        "outputs": [held, *result, stop],
        "api_visibility": "private",
        "concurrency_limit": 1,
        "concurrency_id": "batch",
        "show_progress": "hidden",
    }
    clicked = run.click(**inspection)
    taken = sample.click(take_examples, category, files, api_visibility="private")
    sampled = taken.success(**inspection)
    stop.click(
        stopped,
        [held, threshold],
        [*result, stop],
        cancels=[clicked, sampled],
        api_visibility="private",
        show_progress="hidden",
    )
    make.click(
        make_zip,
        [held, threshold],
        [make, ready],
        api_visibility="private",
        concurrency_limit=1,
        concurrency_id="batch",
        show_progress_on=make,
    )
    gr.on(
        [category.input, model.input],
        lambda: (None, *_nothing(_prompt())),
        None,
        [held, *result],
        api_visibility="private",
        show_progress="hidden",
    )
    update_cost(cost, category, model, threshold)
    threshold.release(
        judge,
        [held, threshold],
        result,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=4,
    )
    return {
        **localised,
        summary: _prompt,
        table: lambda: _lines([]),
        cost: lambda: cost_text(first.models[0], first.name, DEFAULT_THRESHOLD),
    }


def many_files(prefix: str) -> tuple[gr.File, gr.UploadButton]:
    """Files, archives, or a folder through its own button, all ending up in the file list."""
    files = gr.File(
        label=label("batch_files", most=MAX_FILES),
        file_count="multiple",
        height=180,
        elem_id=f"{prefix}files",
    )
    folder = gr.UploadButton(
        label("batch_folder"), file_count="directory", size="sm", elem_id=f"{prefix}folder"
    )
    folder.upload(
        lambda new, old: (old or []) + list(new or []),
        [folder, files],
        files,
        api_visibility="private",
        show_progress="hidden",
    )
    return files, folder


def table_of(rows: Sequence[Row]) -> list[list[Any]]:
    """The columns worth a screen; what could not be read comes first, so that it is seen."""
    ordered = sorted(rows, key=lambda row: row.verdict != NOT_READ)
    shown = {"verdict": verdict_word, "note": translate_message}
    return [
        [shown.get(name, lambda value: value)(getattr(row, name)) for name in _TABLE]
        for row in ordered
    ]


def verdict_word(verdict: str) -> str:
    """A row's verdict in the visitor's language."""
    return translate(
        {DEFECTIVE: "row_defective", NORMAL: "row_normal", NOT_READ: "row_not_read"}[verdict]
    )


def progress_card(done: int, total: int, verb: str = "progress_inspecting") -> str:
    """How far a batch is; `verb` is the text of what is done."""
    described = {"verb": translate(verb), "done": done, "total": total}
    return batch_card(
        f"{translate('progress', **described)}<progress value={done} max={total} "
        f'aria-label="{translate("progress_label", **described)}"></progress>'
    )


def unread_words(count: int) -> list[str]:
    """As HTML, that so many photos could not be read; empty for none."""
    if not count:
        return []
    text = translate("count_unread", count=count)
    return [f'<span class="problem">{text}</span>{translate("table_says_why")}']


def _prompt() -> str:
    return batch_card(translate("batch_prompt"))


def _lines(rows: Sequence[Row]) -> dict[str, Any]:
    return {"headers": [translate(head) for head in _TABLE.values()], "data": table_of(rows)}


def _running(batch: Batch) -> tuple[Any, ...]:
    return progress_card(batch.done, batch.total), *(gr.skip(),) * 5


def _nothing(text: str) -> tuple[Any, ...]:
    off = gr.DownloadButton(value=None, interactive=False)
    return text, None, _lines([]), off, *_no_zip_yet(False)


def _no_zip_yet(can_be_made: bool) -> tuple[Any, ...]:
    return (
        gr.Button(visible=True, interactive=can_be_made),
        gr.DownloadButton(value=None, visible=False),
    )


def _show(batch: Batch) -> tuple[Any, ...]:
    rows = batch.rows()
    tiles = [
        (
            write_picture("overlay.jpg", tile(look)),
            f"{row.score:.2f} · {verdict_word(row.verdict)} · {row.file}",
        )
        for look, row in zip(batch.looks, rows, strict=False)
    ]
    return (
        _summary(batch),
        tiles,
        _lines(rows),
        gr.DownloadButton(value=write_csv(batch), interactive=bool(rows)),
        *_no_zip_yet(bool(rows)),
    )


def _summary(batch: Batch) -> str:
    about = batch.about
    defective, normal, unread = counts(batch)
    words = [
        f'<span class="bad">{translate("count_defective", count=defective)}</span>',
        f'<span class="good">{translate("count_normal", count=normal)}</span>',
        *unread_words(unread),
    ]
    text = f'<div class="counts">{" · ".join(words)}</div>'
    notes = [
        translate(
            "batch_about",
            model=about.model.upper(),
            category=escape(about.category),
            limit=f"{about.threshold:.2f}",
        )
    ]
    if batch.done < batch.total:
        notes.append(translate("batch_stopped", done=batch.done, total=batch.total))
    if batch.skipped:
        key = "batch_skipped_one" if batch.skipped == 1 else "batch_skipped"
        notes.append(translate(key, count=batch.skipped))
    text += "".join(f'<div class="note">{note}</div>' for note in notes)
    scores = [inspection.score for inspection in batch.inspections]
    return batch_card(text + score_histogram(scores, about.threshold or DEFAULT_THRESHOLD))


def batch_card(text: str, kind: str = "") -> str:
    """The card over a batch's gallery; `text` is HTML."""
    return f'<div class="batch-card {kind}" role="status">{text}</div>'
