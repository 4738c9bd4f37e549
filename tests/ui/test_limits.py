"""What a request may be: bodies, lists, depth, closed addresses, uploads, connections."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gradio.route_utils import GradioMultiPartParser
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException

from defect.ui import disk, limits
from defect.ui.visitors import StoreFull, Visitors, client_address, forwarding_is_trusted

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
CLIENT = "9.9.9.9"


class Reached(Exception):
    """The app behind the middleware was asked."""


def ask(
    app: Callable[..., Awaitable[None]],
    folder: Path,
    path: str,
    body: bytes = b"",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    messages: list[dict[str, Any]] | None = None,
    gate: limits.RequestLimits | None = None,
) -> tuple[int, str]:
    """One request through the middleware; messages that end are followed by silence."""
    gate = gate or limits.RequestLimits(app, limits.Options(disk.Space(folder)))
    waiting = messages or [{"type": "http.request", "body": body, "more_body": False}]
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    async def send(message: Any) -> None:
        answer.append(message)

    sent = {"content-length": str(len(body))} if messages is None else {}
    pairs = {**sent, **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
        "client": (CLIENT, 1),
    }
    # In a thread of its own: the browser tests keep a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, gate(scope, receive, send)).result()
    text = b"".join(message.get("body", b"") for message in answer[1:])
    return answer[0]["status"], text.decode()


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the length of the body it got."""
    length, more = 0, True
    while more:
        message = await receive()
        length += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(length).encode()})


async def never(scope: Any, receive: Any, send: Any) -> None:
    raise Reached


def sentence(text: str) -> str:
    """The answer's sentence, which is there twice: `detail` for the page, `error` for programs."""
    answer = json.loads(text)
    assert answer["detail"] == answer["error"]
    assert answer["detail"].endswith(".") and " " in answer["detail"]
    return str(answer["detail"])


def test_a_small_body_passes_unchanged(tmp_path: Path) -> None:
    body = json.dumps({"data": ["a"] * 500}).encode()
    assert ask(echo, tmp_path, JOIN, body) == (200, str(len(body)))
    parts = [
        {"type": "http.request", "body": body[:9], "more_body": True},
        {"type": "http.request", "body": body[9:], "more_body": False},
    ]
    assert ask(echo, tmp_path, JOIN, messages=parts) == (200, str(len(body)))


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        pytest.param(b'{"data":["' + b"a" * 150_000_000 + b'"]}', 413, "256 kB", id="150 MB"),
        pytest.param(json.dumps({"data": ["f"] * 20_000}).encode(), 413, "500", id="20,000 files"),
        pytest.param(
            json.dumps({"data": [{str(i): 0 for i in range(501)}]}).encode(),
            413,
            "500",
            id="object",
        ),
        pytest.param(b"[" * 40 + b"]" * 40, 400, "deep", id="40 deep"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, 400, "JSON", id="100,000 deep"),
        pytest.param(b'{"data": [1', 400, "JSON", id="cut"),
        pytest.param(b"\xff\xfe{}", 400, "JSON", id="no text"),
        pytest.param(b"1" * 5000, 400, "JSON", id="5,000 digits"),
    ],
)
def test_other_bodies_are_refused_before_the_app(
    tmp_path: Path, body: bytes, status: int, words: str
) -> None:
    found, text = ask(never, tmp_path, JOIN, body)
    assert found == status
    assert words in sentence(text)


def test_a_body_that_lies_about_its_length_is_cut_off(tmp_path: Path) -> None:
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": bytes(100_000), "more_body": True} for _ in range(100)
    ]
    status, _ = ask(never, tmp_path, JOIN, messages=parts, headers={"content-length": "10"})
    assert status == 413
    assert len(parts) == 97
    for length in ("-1", "1e9", "9" * 400, ""):
        refused = ask(never, tmp_path, JOIN, messages=[{}], headers={"content-length": length})
        assert refused[0] == 413


def test_a_body_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.2)
    parts = [{"type": "http.request", "body": b"{", "more_body": True}]
    status, text = ask(never, tmp_path, JOIN, messages=parts)
    assert (status, sentence(text)) == (408, limits.UPLOAD_STALLED)


CLOSED = [
    "/run/predict",
    "/api/predict",
    "/gradio_api/run/health",
    "/gradio_api/run/_left",
    "/gradio_api/api/predict/",
    "/gradio_api/component_server",
    "/gradio_api/stream/1",
    "/gradio_api/process_recording",
    "/gradio_api/vibe-edit",
    "/gradio_api/file=https://example.org/a",
    "/gradio_api/file=http:/example.org/a",
    "/gradio_api/proxy=https://example.org/a",
    "/gradio_api/queue/status",
    "/gradio_api/deep_link",
    "/gradio_api/dev/reload",
    "/gradio_api/profiling/summary",
    "/gradio_api/runs",
    "/gradio_api/run-history/records",
    "/gradio_api/token",
    "/monitoring",
    "/monitoring/summary",
    "/docs",
    "/openapi.json",
    "/login",
    "/anything",
]


