"""A small Gradio app behind this app's limits, so that they are tested in seconds."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
import httpx

from defect.inspection import Message
from defect.ui.gradio_private import server as gradio_server
from defect.ui.visitors import Visitors
from tests.conftest import free_port

API = "/gradio_api"
LEFT: list[str | None] = []
"""Sessions whose unload ran."""
CLOSED = threading.Event()
"""A generator was closed, or a long function was ended."""
GATE = threading.Event()
"""What `wait` waits for."""
SERVED: list[str] = []
"""What `wait` was called with, in order."""


def tiny_demo() -> gr.Blocks:
    """One function for each thing that can go wrong."""

    def stream() -> Iterator[int]:
        try:
            for i in range(1000):
                time.sleep(0.05)
                yield i
        finally:
            CLOSED.set()

    def work() -> str:
        try:
            for _ in gradio_server.while_wanted(range(1000)):
                time.sleep(0.05)
        finally:
            CLOSED.set()
        return "done"

    def wait(name: str) -> str:
        SERVED.append(name)
        GATE.wait(30)
        return name

    def fail(kind: str) -> str:
        if kind == "message":
            raise ValueError(Message("a_key", "The {what} is unreadable.", what="photo"))
        if kind == "gradio":
            raise gr.Error("Choose another photo.")
        if kind == "empty":
            raise gr.Error("")
        if kind == "disk":
            raise ValueError("not saved") from OSError(28, "No space left on device")
        if kind == "memory":
            raise MemoryError
        raise RuntimeError(f"/root/secret {kind}")

    def count(state: int) -> tuple[int, int]:
        return state + 1, state + 1

    def left(request: gr.Request) -> None:
        LEFT.append(request.session_hash)

    with gr.Blocks() as demo:
        text, number, state = gr.Textbox(), gr.Number(), gr.State(0)
        button = gr.Button()
        button.click(lambda: "ok", None, text, api_name="health")
        button.click(stream, None, number, api_name="stream", concurrency_id="batch")
        button.click(work, None, text, api_name="work", concurrency_limit=1)
        button.click(wait, text, text, api_name="wait", concurrency_limit=1)
        button.click(fail, text, text, api_name="fail")
        button.click(lambda x: x, number, number, api_name="number")
        button.click(count, state, [number, state], api_name="count")
        button.click(lambda files: len(files or []), gr.File(file_count="multiple"), number,
                     api_name="files")  # fmt: skip
        button.click(lambda: "private", None, text, api_name="secret", api_visibility="private")
        demo.unload(left)
    return demo


@contextmanager
def serving(capacity: int = 500) -> Iterator[tuple[str, gr.Blocks, Visitors]]:
    """The small app on a port of its own."""
    demo, visitors = tiny_demo(), Visitors()
    demo.queue(max_size=64, default_concurrency_limit=4)
    options = gradio_server.protect(demo, visitors=visitors)
    _, url, _ = demo.launch(
        server_port=free_port(),
        prevent_thread_lock=True,
        quiet=True,
        state_session_capacity=capacity,
        ssr_mode=False,
        **options,
    )
    try:
        yield url.rstrip("/"), demo, visitors
    finally:
        GATE.set()
        demo.close(verbose=False)


def index_of(demo: gr.Blocks, name: str) -> int:
    """The function's index."""
    return next(i for i, fn in demo.fns.items() if fn.api_name == name)


def call(client: httpx.Client, name: str, data: list[Any]) -> tuple[str, Any]:
    """Calls an endpoint as the README's curl example does; returns the last event and its data."""
    posted = client.post(f"{API}/call/{name}", json={"data": data})
    if posted.status_code != 200:
        return str(posted.status_code), posted.json()["detail"]
    answer = client.get(f"{API}/call/{name}/{posted.json()['event_id']}").text
    events = [part.split("\n") for part in answer.strip().split("\n\n")]
    name, value = events[-1][0], events[-1][1]
    return name.removeprefix("event: "), json.loads(value.removeprefix("data: "))


def until(condition: Any, seconds: float = 15.0) -> bool:
    """Waits until the condition holds; returns whether it does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
