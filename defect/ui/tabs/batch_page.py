"""The page of every batch: files → run or stop → summary → gallery → table → CSV and ZIP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from defect.detectors.stream import Unreadable
from defect.inspection import DEFAULT_THRESHOLD
from defect.ui.batches import (
    MAX_FILES,
    Batch,
    Task,
    run_batch,
    start_batch,
    tile,
    write_csv,
    write_zip,
)
from defect.ui.downloads import write_picture
from defect.ui.i18n import (
    Localised,
    label,
    translate,
    translate_error,
    translate_messages,
)
from defect.ui.sessions import BATCHES
from defect.ui.uploads import uploaded
from defect.weights.errors import WeightsError

_REPORT_EVERY = 0.3
"""Seconds between two reports of progress."""
_QUIET: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}


@dataclass(frozen=True)
class Column:
    """One of a batch's table: a field of its rows."""

    field: str
    heading: str
    """Key of its text."""
    width: int
    """Pixels."""
    number: bool = True
    show: Callable[[Any], Any] = lambda value: value


@dataclass(frozen=True)
class BatchView:
    """What the pages of different batches differ in; the strings are keys of texts."""

    columns: Sequence[Column]
    caption: Callable[[Any], str]
    """A row → what stands under its tile."""
    summary: Callable[[Batch], str]
    """The finished batch as HTML."""
    prompt: str
    run: str
    verb: str
    failed: str
    gallery: str
    table: str


@dataclass(frozen=True)
class Choice:
    """What a batch is run with, as components above its files."""

    inputs: Sequence[Component] = ()
    changes: Sequence[Any] = ()
    """Events upon which the old batch no longer fits."""
    localised: Localised | None = None


def batch_page(
    prefix: str,
    view: BatchView,
    start: Callable[..., Task],
    *,
    choose: Callable[[], Choice] = Choice,
    examples: Callable[..., list[str]] | None = None,
    cost: Callable[..., str] | None = None,
) -> Localised:
    """Builds the page inside the caller's tab.

    Args:
        prefix: of the elements' ids.
        start: (the chosen inputs, the threshold) → what the photos are run through. Raises
            `WeightsError` or `ValueError` with what to show instead.
        choose: builds components above the files.
        examples: (the chosen inputs) → paths to try, through a button of their own.
        cost: (the chosen inputs, the threshold) → what the threshold costs; without it there is no
            threshold.
    """
    key = gr.State(None)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            choice = choose()
            files = _files(prefix)
            with gr.Row():
                run = gr.Button(label(view.run), variant="primary", elem_id=f"{prefix}run")
                stop = gr.Button(
                    label("batch_stop"), interactive=False, elem_id=f"{prefix}stop", min_width=80
                )
            if examples:
                sample = gr.Button(label("batch_examples"), size="sm", elem_id=f"{prefix}sample")
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_THRESHOLD,
                step=0.01,
                elem_id=f"{prefix}threshold",
                label=label("threshold"),
                info=label("batch_threshold_hint"),
                visible=cost is not None,
            )
            defaults = [getattr(component, "value", None) for component in choice.inputs]
            cost_text = (lambda: cost(*defaults, DEFAULT_THRESHOLD)) if cost else str
            cost_line = gr.Markdown(cost_text(), elem_id=f"{prefix}cost", elem_classes="hint")
        with gr.Column(scale=7, min_width=300):
            summary = gr.HTML(
                _prompt(view),
                elem_id=f"{prefix}summary",
                elem_classes="batch-summary",
                padding=False,
            )
            gallery = gr.Gallery(
                label=label(view.gallery),
                show_label=False,
                columns=4,
                height="auto",
                object_fit="contain",
                interactive=False,
                elem_id=f"{prefix}gallery",
                elem_classes="batch-gallery",
                buttons=["download", "fullscreen"],
            )
            with gr.Row():
                csv = gr.DownloadButton(
                    label("download_csv"), interactive=False, elem_id=f"{prefix}csv", size="sm"
                )
                make = gr.Button(
                    label("make_zip"), interactive=False, elem_id=f"{prefix}zip", size="sm"
                )
                ready = gr.DownloadButton(
                    label("download_zip"), visible=False, elem_id=f"{prefix}zip-ready", size="sm"
                )
    table = gr.Dataframe(
        headers=_headings(view),
        datatype=["number" if column.number else "str" for column in view.columns],
        interactive=False,
        wrap=True,
        column_widths=[f"{column.width}px" for column in view.columns],
        elem_id=f"{prefix}table",
        elem_classes="batch-table",
        label=label(view.table),
        max_height=420,
        buttons=[],
    )
    result = [summary, gallery, table, csv, make, ready]
    inputs = list(choice.inputs)

    def run_all(paths: list[str] | None, level: float, *chosen: Any) -> Iterator[tuple[Any, ...]]:
        try:
            task = start(*chosen, level)
            photos, started = start_batch([uploaded(path) for path in paths or []], task)
            new_key = BATCHES.put(started)
            yield new_key, *_running(view, started), gr.Button(interactive=True)
            reported = time.monotonic()
            for batch in run_batch(photos, started, task):
                BATCHES.put(batch, key=new_key)
                if time.monotonic() - reported > _REPORT_EVERY:
                    yield gr.skip(), *_running(view, batch), gr.skip()
                    reported = time.monotonic()
        except (WeightsError, ValueError) as error:
            text = translate(view.failed, why=escape(translate_error(error)))
            yield None, *_nothing(view, batch_card(text, "problem")), gr.Button(interactive=False)
            return
        yield new_key, *_show(view, batch), gr.Button(interactive=False)

    def judge(key: str | None, level: float) -> tuple[Any, ...]:
        if key is None:
            return (gr.skip(),) * len(result)
        batch = BATCHES.get(key)
        if batch is None:
            return _nothing(view, batch_card(translate("batch_gone")))
        return _show(view, batch.at(level))

    def stopped(key: str | None, level: float) -> tuple[Any, ...]:
        return *judge(key, level), gr.Button(interactive=False)

    def make_zip(key: str | None, level: float) -> tuple[Any, ...]:
        batch = BATCHES.get(key)
        if batch is None:
            raise gr.Error(translate("batch_gone_for_zip"), title=translate("batch_no_zip"))
        made = gr.DownloadButton(value=write_zip(batch.at(level)), visible=True)
        return gr.Button(visible=False), made

    running: dict[str, Any] = {
        "fn": run_all,
        "inputs": [files, threshold, *inputs],
        "outputs": [key, *result, stop],
        "concurrency_limit": 1,
        "concurrency_id": "batch",
        **_QUIET,
    }
    runs: list[Any] = [run.click(**running)]
    if examples:
        taken = sample.click(examples, inputs, files, api_visibility="private")
        runs.append(taken.success(**running))
    stop.click(stopped, [key, threshold], [*result, stop], cancels=runs, **_QUIET)
    make.click(
        make_zip,
        [key, threshold],
        [make, ready],
        api_visibility="private",
        concurrency_limit=1,
        concurrency_id="batch",
        show_progress_on=make,
    )
    if choice.changes:
        gr.on(
            choice.changes,
            lambda: (None, *_nothing(view, _prompt(view))),
            None,
            [key, *result],
            **_QUIET,
        )
    localised: Localised = {
        **(choice.localised or {}),
        summary: lambda: _prompt(view),
        table: lambda: _table(view, None),
    }
    if cost:
        gr.on(
            [threshold.input, threshold.release, *choice.changes],
            cost,
            [*inputs, threshold],
            cost_line,
            trigger_mode="always_last",
            **_QUIET,
        )
        threshold.release(
            judge,
            [key, threshold],
            result,
            trigger_mode="always_last",
            concurrency_limit=4,
            **_QUIET,
        )
        localised[cost_line] = cost_text
    return localised