@pytest.mark.parametrize("path", CLOSED)
def test_the_rest_of_gradio_is_closed(tmp_path: Path, path: str) -> None:
    for method in ("GET", "POST"):
        status, text = ask(never, tmp_path, path, method=method)
        assert (status, sentence(text)) == (404, limits.CLOSED)


def test_every_route_of_this_gradio_is_open_or_closed_on_purpose() -> None:
    """A new version's new routes are closed, and listed here before they are opened."""
    from gradio.routes import App

    from tests.ui.servers import tiny_demo

    def paths(routes: Any) -> set[str]:
        found: set[str] = set()
        for route in routes:
            router = getattr(route, "original_router", None)
            found |= paths(router.routes) if router else {route.path}
        return found

    opened = {path for path in paths(App.create_app(tiny_demo()).routes) if limits.is_open(path)}
    assert {path.removeprefix("/gradio_api").rstrip("/") for path in opened} == {
        "",
        "/app_id",
        "/assets/{path:path}",
        "/call/v2/{api_name}",
        "/call/v2/{api_name}/{event_id}",
        "/call/{api_name}",
        "/call/{api_name}/{event_id}",
        "/cancel",
        "/config",
        "/custom_component/{id}/{environment}/{type}/{file_name}",
        "/favicon.ico",
        "/file={path_or_url:path}",
        "/heartbeat/{session_hash}",
        "/info",
        "/login_check",
        "/manifest.json",
        "/openapi.json",
        "/pwa_icon",
        "/queue/data",
        "/queue/join",
        "/reset",
        "/robots.txt",
        "/startup-events",
        "/static/{path:path}",
        "/svelte/{path:path}",
        "/theme.css",
        "/upload",
        "/upload_progress",
        "/user",
    }


