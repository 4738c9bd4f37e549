"""The Batch tab: many photos → progress → gallery with verdicts → table → CSV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from defect import catalogue
from defect.images import ImageError, prepare, thumbnail
from defect.inspector import DEFAULT_LIMIT, Inspection, check_limit
from defect.overlay import draw_overlay
from defect.report import DEFECTIVE, NOT_READ, Row, row_of, row_of_error, to_csv
from defect.ui.cost_line import cost_line, tell_cost
from defect.ui.download import write_download
from defect.ui.kept import Kept
from defect.ui.photo_input import uploaded
from defect.ui.picker import picker
from defect.weights import WeightsError

MAX_FILES = 200
TILE_SIDE = 256
_CHUNK = 8
_TABLE = {
    "file": "File",
    "verdict": "Verdict",
    "score": "Score",
    "limit": "Threshold",
    "thesis_score": "Thesis score",
    "area_percent": "Marked %",
    "note": "Note",
}
"""Fields of a row worth a screen, and their headings."""
PROMPT = "Add photos of one category, then press **Inspect all**."


@dataclass(frozen=True)
class Batch:
    """The looks of a batch, small enough to keep while a visitor moves the threshold."""

    inspections: list[Inspection]
    """Highest score first."""
    unread: list[Row]

    def rows(self) -> list[Row]:
        """In the order of the inspections, what could not be read at the end."""
        return [row_of(inspection) for inspection in self.inspections] + self.unread

    def at(self, limit: float) -> Batch:
        return Batch([inspection.at(limit) for inspection in self.inspections], self.unread)


def inspect_files(
    paths: Sequence[str],
    model: str,
    category: str,
    limit: float,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Batch:
    """Inspects many files; one that cannot be read becomes a line, not a stop.

    Args:
        tell: called with (files done, files in all).

    Raises:
        WeightsError: no weights for the model and category.
        ValueError: no files, more than 200, or a senseless limit.
    """
    if not paths:
        raise ValueError("There are no photos yet. Add some and try again.")
    if len(paths) > MAX_FILES:
        raise ValueError(f"{len(paths)} photos at once; at most {MAX_FILES} are taken. Split them.")
    check_limit(limit)
    inspect = catalogue.inspector(model, category)
    inspections: list[Inspection] = []
    unread: list[Row] = []
    for start in range(0, len(paths), _CHUNK):
        photos = []
        for path in paths[start : start + _CHUNK]:
            try:
                photos.append(prepare(path))
            except ImageError as error:
                unread.append(row_of_error(Path(path).name, error, model, category))
        inspections += [_light(inspection.at(limit)) for inspection in inspect(photos)]
        tell(min(start + _CHUNK, len(paths)), len(paths))
    return Batch(sorted(inspections, key=lambda i: -i.score), unread)


_BATCHES: Kept[Batch] = Kept(8)


def batch_tab() -> None:
    """Builds the tab inside the caller's `gr.Tab`."""
    first = catalogue.default_category()
    held = gr.State(None)
    with gr.Row():
        with gr.Column(scale=4, min_width=300):
            category, model = picker(first, "batch-")
            files = gr.File(
                label=f"Photos (up to {MAX_FILES})",
                file_count="multiple",
                height=180,
                elem_id="batch-files",
            )
            with gr.Row():
                run = gr.Button("Inspect all", variant="primary", elem_id="batch-run")
                sample = gr.Button("Try the examples", elem_id="batch-sample")
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_LIMIT,
                step=0.01,
                elem_id="batch-threshold",
                label="Threshold (× normal limit)",
                info="Judges the whole batch anew when you let go.",
            )
            cost = cost_line(first.models[0], first.name, "batch-cost")
        with gr.Column(scale=7, min_width=300):
            summary = gr.Markdown(PROMPT, elem_id="batch-summary")
            gallery = gr.Gallery(
                label="Verdicts, highest score first",
                show_label=False,
                columns=4,
                height="auto",
                format="jpeg",
                object_fit="contain",
                interactive=False,
                elem_id="batch-gallery",
                buttons=["download", "fullscreen"],
            )
            download = gr.DownloadButton(
                "Download CSV", interactive=False, elem_id="batch-csv", size="sm"
            )
    table = gr.Dataframe(
        headers=list(_TABLE.values()),
        datatype=["str", "str", "number", "number", "number", "number", "str"],
        interactive=False,
        wrap=True,
        column_widths=["220px", "110px", "90px", "110px", "130px", "110px", "340px"],
        elem_id="batch-table",
        label="Table",
        max_height=420,
        buttons=[],
    )
    shown = [held, summary, gallery, table, download]

    def inspect_all(
        paths: list[str] | None,
        model: str,
        category: str,
        limit: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio asks for it
    ) -> tuple[Any, ...]:
        try:
            batch = inspect_files(
                [uploaded(path) for path in paths or []],
                model,
                category,
                limit,
                lambda done, total: progress((done, total), desc="Inspecting", unit="photos"),
            )
        except (WeightsError, ValueError) as error:
            return None, *_nothing(f"**Not inspected.** {error}")
        return _BATCHES.put(batch), *_show(batch)

    def judge(key: str | None, limit: float) -> tuple[Any, ...]:
        if key is None:
            return (gr.skip(),) * 4
        batch = _BATCHES.get(key)
        if batch is None:
            return _nothing("This batch is no longer kept. Press **Inspect all** again.")
        return _show(batch.at(limit))

    def take_examples(name: str) -> tuple[Any, ...]:
        examples = catalogue.categories()[name].examples
        if not examples:
            raise gr.Error(
                f'"{name}" has no examples of its own. Pick a rendered category, or add photos.',
                title="No examples",
            )
        return [str(example.path) for example in examples]  # type: ignore[return-value]  # one output

    inspection: dict[str, Any] = {
        "fn": inspect_all,
        "inputs": [files, model, category, threshold],
        "outputs": shown,
        "api_visibility": "private",
        "concurrency_limit": 1,
        "concurrency_id": "batch",
        "show_progress_on": gallery,
    }
    run.click(**inspection)
    taken = sample.click(take_examples, category, files, api_visibility="private")
    taken.success(**inspection)
    gr.on(
        [category.input, model.input],
        lambda: (None, *_nothing(PROMPT)),
        None,
        shown,
        api_visibility="private",
        show_progress="hidden",
    )
    tell_cost(cost, category, model, threshold)
    threshold.release(
        judge,
        [held, threshold],
        shown[1:],
        api_visibility="private",
        show_progress="hidden",
        trigger_mode="always_last",
        concurrency_limit=4,
    )


