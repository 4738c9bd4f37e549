"""The server: many photos, two visitors, a full queue, what it keeps and for whom."""

from __future__ import annotations

import asyncio
import io
import platform
import re
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import numpy as np
import pandas as pd
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from defect.ui.gradio_private import page as gradio_page
from defect.ui.i18n import ENGLISH
from defect.ui.server import MAX_WAITING, configure_queue, launch_options
from tests.conftest import EXAMPLES, ROOT

CAP = EXAMPLES / "rendered_cap"


@pytest.mark.slow
def test_a_batch_of_200_with_10_broken_ones(app_url: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    with zipfile.ZipFile(tmp_path / "batch.zip", "w") as archive:
        for i in range(200):
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(stream, "PNG")
            data = stream.getvalue()
            archive.writestr(f"{i:03}.png", data[: len(data) // 3] if i % 20 == 7 else data)
    result, table, report = Client(app_url, verbose=False).predict(
        [handle_file(str(tmp_path / "batch.zip"))],
        "cae",
        "rendered_cap",
        1.0,
        api_name="/predict_batch",
    )
    counts = result["counts"]
    assert (counts["photos"], counts["not_read"]) == (200, 10)
    assert counts["defective"] + counts["normal"] == 190
    unread = [row for row in result["rows"] if row["verdict"] == "not read"]
    assert {row["file"] for row in unread} == {f"{i:03}.png" for i in range(7, 200, 20)}
    assert all("damaged" in row["note"] for row in unread)
    frame = pd.read_csv(table)
    assert len(frame) == 200
    assert frame["score"].notna().sum() == 190
    assert (frame["verdict"] == "defective").sum() == counts["defective"]
    with zipfile.ZipFile(report) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        inside = pd.read_csv(io.BytesIO(archive.read("report.csv")))
    assert sum(name.startswith("overlays/") for name in names) == 190
    assert sum(name.startswith("masks/") for name in names) == 190
    assert sorted(inside["overlay"].dropna()) == sorted(n for n in names if n.startswith("over"))
    assert (inside["verdict"].value_counts() == frame["verdict"].value_counts()).all()


def test_two_visitors_never_see_each_other_s_pictures(app_url: str, tmp_path: Path) -> None:
    """Each asks at the same time; each gets its own photo back, at an address nobody can guess."""
    colours = {"red": (220, 20, 20), "blue": (20, 20, 220)}
    addresses: list[str] = []

    def look(client: httpx.Client, colour: tuple[int, int, int]) -> bytes:
        stream = io.BytesIO()
        Image.new("RGB", (64, 64), colour).save(stream, "PNG")
        # The same file name from both.
        sent = {"files": ("photo.png", stream.getvalue())}
        photo = {"path": client.post("/upload", files=sent).json()[0]}
        photo["meta"] = {"_type": "gradio.FileData"}
        overlay = _call(client, "compare", [photo, "rendered_cap", 50.0, ""])[1][0]["image"]
        addresses.append(overlay["path"])
        return client.get(overlay["url"]).content

    def visit(colour: tuple[int, int, int]) -> list[bytes]:
        with httpx.Client(base_url=f"{app_url}/gradio_api", timeout=60) as client:
            return [look(client, colour) for _ in range(4)]

    alone = [visit(colour)[0] for colour in colours.values()]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(visit, colours.values()))
    assert alone[0] != alone[1]
    assert [set(seen) for seen in together] == [{picture} for picture in alone]
    assert len(set(addresses)) == len(addresses) == 16
    assert all(re.search(r"overlay-[\w-]{22}\.jpg$", address) for address in addresses)
    folder = addresses[0].rpartition("/")[0]
    for guess in (folder, f"{folder}/", f"{folder}/overlay-.jpg", f"{folder}/../../log.txt"):
        answer = httpx.get(f"{app_url}/gradio_api/file={guess}", timeout=20)
        assert answer.status_code in (403, 404)


def test_a_session_s_key_is_of_no_use_to_another(app_url: str) -> None:
    """What a tab keeps is asked for by a key that only the visitor's own session holds."""
    config = httpx.get(f"{app_url}/config", timeout=20).json()
    states = {part["id"] for part in config["components"] if part["type"] == "state"}
    keyed = [call for call in config["dependencies"] if states & set(call["inputs"])]
    judges = [call for call in keyed if call["api_name"].startswith("judge")]
    assert len(judges) == 2  # the Batch tab's and Your product's
    assert {call["api_visibility"] for call in keyed} == {"private"}
    described = httpx.get(f"{app_url}/gradio_api/info", timeout=20).json()["named_endpoints"]
    assert not [name for name in described if name.startswith("/judge")]


def test_health_answers_while_a_batch_runs(app_url: str) -> None:
    client = Client(app_url, verbose=False)
    photos = [handle_file(str(path)) for path in CAP.glob("*.jpg")] * 12
    running = client.submit(photos, "cae", "rendered_cap", 1.0, api_name="/predict_batch")
    with httpx.Client(base_url=f"{app_url}/gradio_api", timeout=30) as other:
        assert _call(other, "health", [])[0]["status"] == "ok"
    # How fast it answers is benchmarked; here it only must not wait for the batch.
    assert not running.done()
    assert running.result()[0]["counts"]["photos"] == len(photos)


def test_gradio_still_has_the_private_parts_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    gradio_page.check()
    monkeypatch.delattr("gradio.context.LocalContext.blocks")
    with pytest.raises(AssertionError, match="LocalContext holds no blocks"):
        gradio_page.check()


def test_a_session_holds_no_copy_of_the_app() -> None:
    from gradio import route_utils, state_holder

    with gr.Blocks() as demo:
        box, remembered = gr.Textbox("a"), gr.State(3)
    configure_queue(demo)
    for module in (state_holder, route_utils):
        session = module.SessionState(demo)
        assert session.config_values == {}
        assert session[remembered._id] == 3
        assert session[box._id] is box
        session[remembered._id] = 4
        assert (session[remembered._id], remembered.value) == (4, 3)


def test_threads_share_one_heap_where_the_library_is_glibc() -> None:
    code = "from defect.ui.runtime import configure_heap; print(configure_heap())"
    described = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert described.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


def test_the_page_is_not_rendered_by_node_whatever_the_host_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GRADIO_SSR_MODE", "true")
    with gr.Blocks() as demo:
        pass
    assert demo._resolve_ssr_mode(launch_options()["ssr_mode"]) is False


def test_a_full_queue_says_so() -> None:
    with gr.Blocks() as demo:
        gr.Button().click(lambda: None, None, None)
    queue = configure_queue(demo)._queue
    assert queue.max_size == MAX_WAITING
    queue.max_size = 0

    class Body:
        fn_index = 0

    async def push() -> Any:
        return await queue.push(Body(), None, None)  # type: ignore[arg-type]

    # In a thread of its own: the browser tests leave a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        described = thread.submit(asyncio.run, push()).result()
    assert described == (False, ENGLISH["queue_full"], "queue_full")


def _call(client: httpx.Client, name: str, data: list[Any]) -> Any:
    import json

    posted = client.post(f"/call/{name}", json={"data": data}).json()
    described = client.get(f"/call/{name}/{posted['event_id']}").text
    assert "event: complete" in described, described
    return json.loads(described.partition("event: complete\ndata: ")[2])


def test_wrong_uploads_in_a_batch_are_rows(app_url: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no photo")
    client = Client(app_url, verbose=False)
    sent = [handle_file(str(tmp_path / "notes.txt"))]
    result = client.predict(sent, "cae", "rendered_cap", 1.0, api_name="/predict_batch")[0]
    assert result["counts"]["not_read"] == 1
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as archive:
        archive.writestr("readme.txt", b"")
    sent = [handle_file(str(tmp_path / "none.zip"))]
    with pytest.raises(AppError, match="None of these files is a picture"):
        client.predict(sent, "cae", "rendered_cap", 1.0, api_name="/predict_batch")