def test_an_unexpected_error_is_a_sentence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("secret")

    async def full(scope: Any, receive: Any, send: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    status, text = ask(broken, tmp_path, JOIN, b"{}")
    assert (status, sentence(text)) == (500, limits.FAILED)
    assert "Traceback" in caplog.text
    caplog.clear()
    status, text = ask(full, tmp_path, JOIN, b"{}")
    assert (status, sentence(text)) == (507, disk.FULL)
    assert "Traceback" not in caplog.text


# Uploads, through Gradio's own parser


def parsing(folder: Path) -> Callable[..., Awaitable[None]]:
    """An app that parses an upload as Gradio's route does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from starlette.requests import Request

        parser = GradioMultiPartParser(
            Headers(scope=scope),
            Request(scope, receive).stream(),
            upload_dir=folder,
            max_file_size=1e9,
        )
        status = 200
        try:
            await parser.parse()
        except MultiPartException:
            status = 400
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"parsed"})

    return app


HEAD = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
TYPE = {"content-type": "multipart/form-data; boundary=x"}


def test_an_upload_passes_whatever_its_size(tmp_path: Path) -> None:
    body = HEAD + bytes(1_000_000) + b"\r\n--x--\r\n"
    assert ask(parsing(tmp_path), tmp_path, UPLOAD, body, headers=TYPE) == (200, "parsed")
    assert [file.stat().st_size for file in tmp_path.iterdir()] == [1_000_000]


@pytest.mark.parametrize("then", ["silence", "disconnect", "a trickle"])
def test_an_upload_that_stops_is_ended_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    monkeypatch.setattr(limits, "STALL_SECONDS", 0.2)
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": HEAD + bytes(50_000), "more_body": True}
    ]
    if then == "disconnect":
        parts.append({"type": "http.disconnect"})
    gate = None
    if then == "a trickle":
        clock = iter(range(0, 10_000, 10))
        monkeypatch.setattr(limits.time, "monotonic", lambda: float(next(clock)))
        parts += [{"type": "http.request", "body": b"1", "more_body": True} for _ in range(100)]
    status, text = ask(parsing(tmp_path), tmp_path, UPLOAD, messages=parts, headers=TYPE, gate=gate)
    expected = (400, limits.UPLOAD_LEFT) if then == "disconnect" else (408, limits.UPLOAD_STALLED)
    assert (status, text) == expected
    assert list(tmp_path.iterdir()) == []
    assert then != "a trickle" or len(parts) > 90


def test_a_full_disk_takes_no_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free, total = 600_000_000, 10**12

    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: Usage)
    declared = {**TYPE, "content-length": "200000000"}
    refused = ask(never, tmp_path, UPLOAD, messages=[{}], headers=declared)
    assert refused == (507, "The server's disk is full. Try again later.")
    Usage.free = 200_000_000
    parts: list[dict[str, Any]] = [
        {"type": "http.request", "body": HEAD, "more_body": True},
        {"type": "http.request", "body": bytes(17_000_000), "more_body": True},
    ]
    Usage.free = 600_000_000
    space = disk.Space(tmp_path)
    gate = limits.RequestLimits(parsing(tmp_path), limits.Options(space))
    monkeypatch.setattr(space, "is_exhausted", lambda: True)
    status, text = ask(never, tmp_path, UPLOAD, messages=parts, headers=TYPE, gate=gate)
    assert (status, text) == (507, disk.FULL)
    assert list(tmp_path.iterdir()) == []


def test_an_address_has_so_many_uploads_and_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_large = {"content-length": str(limits.MAX_UPLOAD_BODY + 1)}
    refused = ask(never, tmp_path, UPLOAD, messages=[{}], headers=too_large)
    assert refused == (413, limits.UPLOAD_TOO_LARGE)
    gate = limits.RequestLimits(echo, limits.Options(disk.Space(tmp_path)))
    monkeypatch.setattr(gate, "_hourly", disk.HourlyBytes(1000))
    body = bytes(600)
    assert ask(never, tmp_path, UPLOAD, body, gate=gate)[0] == 200
    assert ask(never, tmp_path, UPLOAD, body, gate=gate) == (429, limits.UPLOADED_TOO_MUCH)
    gate._uploads["9.9.9.9"] = limits.MAX_UPLOADS
    assert ask(never, tmp_path, UPLOAD, b"1", gate=gate) == (429, limits.UPLOADS_TOO_MANY)
    gate._connections["9.9.9.9"] = limits.MAX_CONNECTIONS
    status, text = ask(never, tmp_path, "/", method="GET", gate=gate)
    assert (status, sentence(text)) == (429, limits.CONNECTIONS_TOO_MANY)
    assert ask(never, tmp_path, "/health", method="GET", gate=gate)[0] == 200


# Visitors


def test_pages_and_listeners_are_counted() -> None:
    visitors = Visitors(max_pages=1)
    first = visitors.page_opened("a", "1.1.1.1")
    again = visitors.page_opened("b", "1.1.1.1")
    assert (first, again) == (True, False)
    assert (visitors.is_open("a"), visitors.is_open("b")) == (True, False)
    assert visitors.had_page("b") and not visitors.had_page("c") and not visitors.had_page(None)
    visitors.page_closed("b", "1.1.1.1", again)
    assert visitors.is_open("a")
    visitors.page_closed("a", "1.1.1.1", first)
    assert not visitors.is_open("a")
    visitors.listens("call")
    assert visitors.is_heard("other", "call")
    visitors.listens_no_more("call")
    assert not visitors.is_heard("call")


def test_what_an_open_page_keeps_never_goes_first() -> None:
    visitors = Visitors()
    visitors.page_opened("page", "1.1.1.1")
    for session in ("x1", "x2", "x3"):
        visitors.seen(session, "6.6.6.6")
    visitors.seen("guest", "2.2.2.2")
    # The guest's is older, but the other address keeps three.
    owners = {0: "page", 1: "guest", 2: "x1", 3: "x2", 4: "x3"}
    assert visitors.first_to_go(owners) == 2
    assert visitors.first_to_go({0: "page", 1: "guest"}) == 1
    assert visitors.first_to_go({0: "page"}) is None


def test_a_store_drops_by_quota_and_never_an_open_page_s() -> None:
    visitors = Visitors()
    visitors.page_opened("page", "1.1.1.1")
    for session in ("a", "b", "c", "d", "e"):
        visitors.seen(session, "6.6.6.6")
    visitors.seen("guest", "2.2.2.2")

    def drop(owners: list[str | None], full: bool = False) -> int | None:
        return visitors.to_drop(dict(enumerate(owners)), len(owners) - 1, full, most=8)

    assert drop(["page", "guest"]) is None
    # Two of a session, four of an address; their own oldest goes, full or not.
    assert drop(["page", "a", "a", "a"]) == 1
    assert drop(["page", "a", "b", "c", "d", "e"]) == 1
    assert drop(["page", "page", "page"]) == 0
    # When full: the address that keeps most, never the open page.
    assert drop(["page", "guest", "a", "b", "guest"], full=True) == 2
    with pytest.raises(StoreFull):
        drop(["page", "page", "guest"], full=True)
    assert drop(["page", "page"], full=True) == 0
    assert drop(["page"], full=True) is None


def test_an_address_is_what_the_last_trusted_proxy_saw() -> None:
    def scope(forwarded: str, peer: str = "10.0.0.7") -> dict[str, Any]:
        return {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}

    lie = "1.1.1.1, 8.8.4.4, 10.1.1.1"
    assert client_address(scope(lie), trusted=True) == "8.8.4.4"
    assert client_address(scope(lie), trusted=False) == "10.0.0.7"
    assert client_address(scope("nonsense"), trusted=True) == "10.0.0.7"
    assert client_address(scope("2a00::1:2:3:4:5"), trusted=True) == "2a00:0:0:1::/64"
    assert client_address({"headers": []}, trusted=True) == "unknown"
    assert forwarding_is_trusted({"SPACE_ID": "a/b"})
    assert forwarding_is_trusted({"DEFECT_TRUST_FORWARDED": "1"})
    assert not forwarding_is_trusted({})
    assert not forwarding_is_trusted({"SPACE_ID": "a/b", "DEFECT_TRUST_FORWARDED": "0"})
