"""Many steel surfaces at once: progress → gallery with classes → table → CSV and ZIP."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from defect.detectors import catalogue
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import find_photos
from defect.imaging.overlay import draw_cam
from defect.imaging.photo import thumbnail
from defect.reports.rows import NOT_READ, to_csv
from defect.reports.steel_rows import (
    STEEL_COLUMNS,
    UNKNOWN,
    SteelRow,
    steel_entry_of,
    steel_row_of_error,
)
from defect.reports.writer import About, Entry, ReportWriter
from defect.ui.batches import MAX_FILES, TILE_SIDE
from defect.ui.downloads import download_path, write_download, write_jpeg
from defect.ui.greeting import Localised
from defect.ui.i18n import label, name_of, translate, translate_message
from defect.ui.tabs.batch import batch_card, many_files, progress_card, unread_words
from defect.ui.uploads import uploaded
from defect.weights.errors import WeightsError

_TABLE = {
    "file": "head_file",
    "verdict": "head_class",
    "confidence": "head_confidence",
    "second": "head_second",
    "margin": "head_margin",
    "note": "head_note",
}
"""Fields of a row worth a screen, and the texts of their headings."""
_TOLD_EVERY = 0.3


def steel_batch() -> Localised:
    """Builds the part inside the caller's tab."""
    with gr.Accordion(label("many_photos"), open=False, elem_id="steel-batch"):
        with gr.Row():
            with gr.Column(scale=4, min_width=300):
                files, _ = many_files("steel-batch-")
                with gr.Row():
                    run = gr.Button(
                        label("steel_classify_all"), variant="primary", elem_id="steel-batch-run"
                    )
                    stop = gr.Button(label("batch_stop"), elem_id="steel-batch-stop", min_width=80)
            with gr.Column(scale=7, min_width=300):
                summary = gr.HTML(_prompt(), elem_id="steel-batch-summary", padding=False)
                gallery = gr.Gallery(
                    label=label("steel_gallery"),
                    show_label=False,
                    columns=4,
                    height="auto",
                    interactive=False,
                    elem_id="steel-batch-gallery",
                    buttons=["download", "fullscreen"],
                )
                with gr.Row():
                    csv = gr.DownloadButton(label("download_csv"), interactive=False, size="sm")
                    report = gr.DownloadButton(label("download_zip"), interactive=False, size="sm")
        table = gr.Dataframe(
            headers=_table([])["headers"],
            datatype=["str", "str", "number", "str", "number", "str"],
            interactive=False,
            wrap=True,
            column_widths=["220px", "140px", "120px", "140px", "100px", "340px"],
            elem_id="steel-batch-table",
            label=label("steel_table"),
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
        lambda: batch_card(translate("steel_stopped")),
        None,
        summary,
        cancels=[running],
        api_visibility="private",
        show_progress="hidden",
    )
    return {summary: _prompt, table: lambda: _table([])}


def classify_all(paths: list[str] | None) -> Iterator[tuple[Any, ...]]:
    """What the button runs: progress, then everything there is to show."""
    unchanged = (gr.skip(),) * 4
    try:
        photos, _ = find_photos([Path(uploaded(path)) for path in paths or []])
        if not photos:
            raise ValueError("There are no photos yet. Add some and try again.")
        if len(photos) > MAX_FILES:
            raise ValueError(f"{len(photos)} photos at once; at most {MAX_FILES} are taken.")
        classify = catalogue.classifier()
        yield progress_card(0, len(photos), "progress_classifying"), *unchanged
        target = download_path("steel.zip")
        rows: list[SteelRow] = []
        tiles: list[tuple[float, str, str]] = []
        described = time.monotonic()
        about = About("cnn", "neu", None, classify.source, STEEL_COLUMNS)
        with ReportWriter(target, about) as writer:
            for given, result in inspect_stream(classify, photos):
                if isinstance(result, Unreadable):
                    entry = Entry(steel_row_of_error(given.name, result.error), given.name)
                else:
                    entry = steel_entry_of(result)
                    drawn = draw_cam(thumbnail(result.photo, TILE_SIDE), result.cam)
                    caption = (
                        f"{_class(entry.row.verdict)} · {100 * result.confidence:.0f} % · "
                        f"{result.name}"
                    )
                    tiles.append((entry.row.margin, write_jpeg("grad-cam", drawn), caption))
                rows.append(writer.add(entry))
                if time.monotonic() - described > _TOLD_EVERY:
                    yield progress_card(len(rows), len(photos), "progress_classifying"), *unchanged
                    described = time.monotonic()
    except (WeightsError, ValueError) as error:
        text = translate("steel_not_classified", why=escape(translate_message(str(error))))
        yield batch_card(text, "problem"), None, _table([]), *_downloads(None, None)
        return
    # What could not be read first, then what the network was least sure of.
    rows.sort(key=lambda row: -1 if row.margin is None else row.margin)
    yield (
        _summary(rows),
        [(path, caption) for _, path, caption in sorted(tiles)],
        _table(rows),
        *_downloads(write_download("steel.csv", to_csv(rows, STEEL_COLUMNS)), str(target)),
    )


def _prompt() -> str:
    return batch_card(translate("steel_many_prompt"))


def _class(verdict: str) -> str:
    """A class, `unknown` or `not read`, as words."""
    words = {UNKNOWN: "row_unknown", NOT_READ: "row_not_read"}
    return translate(words[verdict]) if verdict in words else name_of(verdict)


def _table(rows: list[SteelRow]) -> dict[str, Any]:
    """The columns worth a screen, with their headings."""
    shown: dict[str, Callable[[Any], Any]] = {
        "verdict": _class,
        "second": name_of,
        "note": translate_message,
    }
    lines = [
        [shown.get(name, lambda value: value)(getattr(row, name)) for name in _TABLE]
        for row in rows
    ]
    return {"headers": [translate(head) for head in _TABLE.values()], "data": lines}


def _downloads(csv: str | None, report: str | None) -> tuple[gr.DownloadButton, gr.DownloadButton]:
    return (
        gr.DownloadButton(value=csv, interactive=csv is not None),
        gr.DownloadButton(value=report, interactive=report is not None),
    )


def _summary(rows: list[SteelRow]) -> str:
    counts = Counter(row.verdict for row in rows)
    unread = counts.pop(NOT_READ, 0)
    words = [
        translate("steel_count", count=count, name=escape(_class(name)))
        for name, count in counts.most_common()
    ]
    words += unread_words(unread)
    return batch_card(f'<div class="counts">{" · ".join(words)}</div>')
