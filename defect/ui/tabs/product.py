"""The tab "Your product": good photos in, a detector of one's own out, used right there."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from defect.detectors.detector import Detector
from defect.detectors.memory.detector import TeachingReport
from defect.detectors.registry import load_file
from defect.training.memory import MAX_PHOTOS, false_alarm_odds, teach
from defect.ui import payload
from defect.ui.batches import Task, inspection_task
from defect.ui.downloads import write_detector
from defect.ui.gradio_private.server import check_job, distinct
from defect.ui.i18n import Localised, label, translate, translate_error, translate_message
from defect.ui.sessions import DETECTORS, find_detector
from defect.ui.static import page_part
from defect.ui.tabs.batch import inspections_view
from defect.ui.tabs.batch_page import Choice, batch_page
from defect.ui.tabs.picker import cost_text
from defect.ui.uploads import photo_input, uploaded
from defect.weights.errors import WeightsError
from defect.weights.hub import APP_WAIT

_MAX_LINES = 20
_ENOUGH_TO_COMPARE = 5


def product_tab(demo: gr.Blocks) -> Localised:
    """Builds the tab inside the caller's `gr.Tab`; `demo` reports when a visitor leaves."""
    key = gr.State(None, time_to_live=3600, delete_callback=DETECTORS.forget)
    gr.Markdown(label("product_intro"))
    with gr.Row():
        with gr.Column(scale=5, min_width=300):
            name = gr.Textbox(
                label=label("product_name"),
                value=label("product_name_value"),
                max_length=40,
                elem_id="product-name",
            )
            files = gr.File(
                label=label("product_files", most=MAX_PHOTOS),
                file_count="multiple",
                height=180,
                elem_id="product-files",
            )
            with gr.Row():
                run = gr.Button(label("product_teach"), variant="primary", elem_id="product-teach")
                load = gr.UploadButton(
                    label("product_load"), file_types=[".safetensors"], elem_id="product-load"
                )
            card = gr.HTML(_no_detector(), elem_id="product-card", padding=False)
            leave_out = gr.CheckboxGroup(
                label=label("product_leave_out"), visible=False, elem_id="product-leave-out"
            )
            again = gr.Button(label("product_again"), visible=False, elem_id="product-again")
            download = gr.DownloadButton(
                label("product_download"),
                interactive=False,
                size="sm",
                elem_id="product-download",
            )
            gr.Markdown(label("product_limits"), elem_classes="hint")
        with gr.Column(scale=6, min_width=300):
            photo = photo_input(
                label=label("product_photo"),
                sources=["upload", "clipboard"],
                height=240,
                elem_id="product-photo",
                buttons=["fullscreen"],
            )
            viewer = page_part("viewer", "product-viewer", "viewer", _waiting(None), "product-")
    with gr.Accordion(label("many_photos"), open=False, elem_id="product-batch"):
        localised = batch_page(
            "product-batch-",
            inspections_view("product_batch_prompt"),
            _start,
            choose=lambda: Choice([key], [key.change]),
            cost=lambda key, threshold: cost_text(key, "", threshold),
        )
    result = [key, card, leave_out, again, download]

    def learn(
        paths: list[str] | None,
        name: str,
        old: str | None,
        without: list[str] | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio asks for it
    ) -> tuple[Any, ...]:
        def report_progress(done: int, total: int) -> None:
            check_job()
            what, unit = translate("product_teaching"), translate("product_views")
            progress((done, total), desc=what, unit=unit)

        try:
            detector = teach(
                distinct([uploaded(path) for path in paths or []]),
                name,
                without=without or [],
                wait=APP_WAIT,
                report_progress=report_progress,
            )
        except (WeightsError, ValueError) as error:
            return _problem(translate_error(error))
        return _replace(old, detector, request, detector.teaching)

    def learn_anew(
        paths: list[str] | None,
        name: str,
        old: str | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio asks for it
    ) -> tuple[Any, ...]:
        return learn(paths, name, old, None, request, progress)

    def restore(path: str | None, old: str | None, request: gr.Request) -> tuple[Any, ...]:
        if path is None:
            return (gr.skip(),) * len(result)
        try:
            detector = load_file(Path(uploaded(path)), wait=APP_WAIT)
        except WeightsError as error:
            return _problem(translate_error(error))
        return _replace(old, detector, request, None)

    def inspect(path: str | None, key: str | None) -> dict[str, Any]:
        return _waiting(key) if path is None else payload.inspect_photo(path, key, "")

    heavy: dict[str, Any] = {
        "api_visibility": "private",
        "concurrency_limit": 1,
        "concurrency_id": "teach",
        "show_progress_on": card,
    }
    inspecting: dict[str, Any] = {
        "fn": inspect,
        "inputs": [photo, key],
        "outputs": viewer,
        "api_visibility": "private",
        "show_progress": "minimal",
        "concurrency_limit": 2,
        "concurrency_id": "network",
    }
    photo.change(**inspecting)
    # A photo that is already there is inspected by the new detector.
    run.click(learn_anew, [files, name, key], result, **heavy).then(**inspecting)
    again.click(learn, [files, name, key, leave_out], result, **heavy).then(**inspecting)
    load.upload(restore, [load, key], result, **heavy).then(**inspecting)
    demo.unload(_forget_visitor)
    return {card: _no_detector, **localised}


