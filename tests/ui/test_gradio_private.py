"""Gradio's queue, sessions and errors under the app's limits, asked over HTTP by a stranger."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio import processing_utils

from defect.ui.gradio_private import server as gradio_server
from defect.ui.limits import FAILED
from defect.ui.visitors import Visitors
from tests.ui import servers
from tests.ui.servers import API, call, index_of, serving, until

Server = tuple[str, gr.Blocks, Visitors]
HEALTH = {"status": "ok"}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """The small app, for all tests of this file; forwarded addresses are trusted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEFECT_TRUST_FORWARDED", "1")
        patch.setattr(gradio_server, "_WATCH_SECONDS", 0.05)
        patch.setattr(gradio_server, "PAGE_WAIT", 0.3)
        with serving(capacity=20) as running:
            yield running


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    """A visitor of an address of its own."""
    with visitor(
        server, f"9.9.{time.monotonic_ns() // 256 % 256}.{time.monotonic_ns() % 256}"
    ) as own:
        yield own


def visitor(server: Server, address: str) -> httpx.Client:
    return httpx.Client(
        base_url=server[0], timeout=30, headers={"X-Forwarded-For": f"8.8.8.8, {address}"}
    )


class Page:
    """An open page: a heartbeat that runs until the page is closed."""

    def __init__(self, server: Server, session: str, address: str = "7.7.7.7") -> None:
        self.session, self.client = session, visitor(server, address)
        self._stream = self.client.stream("GET", f"{API}/heartbeat/{session}")
        next(self._stream.__enter__().iter_lines())

    def call(self, demo: gr.Blocks, name: str, data: list[Any]) -> httpx.Response:
        body = {"data": data, "fn_index": index_of(demo, name), "session_hash": self.session}
        return self.client.post(f"{API}/queue/join", json=body)

    def close(self) -> None:
        self._stream.__exit__(None, None, None)
        self.client.close()


# Health and introspection


def test_health_answers_outside_the_queue(server: Server, client: httpx.Client) -> None:
    _, demo, _ = server
    assert client.get("/health").json() == HEALTH
    demo._queue.max_size, held = 0, demo._queue.max_size
    try:
        assert client.get("/health").json() == HEALTH
    finally:
        demo._queue.max_size = held
    assert call(client, "health", []) == ("complete", ["ok"])


def test_nothing_tells_of_other_visitors(server: Server, client: httpx.Client) -> None:
    for path in ("/monitoring", "/monitoring/summary", f"{API}/queue/status", "/docs"):
        assert client.get(path).status_code == 404
    assert server[1].enable_monitoring is False
    call(client, "health", [])
    assert len(server[1]._queue.event_analytics) <= 1


# Functions


def test_only_these_functions_can_be_called_from_outside(server: Server) -> None:
    demo = server[1]
    assert gradio_server.public_functions(demo) - {"left"} == {
        "health", "stream", "work", "wait", "fail", "number", "count", "files",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["health", "number", "secret", "left", "_left"])
def test_no_function_is_called_past_the_queue(client: httpx.Client, name: str) -> None:
    servers.LEFT.clear()
    for door in ("run", "api"):
        for path in (f"{API}/{door}/{name}", f"{API}/{door}/{name}/", f"/{door}/{name}"):
            bodies: list[Any] = [{"data": []}, {"data": [1], "fn_index": 0, "session_hash": "x"}]
            for body in bodies:
                assert client.post(path, json=body).status_code == 404
    assert servers.LEFT == []


def test_private_functions_answer_an_open_page_only(server: Server, client: httpx.Client) -> None:
    _, demo, _ = server
    secret = index_of(demo, "secret")
    left = next(i for i, fn in demo.fns.items() if ("unload") in [t[1] for t in fn.targets])
    for path in ("call/secret", "call/v2/secret", f"call/{demo.fns[left].api_name}", "call/none"):
        answer = client.post(f"{API}/{path}", json={"data": []})
        assert answer.status_code == 404 or path.startswith("call/v2"), path
        assert answer.status_code != 200
    for index in (secret, left, 999, -1):
        body = {"data": [], "fn_index": index, "session_hash": "stranger"}
        assert client.post(f"{API}/queue/join", json=body).status_code == 404
    page = Page(server, "page-with-secret")
    try:
        assert page.call(demo, "secret", []).status_code == 200
        body = {"data": [], "fn_index": left, "session_hash": page.session}
        assert page.client.post(f"{API}/queue/join", json=body).status_code == 404
        # By its name, or with another session, not even now.
        assert client.post(f"{API}/call/secret", json={"data": []}).status_code == 404
    finally:
        page.close()


def test_a_page_s_first_event_may_overtake_its_heartbeat(server: Server) -> None:
    _, demo, visitors = server
    body = {"data": [], "fn_index": index_of(demo, "secret"), "session_hash": "overtaken"}
    with visitor(server, "7.7.1.1") as client, ThreadPoolExecutor(1) as thread:
        joined = thread.submit(client.post, f"{API}/queue/join", json=body)
        protected = visitors.page_opened("overtaken", "7.7.1.1")
        assert joined.result().status_code == 200
        visitors.page_closed("overtaken", "7.7.1.1", protected)


