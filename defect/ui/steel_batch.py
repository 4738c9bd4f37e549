"""Many steel surfaces at once: progress → gallery with classes → table → CSV and ZIP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from defect import catalogue
from defect.batch import Unread, look_through
from defect.given import photos_of
from defect.images import thumbnail
from defect.overlay import draw_cam
from defect.report import NOT_READ, to_csv
from defect.report_files import About, Entry, ReportWriter
from defect.steel_report import (
    STEEL_COLUMNS,
    SteelRow,
    steel_entry_of,
    steel_row_of_error,
)
from defect.ui.batch_tab import batch_card, many_files, progress_card
from defect.ui.batch_work import MAX_FILES, TILE_SIDE
from defect.ui.download import download_path, write_download, write_jpeg
from defect.ui.photo_input import uploaded
from defect.weights import WeightsError

_TABLE = {
    "file": "File",
    "verdict": "Class",
    "confidence": "Confidence",
    "second": "Second",
    "margin": "Margin",
    "note": "Note",
}
PROMPT = "Add close-ups of steel, a folder or a ZIP, then press <b>Classify all</b>."
_TOLD_EVERY = 0.3


def steel_batch() -> None:
    """Builds the part inside the caller's tab."""
    with gr.Accordion("Many photos at once", open=False, elem_id="steel-batch"):
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                files, _ = many_files("steel-batch-")
                with gr.Row():
                    run = gr.Button("Classify all", variant="primary", elem_id="steel-batch-run")
                    stop = gr.Button("Stop", elem_id="steel-batch-stop", min_width=80)
            with gr.Column(scale=7, min_width=300):
                summary = gr.HTML(batch_card(PROMPT), elem_id="steel-batch-summary", padding=False)
                gallery = gr.Gallery(
                    label="Classes, the least sure first",
                    show_label=False,
                    columns=4,
                    height="auto",
                    interactive=False,
                    elem_id="steel-batch-gallery",
                    buttons=["download", "fullscreen"],
                )
                with gr.Row():
                    csv = gr.DownloadButton("Download CSV", interactive=False, size="sm")
                    report = gr.DownloadButton("Download ZIP", interactive=False, size="sm")
        table = gr.Dataframe(
            headers=list(_TABLE.values()),
            datatype=["str", "str", "number", "str", "number", "str"],
            interactive=False,
            wrap=True,
            column_widths=["220px", "140px", "120px", "140px", "100px", "340px"],
            elem_id="steel-batch-table",
            label="Table, the least sure first",
            max_height=420,
            buttons=[],
        )
    running = run.click(
        classify_all,
        files,
        [summary, gallery, table, csv, report],
        api_visibility="private",
        concurrency_limit=1,
        concurrency_id="batch",
        show_progress="hidden",
    )
    stop.click(
        lambda: batch_card(f"Stopped. {PROMPT}"),
        None,
        summary,
        cancels=[running],
        api_visibility="private",
        show_progress="hidden",
    )


def classify_all(paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
    """What the button runs: progress, then everything there is to show."""
    unchanged = (gr.skip(),) * 4
    try:
        photos, _ = photos_of([Path(uploaded(path)) for path in paths or []])
        if not photos:
            raise ValueError("There are no photos yet. Add some and try again.")
        if len(photos) > MAX_FILES:
            raise ValueError(f"{len(photos)} photos at once; at most {MAX_FILES} are taken.")
        classify = catalogue.classifier()
        yield progress_card(0, len(photos), "Classifying"), *unchanged
        target = download_path("steel.zip")
        rows: list[SteelRow] = []
        tiles: list[tuple[float, str, str]] = []
        told = time.monotonic()
        about = About("cnn", "neu", None, classify.source, STEEL_COLUMNS)
        with ReportWriter(target, about) as writer:
            for given, result in look_through(classify, photos):
                if isinstance(result, Unread):
                    entry = Entry(steel_row_of_error(given.name, result.error), given.name)
                else:
                    entry = steel_entry_of(result)
                    drawn = draw_cam(thumbnail(result.photo, TILE_SIDE), result.cam)
                    caption = (
                        f"{entry.row.verdict} · {100 * result.confidence:.0f} % · {result.name}"
                    )
                    tiles.append((entry.row.margin, write_jpeg("grad-cam", drawn), caption))
                rows.append(writer.add(entry))
                if time.monotonic() - told > _TOLD_EVERY:
                    yield progress_card(len(rows), len(photos), "Classifying"), *unchanged
                    told = time.monotonic()
    except (WeightsError, ValueError) as error:
        text = f"<b>Not classified.</b> {escape(str(error))}"
        yield batch_card(text, "problem"), None, [], *_downloads(None, None)
        return
    # What could not be read first, then what the network was least sure of.
    rows.sort(key=lambda row: -1 if row.margin is None else row.margin)
    yield (
        _summary(rows),
        [(path, caption) for _, path, caption in sorted(tiles)],
        [[getattr(row, name) for name in _TABLE] for row in rows],
        *_downloads(write_download("steel.csv", to_csv(rows, STEEL_COLUMNS)), str(target)),
    )


def _downloads(csv: str | None, report: str | None) -> tuple[gr.DownloadButton, gr.DownloadButton]:
    return (
        gr.DownloadButton(value=csv, interactive=csv is not None),
        gr.DownloadButton(value=report, interactive=report is not None),
    )


def _summary(rows: list[SteelRow]) -> str:
    counts = Counter(row.verdict for row in rows)
    unread = counts.pop(NOT_READ, 0)
    words = [f"{count} {escape(name)}" for name, count in counts.most_common()]
    if unread:
        words.append(f'<span class="problem">{unread} not read</span>, the table says why')
    return batch_card(f'<div class="counts">{" · ".join(words)}</div>')