def _start(key: str | None, threshold: float) -> Task:
    return inspection_task(find_detector(key), threshold)


def _waiting(key: str | None) -> dict[str, Any]:
    return payload.waiting(key, "", "prompt_photo" if key else "prompt_teach")


def _forget_visitor(request: gr.Request) -> None:
    DETECTORS.forget_session(request.session_hash)


def _replace(
    old: str | None, detector: Detector, request: gr.Request, report: TeachingReport | None
) -> tuple[Any, ...]:
    """Keeps the new detector in the old one's place, and shows it."""
    DETECTORS.forget(old)
    key = DETECTORS.put(detector, request.session_hash)
    outliers = [outlier.photo for outlier in report.outliers] if report else []
    return (
        key,
        _detector_card(detector, report),
        gr.CheckboxGroup(outliers, value=outliers, visible=bool(outliers)),
        gr.Button(visible=bool(outliers)),
        gr.DownloadButton(value=write_detector(detector), interactive=True),
    )


def _problem(text: str) -> tuple[Any, ...]:
    """A problem reported; the detector that was there stays."""
    card = _card("problem", translate("product_failed"), text)
    return gr.skip(), card, *(gr.skip() for _ in range(3))


def _no_detector() -> str:
    return _card("", translate("product_empty"), translate("product_empty_why"))


def _detector_card(detector: Detector, report: TeachingReport | None) -> str:
    """What there is now, and what was noticed while it was taught."""
    photos = detector.metadata.training.images_fit
    head = translate(
        "product_learned" if report else "product_loaded",
        name=detector.category,
        seconds=f"{report.seconds if report else 0:.0f}",
        photos=translate("product_photos_one" if photos == 1 else "product_photos", count=photos),
    )
    forecast = translate("product_forecast", photos=false_alarm_odds(photos))
    if report is None:
        return _card("good", head, forecast)
    notes = [_note(translate_message(note)) for note in report.notes]
    if not report.outliers:
        if len(report.photos) >= _ENOUGH_TO_COMPARE:
            notes.insert(0, _note(translate("product_no_outliers")))
        return _card("good", head, forecast, "".join(notes))
    lines = [
        f"<b>{escape(outlier.photo)}</b> {escape(translate_message(outlier.reason))}"
        for outlier in report.outliers[:_MAX_LINES]
    ]
    if (more := len(report.outliers) - _MAX_LINES) > 0:
        lines.append(translate("product_more", count=more))
    listed = "".join(f"<li>{line}</li>" for line in lines)
    outliers = (
        f"<p><b>{translate('product_outliers')}</b></p><ul>{listed}</ul>"
        f"<p>{translate('product_outliers_why')}</p>"
    )
    return _card("problem", head, forecast, outliers + "".join(notes))


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _card(kind: str, word: str, text: str, rest: str = "") -> str:
    """A card; `rest` is HTML."""
    return (
        f'<div class="product-card {kind}"><b class="word">{escape(word)}</b>'
        f"<p>{escape(text)}</p>{rest}</div>"
    )
