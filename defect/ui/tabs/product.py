"""The tab "Your product": good photos in, a detector of one's own out, used right there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from defect.detectors.cache import held_bytes
from defect.detectors.stream import Unreadable, inspect_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.overlay import draw_overlay
from defect.imaging.photo import ImageError, thumbnail
from defect.inspection import DEFAULT_THRESHOLD, Inspection, check_threshold
from defect.networks.autoencoders import MEMORY
from defect.reports.rows import DEFECTIVE, Row, row_of, row_of_error, to_csv
from defect.training.teaching import MAX_PHOTOS, Product, load_taught_file
from defect.ui.downloads import write_download
from defect.ui.greeting import Localised
from defect.ui.i18n import label, translate, translate_message
from defect.ui.sessions import BoundedStore
from defect.ui.tabs import product_html as words
from defect.ui.tabs.batch import verdict_word
from defect.ui.taught_detectors import GONE, PRODUCTS
from defect.ui.uploads import photo_input, uploaded
from defect.weights.files import WeightsError
from defect.weights.hub import APP_WAIT

MOST_BATCH = 100
TILE_SIDE = 256
_LOOKS: BoundedStore[Inspection] = BoundedStore(64, budget=64e6, weight=held_bytes)
"""Results the slider may still ask: up to 3.4 MB each."""


def product_tab(demo: gr.Blocks) -> Localised:
    """Builds the tab inside the caller's `gr.Tab`; `demo` tells when a visitor leaves."""
    key = gr.State(None, time_to_live=3600, delete_callback=PRODUCTS.forget)
    looked = gr.State(None)
    gr.HTML(words.STYLE, padding=False)
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
                teach = gr.Button(
                    label("product_teach"), variant="primary", elem_id="product-teach"
                )
                load = gr.UploadButton(
                    label("product_load"), file_types=[".safetensors"], elem_id="product-load"
                )
            card = gr.HTML(words.untaught(), elem_id="product-card", padding=False)
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
            verdict = gr.HTML(elem_id="product-verdict", padding=False)
            overlay = gr.Image(
                label=label("view_overlay"),
                format="jpeg",
                interactive=False,
                height=360,
                elem_id="product-overlay",
                buttons=["download", "fullscreen"],
                alt_text=translate("product_overlay_alt"),
            )
            threshold = gr.Slider(
                0.3,
                3.0,
                DEFAULT_THRESHOLD,
                step=0.01,
                label=label("threshold"),
                elem_id="product-threshold",
            )
            with gr.Accordion(label("many_photos"), open=False):
                many = gr.File(
                    label=label("product_many", most=MOST_BATCH),
                    file_count="multiple",
                    height=140,
                    elem_id="product-many",
                )
                run = gr.Button(label("batch_inspect_all"), elem_id="product-run")
                summary = gr.Markdown(elem_id="product-summary")
                gallery = gr.Gallery(
                    show_label=False,
                    columns=4,
                    height="auto",
                    format="jpeg",
                    object_fit="contain",
                    interactive=False,
                    elem_id="product-gallery",
                    buttons=["download", "fullscreen"],
                )
                table = gr.DownloadButton(
                    label("download_csv"), interactive=False, size="sm", elem_id="product-csv"
                )

    shown = [key, card, leave_out, again, download, verdict, overlay, looked]

    def learn(
        paths: list[str] | None,
        name: str,
        old: str | None,
        without: list[str] | None,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio asks for it
    ) -> tuple[Any, ...]:
        try:
            product = teach(
                [uploaded(path) for path in paths or []],
                name,
                without=without or [],
                wait=APP_WAIT,
                report_progress=lambda done, total: progress(
                    (done, total),
                    desc=translate("product_teaching"),
                    unit=translate("product_views"),
                ),
            )
        except (WeightsError, ValueError) as error:
            return _untaught(words.problem(str(error)))
        PRODUCTS.forget(old)
        return _show(product, PRODUCTS.put(product, request.session_hash))

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
            return (gr.skip(),) * len(shown)
        try:
            product = load_taught_file(uploaded(path), wait=APP_WAIT)
        except WeightsError as error:
            return _untaught(words.problem(str(error)))
        PRODUCTS.forget(old)
        return _show(product, PRODUCTS.put(product, request.session_hash))

    def look(path: str | None, key: str | None, limit: float) -> tuple[Any, ...]:
        if path is None:
            return "", None, None
        try:
            inspection = inspect_taught(key, path, limit)
        except (ImageError, WeightsError) as error:
            return words.problem(str(error)), None, None
        return words.verdict(inspection), _overlay(inspection), _LOOKS.put(inspection)

    def judge(looked: str | None, limit: float) -> tuple[Any, ...]:
        inspection = _LOOKS.get(looked)
        if inspection is None:
            return gr.skip(), gr.skip()
        inspection = inspection.at(limit)
        return words.verdict(inspection), _overlay(inspection)

    def look_at_many(
        paths: list[str] | None,
        key: str | None,
        limit: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008  # how Gradio asks for it
    ) -> tuple[Any, ...]:
        try:
            rows, tiles = inspect_many(
                [uploaded(path) for path in paths or []],
                key,
                limit,
                lambda done, total: progress(
                    (done, total),
                    desc=translate("progress_inspecting"),
                    unit=translate("progress_photos"),
                ),
            )
        except (WeightsError, ValueError) as error:
            text = translate("product_not_inspected", why=translate_message(str(error)))
            return text, None, gr.DownloadButton(interactive=False)
        count = sum(row.verdict == DEFECTIVE for row in rows)
        text = translate("product_count", count=count, total=len(tiles))
        if len(rows) > len(tiles):
            text += translate("product_unread", count=len(rows) - len(tiles))
        csv = write_download("inspection.csv", to_csv(rows))
        return text, tiles, gr.DownloadButton(value=csv, interactive=True)

    heavy: dict[str, Any] = {
        "api_visibility": "private",
        "concurrency_limit": 1,
        "concurrency_id": "teach",
        "show_progress_on": card,
    }
    quick: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    looking: dict[str, Any] = {
        "fn": look,
        "inputs": [photo, key, threshold],
        "outputs": [verdict, overlay, looked],
        "api_visibility": "private",
        "show_progress": "minimal",
        "concurrency_limit": 2,
        "concurrency_id": "network",
    }
    photo.change(**looking)
    # A photo that is already there is judged by the new detector.
    teach.click(learn_anew, [files, name, key], shown, **heavy).then(**looking)
    again.click(learn, [files, name, key, leave_out], shown, **heavy).then(**looking)
    load.upload(restore, [load, key], shown, **heavy).then(**looking)
    gr.on(
        [threshold.input, threshold.release],
        judge,
        [looked, threshold],
        [verdict, overlay],
        trigger_mode="always_last",
        **quick,
    )
    run.click(
        look_at_many,
        [many, key, threshold],
        [summary, gallery, table],
        api_visibility="private",
        concurrency_limit=1,
        concurrency_id="batch",
    )
    demo.unload(_left)
    return {
        card: words.untaught,
        overlay: lambda: gr.Image(alt_text=translate("product_overlay_alt")),
    }