def table_of(rows: Sequence[Row]) -> list[list[Any]]:
    """The columns worth a screen."""
    return [[getattr(row, name) for name in _TABLE] for row in rows]


def write_csv(rows: Sequence[Row]) -> str:
    """Writes the rows as CSV for download; returns the path."""
    return write_download("inspection.csv", to_csv(rows))


def _nothing(text: str) -> tuple[Any, ...]:
    return text, None, [], gr.DownloadButton(value=None, interactive=False)


def _show(batch: Batch) -> tuple[Any, ...]:
    rows = batch.rows()
    tiles = [
        (_tile(inspection), f"{inspection.score:.2f} · {row.verdict} · {inspection.name}")
        for inspection, row in zip(batch.inspections, rows, strict=False)
    ]
    return (
        _summary(rows),
        tiles,
        table_of(rows),
        gr.DownloadButton(value=write_csv(rows), interactive=True),
    )


def _summary(rows: Sequence[Row]) -> str:
    count = sum(row.verdict == DEFECTIVE for row in rows)
    unread = sum(row.verdict == NOT_READ for row in rows)
    text = f"**{count} of {len(rows) - unread}** photos called defective"
    text += f" by {rows[0].model.upper()} for {rows[0].category}."
    if unread:
        text += f" {unread} could not be read; the table says why."
    return text


def _tile(inspection: Inspection) -> np.ndarray:
    """The overlay in a frame of the verdict's colour."""
    anomaly_map = inspection.anomaly_map.astype(np.float32)
    drawn = draw_overlay(inspection.photo, anomaly_map, inspection.limit)
    frame = np.empty((drawn.shape[0] + 12, drawn.shape[1] + 12, 3), np.uint8)
    frame[:] = (200, 30, 30) if inspection.defective else (21, 128, 61)
    frame[6:-6, 6:-6] = drawn
    return frame


def _light(inspection: Inspection) -> Inspection:
    """Without what a batch does not show: a batch of 200 stays near 70 MB."""
    empty = np.zeros((0, 0), np.float32)
    return replace(
        inspection,
        photo=thumbnail(inspection.photo, TILE_SIDE),
        anomaly_map=inspection.anomaly_map.astype(np.float16),
        error_map=empty,
        reconstruction=empty.astype(np.uint8),
    )