# Queue


def test_a_session_and_an_address_have_so_many_waiting(server: Server) -> None:
    """The others are told so at once, and another address is served next."""
    _, demo, _ = server
    servers.GATE.clear()
    servers.SERVED.clear()
    queue = demo._queue
    with visitor(server, "6.6.6.6") as hostile, visitor(server, "5.5.5.5") as guest:
        first = hostile.post(f"{API}/call/wait", json={"data": ["first"]})
        assert until(lambda: servers.SERVED == ["first"])
        statuses = [
            hostile.post(f"{API}/call/wait", json={"data": [f"{i}"]}).status_code for i in range(40)
        ]
        assert first.status_code == 200
        assert statuses.count(200) == gradio_server.MAX_WAITING_ADDRESS
        assert set(statuses) == {200, 429}
        refused = hostile.post(f"{API}/call/wait", json={"data": ["x"]})
        assert refused.json()["detail"] == gradio_server.QUEUE_FULL_ADDRESS
        # One session, from an address that has room.
        index = index_of(demo, "wait")
        body = {"data": ["s"], "fn_index": index, "session_hash": "one"}
        with visitor(server, "5.5.5.6") as other:
            statuses = [other.post(f"{API}/queue/join", json=body).status_code for _ in range(20)]
        assert statuses.count(200) == gradio_server.MAX_WAITING_SESSION
        assert guest.get("/health").json() == HEALTH
        assert call(guest, "health", []) == ("complete", ["ok"])
        posted = guest.post(f"{API}/call/wait", json={"data": ["guest"]})
        assert posted.status_code == 200
        servers.GATE.set()
        assert until(lambda: "guest" in servers.SERVED)
        assert servers.SERVED.index("guest") <= 3
    assert until(lambda: len(queue) == 0)


@pytest.mark.parametrize("name", ["stream", "work"])
def test_who_leaves_ends_the_job(server: Server, client: httpx.Client, name: str) -> None:
    """A generator is closed, and so is a long call of a program."""
    servers.CLOSED.clear()
    event = client.post(f"{API}/call/{name}", json={"data": []}).json()["event_id"]
    with client.stream("GET", f"{API}/call/{name}/{event}") as answer:
        if name == "stream":
            next(answer.iter_lines())
        else:
            assert until(lambda: any(server[1]._queue.active_jobs))
    assert servers.CLOSED.wait(10)
    assert until(lambda: not any(server[1]._queue.active_jobs))


def test_a_job_that_nobody_listens_to_is_ended(
    server: Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gradio_server, "UNHEARD_SECONDS", 0.3)
    servers.CLOSED.clear()
    client.post(f"{API}/call/work", json={"data": []})
    assert servers.CLOSED.wait(10)