def inspect_taught(key: str | None, photo: Any, limit: float = DEFAULT_THRESHOLD) -> Inspection:
    """Inspects one photo with the detector of a key.

    Raises:
        WeightsError: there is no such detector (any more).
        ImageError: the photo cannot be used.
        ValueError: a senseless limit.
    """
    check_threshold(limit)
    return _product(key).inspector(photo).at(limit)


def inspect_many(
    paths: Sequence[str],
    key: str | None,
    limit: float,
    report_progress: Any = lambda done, total: None,
) -> tuple[list[Row], list[tuple[np.ndarray, str]]]:
    """(rows, tiles with captions), highest score first; a photo that cannot be read is a row.

    Raises:
        WeightsError: there is no such detector (any more).
        ValueError: no photos, too many, or a senseless limit.
    """
    if not paths:
        raise ValueError("There are no photos yet. Add some and try again.")
    if len(paths) > MOST_BATCH:
        raise ValueError(f"{len(paths)} photos at once; at most {MOST_BATCH} are taken.")
    check_threshold(limit)
    product = _product(key)
    found: list[tuple[Row, np.ndarray]] = []
    unread: list[Row] = []
    photos = [PhotoFile(Path(path), Path(path).name) for path in paths]
    looked = inspect_stream(product.inspector, photos)
    for done, (given, result) in enumerate(looked, 1):
        if isinstance(result, Unreadable):
            unread.append(row_of_error(given.name, result.error, MEMORY, product.name))
        else:
            judged = result.at(limit)
            found.append((row_of(judged), _tile(judged)))
        report_progress(done, len(photos))
    found.sort(key=lambda pair: -(pair[0].score or 0))
    tiles = [
        (tile, f"{row.score:.2f} · {verdict_word(row.verdict)} · {row.file}") for row, tile in found
    ]
    return [row for row, _ in found] + unread, tiles


def _product(key: str | None) -> Product:
    product = PRODUCTS.get(key)
    if product is None:
        raise WeightsError(GONE if key else "Nothing is taught yet. Teach a detector first.")
    return product


def _left(request: gr.Request) -> None:
    PRODUCTS.forget_session(request.session_hash)


def _show(product: Product, key: str) -> tuple[Any, ...]:
    odd = [product.names[one.index] for one in product.odd]
    return (
        key,
        words.taught(product),
        gr.CheckboxGroup(odd, value=odd, visible=bool(odd)),
        gr.Button(visible=bool(odd)),
        gr.DownloadButton(
            value=write_download(f"{product.name}.safetensors", product.file), interactive=True
        ),
        "",
        None,
        None,
    )


def _untaught(text: str) -> tuple[Any, ...]:
    """A problem told; what was taught before stays."""
    return gr.skip(), text, *(gr.skip() for _ in range(6))


def _overlay(inspection: Inspection) -> np.ndarray:
    return draw_overlay(inspection.photo, inspection.anomaly_map, inspection.limit)


def _tile(inspection: Inspection) -> np.ndarray:
    small = thumbnail(inspection.photo, TILE_SIDE)
    return draw_overlay(small, inspection.anomaly_map, inspection.limit)
