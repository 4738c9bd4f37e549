"""The Batch tab: many photos → progress → gallery with verdicts → table → CSV and ZIP."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from defect import catalogue
from defect.inspector import DEFAULT_LIMIT
from defect.report import NOT_READ, Row
from defect.ui.batch_work import (
    MAX_FILES,
    Batch,
    counts,
    run_batch,
    start_batch,
    tile,
    write_csv,
    write_zip,
)
from defect.ui.cost_line import cost_line, tell_cost
from defect.ui.download import write_picture
from defect.ui.kept import Kept
from defect.ui.photo_input import uploaded
from defect.ui.picker import picker
from defect.ui.score_histogram import score_histogram
from defect.weights import WeightsError

_TABLE = {
    "file": "File",
    "verdict": "Verdict",
    "score": "Score",
    "limit": "Threshold",
    "regions": "Regions",
    "area_percent": "Marked %",
    "thesis_score": "Thesis score",
    "note": "Note",
}
"""Fields of a row worth a screen, and their headings."""
PROMPT = "Add photos of one category, a folder or a ZIP, then press <b>Inspect all</b>."
_TOLD_EVERY = 0.3
"""Seconds between two messages of progress."""
_BATCHES: Kept[Batch] = Kept(8, budget=170e6, weight=lambda batch: batch.size)
"""A batch of 200 takes 55 MB."""
GONE = "This batch is no longer kept. Press <b>Inspect all</b> again."


def batch_tab() -> None:
    """Builds the tab inside the caller's `gr.Tab`."""
    first = catalogue.default_category()
    held = gr.State(None)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            category, model = picker(first, "batch-")
            files, _ = many_files("batch-")
            with gr.Row():
                run = gr.Button("Inspect all", variant="primary", elem_id="batch-run")
                stop = gr.Button("Stop", interactive=False, elem_id="batch-stop", min_width=80)
            sample = gr.Button("Try the examples", size="sm", elem_id="batch-sample")
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_LIMIT,
                step=0.01,
                elem_id="batch-threshold",
                label="Threshold (× normal limit)",
                info="Judges the whole batch anew when you let go; no network runs again.",
            )
            cost = cost_line(first.models[0], first.name, "batch-cost")
        with gr.Column(scale=7, min_width=300):
            summary = gr.HTML(batch_card(PROMPT), elem_id="batch-summary", padding=False)
            gallery = gr.Gallery(
                label="Verdicts, highest score first",
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
                    "Download CSV", interactive=False, elem_id="batch-csv", size="sm"
                )
                make = gr.Button("Make ZIP", interactive=False, elem_id="batch-zip", size="sm")
                ready = gr.DownloadButton(
                    "Download ZIP", visible=False, elem_id="batch-zip-ready", size="sm"
                )
    table = gr.Dataframe(
        headers=list(_TABLE.values()),
        datatype=["str", "str", "number", "number", "number", "number", "number", "str"],
        interactive=False,
        wrap=True,
        column_widths=["220px", "110px", "90px", "110px", "100px", "110px", "130px", "340px"],
        elem_id="batch-table",
        label="Table",
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
            told = time.monotonic()
            for batch in run_batch(photos, started):
                _BATCHES.put(batch, key)
                if time.monotonic() - told > _TOLD_EVERY:
                    yield (gr.skip(), *_running(batch), gr.skip())
                    told = time.monotonic()
        except (WeightsError, ValueError) as error:
            text = batch_card(f"<b>Not inspected.</b> {escape(str(error))}", "problem")
            yield None, *_nothing(text), gr.Button(interactive=False)
            return
        yield key, *_show(batch), gr.Button(interactive=False)

    def judge(key: str | None, limit: float) -> tuple[Any, ...]:
        if key is None:
            return (gr.skip(),) * len(result)
        batch = _BATCHES.get(key)
        return _nothing(batch_card(GONE)) if batch is None else _show(batch.at(limit))

    def stopped(key: str | None, limit: float) -> tuple[Any, ...]:
        return *judge(key, limit), gr.Button(interactive=False)

    def make_zip(key: str | None, limit: float) -> tuple[Any, ...]:
        batch = _BATCHES.get(key)
        if batch is None:
            raise gr.Error("This batch is no longer kept. Inspect it again.", title="No ZIP")
        made = gr.DownloadButton(value=write_zip(batch.at(limit)), visible=True)
        return gr.Button(visible=False), made

    def take_examples(name: str) -> list[str]:
        examples = catalogue.categories()[name].examples
        if not examples:
            raise gr.Error(
                f'"{name}" has no examples of its own. Pick a rendered category, or add photos.',
                title="No examples",
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
        lambda: (None, *_nothing(batch_card(PROMPT))),
        None,
        [held, *result],
        api_visibility="private",
        show_progress="hidden",
    )
    tell_cost(cost, category, model, threshold)
    threshold.release(
        judge,
        [held, threshold],
        result,
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=4,
    )


def many_files(prefix: str) -> tuple[gr.File, gr.UploadButton]:
    """Files, archives, or a folder through its own button, all ending up in the file list."""
    files = gr.File(
        label=f"Photos or a ZIP of them (up to {MAX_FILES})",
        file_count="multiple",
        height=180,
        elem_id=f"{prefix}files",
    )
    folder = gr.UploadButton(
        "Add a folder", file_count="directory", size="sm", elem_id=f"{prefix}folder"
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
    return [[getattr(row, name) for name in _TABLE] for row in ordered]


def progress_card(done: int, total: int, verb: str = "Inspecting") -> str:
    """How far a batch is."""
    return batch_card(
        f"{verb} … <b>{done} of {total}</b><progress value={done} max={total} "
        f'aria-label="{verb}: {done} of {total} photos"></progress>'
    )


def _running(batch: Batch) -> tuple[Any, ...]:
    return progress_card(batch.done, batch.total), *(gr.skip(),) * 5


def _nothing(text: str) -> tuple[Any, ...]:
    off = gr.DownloadButton(value=None, interactive=False)
    return text, None, [], off, *_no_zip_yet(False)


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
            f"{row.score:.2f} · {row.verdict} · {row.file}",
        )
        for look, row in zip(batch.looks, rows, strict=False)
    ]
    return (
        _summary(batch),
        tiles,
        table_of(rows),
        gr.DownloadButton(value=write_csv(batch), interactive=bool(rows)),
        *_no_zip_yet(bool(rows)),
    )


def _summary(batch: Batch) -> str:
    about = batch.about
    defective, normal, unread = counts(batch)
    words = [
        f'<span class="bad">{defective} defective</span>',
        f'<span class="good">{normal} normal</span>',
    ]
    if unread:
        words.append(f'<span class="problem">{unread} not read</span>, the table says why')
    text = f'<div class="counts">{" · ".join(words)}</div>'
    text += (
        f'<div class="note">{about.model.upper()} for {escape(about.category)}, threshold '
        f"{about.threshold:.2f} × the normal limit.</div>"
    )
    if batch.done < batch.total:
        text += f'<div class="note">Stopped after {batch.done} of {batch.total} photos.</div>'
    if batch.skipped:
        files = "file" if batch.skipped == 1 else "files"
        text += f'<div class="note">{batch.skipped} {files} skipped, not pictures by name.</div>'
    scores = [inspection.score for inspection in batch.inspections]
    return batch_card(text + score_histogram(scores, about.threshold or DEFAULT_LIMIT))


def batch_card(text: str, kind: str = "") -> str:
    """The card over a batch's gallery; `text` is HTML."""
    return f'<div class="batch-card {kind}" role="status">{text}</div>'