@pytest.mark.parametrize("name", ["stream", "work"])
def test_a_job_has_a_time_budget(
    server: Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(gradio_server, "BUDGETS", {"batch": 0.4})
    monkeypatch.setattr(gradio_server, "BUDGET", 0.4)
    servers.CLOSED.clear()
    kind, answer = call(client, name, [])
    assert (kind, answer["error"]) == ("error", gradio_server.OUT_OF_TIME)
    assert servers.CLOSED.wait(10)


def test_answers_that_nobody_fetches_are_dropped(
    server: Server, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = server[1]._queue
    monkeypatch.setattr(gradio_server, "UNREAD_SECONDS", 0.1)
    for _ in range(10):
        assert client.post(f"{API}/call/health", json={"data": []}).status_code == 200
    assert until(lambda: not queue.pending_event_ids_session)
    assert until(lambda: not queue.pending_messages_per_session)
    monkeypatch.setattr(gradio_server, "UNREAD_SECONDS", 1000.0)
    monkeypatch.setattr(gradio_server, "MAX_UNREAD", 3)
    for _ in range(10):
        client.post(f"{API}/call/health", json={"data": []})
    assert until(lambda: len(queue.pending_event_ids_session) == 3)
    assert not queue.event_ids_to_events


# State


def test_five_hundred_calls_leave_an_open_page_s_state(
    server: Server, client: httpx.Client
) -> None:
    """Calls hold no state, and sessions without a page make room."""
    _, demo, _ = server
    holder: Any = demo.state_holder
    page = Page(server, "page-with-state")
    try:
        assert page.call(demo, "count", [None]).status_code == 200
        assert until(lambda: page.session in holder.session_data)
        kept = holder.session_data[page.session]
        before = len(holder.session_data)
        for _ in range(500):
            assert client.post(f"{API}/call/health", json={"data": []}).status_code == 200
        assert until(lambda: not demo._queue.event_ids_to_events)
        assert len(holder.session_data) == before
        assert len(holder._calls) <= 30
        for i in range(60):
            body = {"data": [], "fn_index": index_of(demo, "health"), "session_hash": f"s{i}"}
            assert client.post(f"{API}/queue/join", json=body).status_code == 200
        assert until(lambda: not demo._queue.event_ids_to_events)
        assert len(holder.session_data) <= holder.capacity
        assert holder.session_data[page.session] is kept
        assert list(kept.state_data.values()) == [1]
    finally:
        page.close()


def test_a_call_s_state_lasts_as_long_as_the_call(server: Server, client: httpx.Client) -> None:
    for data in ([], [None], [41]):
        assert call(client, "count", data) == ("complete", [1, None])


# Errors


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("message", "The photo is unreadable.", True),
        ("gradio", "Choose another photo.", True),
        ("empty", FAILED, True),
        ("disk", "The server's disk is full. Try again later.", True),
        ("memory", gradio_server.NO_MEMORY, True),
        ("bug", FAILED, False),
    ],
)
def test_every_error_is_a_sentence(
    client: httpx.Client,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    kind: str,
    text: str,
    expected: bool,
) -> None:
    with caplog.at_level(logging.WARNING, "defect.server"):
        event, answer = call(client, "fail", [kind])
    assert (event, answer["error"]) == ("error", text)
    assert "secret" not in str(answer)
    mine = [record for record in caplog.records if record.name == "defect.server"]
    assert len(mine) == 1
    assert (mine[0].exc_info is None) == expected
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("number", [{"a": 1}], id="an object"),
        pytest.param("number", [[1]], id="a list"),
        pytest.param("number", [], id="too few"),
        pytest.param("number", [10**400], id="400 digits"),
        pytest.param("number", [10**300], id="300 digits"),
        pytest.param("number", [1e300], id="1e300"),
        pytest.param("files", [["/etc/passwd"]], id="paths as text"),
        pytest.param("files", [[{"path": "/etc/passwd"}]], id="no meta"),
        pytest.param(
            "files",
            [[{"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}]],
            id="a path on the server",
        ),
        pytest.param(
            "files", [[{"path": None, "meta": {"_type": "gradio.FileData"}}]], id="no path"
        ),
        pytest.param("files", ["a" * 1000], id="text for files"),
        pytest.param("fail", [None], id="null for text"),
        pytest.param("fail", [7], id="a number for text"),
        pytest.param("files", [7], id="a number for files"),
    ],
)
def test_wrong_values_are_a_sentence(
    client: httpx.Client, capfd: pytest.CaptureFixture[str], name: str, data: list[Any]
) -> None:
    event, answer = call(client, name, data)
    named = gradio_server.WRONG_VALUE.format(name="x" if name == "number" else "kind")
    assert event == "error"
    assert answer["error"] in (gradio_server.WRONG_VALUES, gradio_server.PATH_REFUSED, named)
    assert (answer["error"] == named) == (name != "files" and data != [])
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"data": 1}', b"null", b'"text"', b"{"])
@pytest.mark.parametrize("path", ["call/number", "call/v2/number", "queue/join", "cancel"])
def test_wrong_bodies_are_a_sentence(client: httpx.Client, path: str, body: bytes) -> None:
    sent = {"Content-Type": "application/json"}
    answer = client.post(f"{API}/{path}", content=body, headers=sent)
    if answer.status_code == 200:
        assert path == "call/v2/number" or body == b"{}"
        return
    assert isinstance(answer.json()["detail"], str)
    assert " " in answer.json()["detail"]


def test_others_run_while_500_files_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """After every twenty files, whatever waits in the event loop has its turn."""
    pieces: list[int] = []

    async def check(data: Any, block: Any) -> Any:
        pieces.append(len(data))
        return data

    monkeypatch.setattr(processing_utils, "async_move_files_to_cache", check)
    gradio_server._let_others_run()
    turns = 0

    async def run() -> Any:
        async def tick() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        try:
            return await processing_utils.async_move_files_to_cache([0] * 500, None)  # type: ignore[arg-type]
        finally:
            ticking.cancel()

    # In a thread of its own: the browser tests leave a running loop in this one.
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(asyncio.run, run()).result() == [0] * 500
    assert pieces == [20] * 25
    assert turns >= 24


def test_what_takes_long_is_ended_outside_of_gradio_never() -> None:
    gradio_server.check_job()
    assert list(gradio_server.while_wanted(range(3))) == [0, 1, 2]
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(9)
        finally:
            closed.set()

    wanted = gradio_server.while_wanted(items())
    next(wanted)
    wanted.close()  # type: ignore[attr-defined]
    assert closed.is_set()


def test_the_same_photo_is_taken_once() -> None:
    one, two = f"/tmp/g/{'a' * 64}/x.png", f"/tmp/g/{'b' * 64}/x.png"
    again = f"/tmp/g/{'a' * 64}/y.png"
    assert gradio_server.distinct([one, again, two, *[one] * 300]) == [one, two]
    assert gradio_server.distinct(["/tmp/g/x/1", "/tmp/g/x/2", "/tmp/g/x/1"]) == [
        "/tmp/g/x/1",
        "/tmp/g/x/2",
    ]