def batch_card(text: str, kind: str = "") -> str:
    """The card over a batch's gallery; `text` is HTML."""
    return f'<div class="batch-card {kind}" role="status">{text}</div>'


def unreadable_count(batch: Batch) -> list[str]:
    """As HTML, how many photos could not be read; empty for none."""
    count = len(batch.unreadable)
    if not count:
        return []
    text = translate("count_unread", count=count)
    return [f'<span class="problem">{text}</span>{translate("table_says_why")}']


def batch_notes(batch: Batch) -> list[str]:
    """Sentences about a batch that was stopped or had files left out."""
    notes = []
    if batch.done < batch.total:
        notes.append(translate("batch_stopped", done=batch.done, total=batch.total))
    if batch.skipped:
        text = "batch_skipped_one" if batch.skipped == 1 else "batch_skipped"
        notes.append(translate(text, count=batch.skipped))
    return notes


def summary_html(counts: Sequence[str], notes: Sequence[str]) -> str:
    """Counts on one line, sentences under it; both are HTML."""
    lines = "".join(f'<div class="note">{note}</div>' for note in notes)
    return f'<div class="counts">{" · ".join(counts)}</div>{lines}'


def _files(prefix: str) -> gr.File:
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
    folder.upload(lambda new, old: (old or []) + list(new or []), [folder, files], files, **_QUIET)
    return files


def _headings(view: BatchView) -> list[str]:
    return [translate(column.heading) for column in view.columns]


def _table(view: BatchView, batch: Batch | None) -> dict[str, Any]:
    """The columns worth a screen; what could not be read comes first, so that it is seen."""
    lines = []
    if batch is not None:
        for result in (*batch.unreadable, *batch.results):
            row = batch.kind.row(result, batch.about)
            lines.append([_cell(column, row, result) for column in view.columns])
    return {"headers": _headings(view), "data": lines}


def _cell(column: Column, row: Any, result: Any) -> Any:
    if column.field != "note":
        return column.show(getattr(row, column.field))
    # A row's note is English text; the result still has the messages it was made of.
    if isinstance(result, Unreadable):
        return translate_error(result.error)
    return translate_messages(result.notes)


def _prompt(view: BatchView) -> str:
    return batch_card(translate(view.prompt))


def _running(view: BatchView, batch: Batch) -> tuple[Any, ...]:
    values = {"verb": translate(view.verb), "done": batch.done, "total": batch.total}
    card = batch_card(
        f"{translate('progress', **values)}<progress value={batch.done} max={batch.total} "
        f'aria-label="{translate("progress_label", **values)}"></progress>'
    )
    return card, *(gr.skip(),) * 5


def _nothing(view: BatchView, text: str) -> tuple[Any, ...]:
    off = gr.DownloadButton(value=None, interactive=False)
    return text, None, _table(view, None), off, *_no_zip(can_be_made=False)


def _show(view: BatchView, batch: Batch) -> tuple[Any, ...]:
    tiles = [
        (
            write_picture("overlay.jpg", tile(batch, item)),
            view.caption(batch.kind.row(item.result, batch.about)),
        )
        for item in batch.items
    ]
    return (
        batch_card(view.summary(batch)),
        tiles,
        _table(view, batch),
        gr.DownloadButton(value=write_csv(batch), interactive=batch.done > 0),
        *_no_zip(can_be_made=batch.done > 0),
    )


def _no_zip(can_be_made: bool) -> tuple[Any, ...]:
    return (
        gr.Button(visible=True, interactive=can_be_made),
        gr.DownloadButton(value=None, visible=False),
    )
