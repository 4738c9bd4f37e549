"""What a request may be, before Gradio sees it: which addresses answer, how large a body is, how an
upload moves, and that every refusal is a sentence.

Plain ASGI, with nothing of Gradio but the addresses of its routes and its parser's error; what is
limited in the queue lies in `gradio_private.server`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from starlette.formparsers import MultiPartException

from defect.inspection import Message
from defect.ui import disk
from defect.ui.visitors import VISITORS, Translate, Visitors, client_address

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 256_000
"""Bytes of a request that is no upload."""
MAX_LIST = 500
"""Entries of one list or object in a request, such as files named."""
MAX_DEPTH = 32
MAX_UPLOAD_BODY = 2_000_000_000
"""Bytes of one upload of many files."""
MAX_UPLOADS = 8
"""Of one address at a time."""
MAX_CONNECTIONS = 100
"""Of one address at a time; a page has two or three."""
STALL_SECONDS = 30.0
MIN_PROGRESS = 30_000
"""Bytes an upload has to bring in each `STALL_SECONDS`."""
_CHECK_SPACE_EACH = 16_000_000

_LOG = logging.getLogger("defect.server")

_API = "/gradio_api"
_OPEN = re.compile(
    r"/(|health|config/?|robots\.txt|favicon\.ico|manifest\.json|theme\.css|pwa_icon(/\d+)?"
    r"|agents\.md|llms\.txt|(static|assets|svelte)/.+)"
    rf"|{_API}/(info/?|openapi\.json|agents\.md|theme\.css|startup-events|app_id/?|user/?"
    r"|login_check/?|upload|upload_progress|heartbeat/[^/]+|queue/(join|data)|cancel|reset/?"
    r"|call/(v2/)?[^/]+(/[^/]*)?|file=(?!https?:).+|custom_component/.+|mcp(/.*)?)"
)
"""Every address that answers. Closed with the rest of what Gradio serves: /run and /api, which
skip the queue; component_server, stream and process_recording, which call components; /monitoring,
/queue/status, /profiling and /runs, which tell of other visitors; deep_link, which writes files;
`file=http…` and /proxy, which fetch from elsewhere."""
_HEARTBEAT = re.compile(rf"{_API}/heartbeat/([^/]+)")
_CALL_ANSWER = re.compile(rf"{_API}/call/(?:v2/)?[^/]+/([^/]+)/?")

CLOSED = Message("not_open", "There is nothing at this address. The API page lists what there is.")
BODY_TOO_LARGE = Message(
    "body_too_large",
    "The request is larger than 256 kB. Upload files first, then send only their paths.",
)
BODY_UNREADABLE = Message("body_unreadable", "The request's body is not valid JSON.")
BODY_TOO_DEEP = Message("body_too_deep", "The request's values are nested too deeply.")
LIST_TOO_LONG = Message(
    "list_too_long", "A list in the request has more than {most} entries. Send less.", most=MAX_LIST
)
UPLOAD_TOO_LARGE = Message("upload_too_large", "The upload is larger than 2 GB. Split it.")
UPLOAD_STALLED = Message("upload_stalled", "The upload made no progress and was ended. Try again.")
UPLOAD_LEFT = Message("upload_aborted", "The upload was aborted.")
UPLOADS_TOO_MANY = Message(
    "uploads_too_many", "Too many uploads run from your address. Try again when they are done."
)
UPLOADED_TOO_MUCH = Message(
    "uploaded_too_much", "Your address uploaded 4 GB in the last hour. Try again later."
)
CONNECTIONS_TOO_MANY = Message(
    "connections_too_many", "Too many connections from your address. Close some pages."
)
FAILED = Message(
    "server_error",
    "Something went wrong on the server. Check the values you sent; if they are right, this is a "
    "bug, and it was logged.",
)


def is_open(path: str) -> bool:
    """Whether the app answers at this path."""
    return _OPEN.fullmatch(path) is not None


class Refused(Exception):
    """A request that is answered with a sentence."""

    def __init__(self, status: int, message: Message) -> None:
        """
        Args:
            status: of the HTTP answer.
        """
        super().__init__(message)
        self.status, self.message = status, message


def check_json(body: bytes) -> None:
    """Checks that a body is JSON of bounded lists and depth; an empty one is.

    Raises:
        Refused: it is not.
    """
    if not body:
        return
    try:
        level = [json.loads(body)]
    except (ValueError, RecursionError):
        raise Refused(400, BODY_UNREADABLE) from None
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, (list, dict)):
                if len(value) > MAX_LIST:
                    raise Refused(413, LIST_TOO_LONG)
                below.extend(value.values() if isinstance(value, dict) else value)
        if not below:
            return
        level = below
    raise Refused(400, BODY_TOO_DEEP)


@dataclass(frozen=True)
class Options:
    """What the middleware needs to know of the app."""

    space: disk.Space
    trust_forwarded: bool = False
    """Whether a proxy writes `X-Forwarded-For`."""
    visitors: Visitors = VISITORS
    translate: Translate = lambda message, request: str(message)


class RequestLimits:
    """ASGI middleware; `Options` is given as its one option."""

    def __init__(self, app: Callable[..., Awaitable[None]], options: Options) -> None:
        """
        Args:
            app: what answers the requests that pass.
        """
        self._app = app
        self._space, self._visitors = options.space, options.visitors
        self._trust, self._translate = options.trust_forwarded, options.translate
        self._connections: Counter[str] = Counter()
        self._uploads: Counter[str] = Counter()
        self._hourly = disk.HourlyBytes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        if scope["type"] == "websocket":  # the app has none
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        address = client_address(scope, self._trust)
        answer = _Answer(send)
        self._connections[address] += 1
        try:
            if self._connections[address] > MAX_CONNECTIONS and scope["path"] != "/health":
                raise Refused(429, CONNECTIONS_TOO_MANY)
            await self._pass(scope, receive, answer, address)
        except Refused as refused:
            _LOG.warning("%s %s: %s", address, scope["path"][:80], refused.message)
            await self._refuse(refused, scope, answer)
        except Exception as error:
            if answer.started:
                raise
            full = disk.is_full_error(error)
            (_LOG.warning if full else _LOG.exception)("%s: %s", scope["path"][:80], error)
            await self._refuse(
                Refused(*((507, disk.FULL) if full else (500, FAILED))), scope, answer
            )
        finally:
            _decrease(self._connections, address)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer, address: str) -> None:
        path, visitors = scope["path"], self._visitors
        if not is_open(path):
            raise Refused(404, CLOSED)
        if path == f"{_API}/upload":
            await self._upload(scope, receive, answer, address)
        elif scope["method"] not in ("GET", "HEAD", "OPTIONS"):
            body = await _read(scope, receive)
            await self._app(scope, _replay(body, receive), answer)
        elif match := _HEARTBEAT.fullmatch(path):
            protected = visitors.page_opened(match[1], address)
            try:
                await self._app(scope, receive, answer)
            finally:
                visitors.page_closed(match[1], address, protected)
        elif name := _heard(scope):
            visitors.listens(name)
            try:
                await self._app(scope, receive, answer)
            finally:
                visitors.listens_no_more(name)
        else:
            await self._app(scope, receive, answer)

    async def _upload(self, scope: Scope, receive: Receive, answer: _Answer, address: str) -> None:
        declared = _length(scope)
        if declared > MAX_UPLOAD_BODY:
            raise Refused(413, UPLOAD_TOO_LARGE)
        if self._uploads[address] >= MAX_UPLOADS:
            raise Refused(429, UPLOADS_TOO_MANY)
        if not self._hourly.allows(address, declared):
            raise Refused(429, UPLOADED_TOO_MUCH)
        if not self._space.promise(declared):
            raise Refused(507, disk.FULL)
        upload = _Upload(receive, self._space)
        self._uploads[address] += 1
        try:
            await self._app(scope, upload.receive, answer.unless(lambda: upload.refused))
        finally:
            self._space.release(declared)
            self._hourly.add(address, upload.received)
            _decrease(self._uploads, address)
        if upload.refused is not None:
            raise upload.refused

    async def _refuse(self, refused: Refused, scope: Scope, answer: _Answer) -> None:
        if answer.started:
            return
        text = self._translate(refused.message, _Asker(scope))
        # Gradio's page shows an upload's answer as it is, and `detail` of all others.
        plain = scope["path"] == f"{_API}/upload"
        body = text if plain else json.dumps({"detail": text, "error": text}, ensure_ascii=False)
        kind = b"text/plain" if plain else b"application/json"
        data = body.encode()
        headers = [(b"content-type", kind + b"; charset=utf-8"), (b"connection", b"close")]
        headers.append((b"content-length", str(len(data)).encode()))
        start = {"type": "http.response.start", "status": refused.status, "headers": headers}
        await answer(start)
        await answer({"type": "http.response.body", "body": data})


class _Asker:
    """As much of a request as a translation asks for."""

    def __init__(self, scope: Scope) -> None:
        from starlette.requests import Request

        request = Request(scope)
        self.headers, self.cookies = request.headers, request.cookies


class _Answer:
    """The way back, which knows whether an answer began."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.started = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.started = True
        await self._send(message)

    def unless(self, refused: Callable[[], Refused | None]) -> Send:
        """Drops what the app answers once the request is refused."""

        async def send(message: MutableMapping[str, Any]) -> None:
            if refused() is None:
                await self(message)

        return send


class _Upload:
    """An upload's body: bounded, moving, and with room on the disk.

    It is ended with the error Gradio's parser knows, which deletes the parts it wrote.
    """

    def __init__(self, receive: Receive, space: disk.Space) -> None:
        self._receive, self._space = receive, space
        self.received = 0
        self.refused: Refused | None = None
        self._window = time.monotonic(), 0
        self._checked = 0

    async def receive(self) -> MutableMapping[str, Any]:
        """The next part of the body.

        Raises:
            MultiPartException: the upload has to end; `refused` says why.
        """
        try:
            message = await asyncio.wait_for(self._receive(), STALL_SECONDS)
        except asyncio.TimeoutError:
            self._end(408, UPLOAD_STALLED)
        if message["type"] == "http.disconnect":
            self._end(400, UPLOAD_LEFT)
        self.received += len(message.get("body", b""))
        if self.received > MAX_UPLOAD_BODY:
            self._end(413, UPLOAD_TOO_LARGE)
        began, before = self._window
        if time.monotonic() - began > STALL_SECONDS:
            if self.received - before < MIN_PROGRESS:
                self._end(408, UPLOAD_STALLED)
            self._window = time.monotonic(), self.received
        if self.received - self._checked > _CHECK_SPACE_EACH:
            self._checked = self.received
            if self._space.is_exhausted():
                self._end(507, disk.FULL)
        return message

    def _end(self, status: int, message: Message) -> Any:
        self.refused = Refused(status, message)
        raise MultiPartException(str(message))


async def _read(scope: Scope, receive: Receive) -> bytes:
    """A small body, checked.

    Raises:
        Refused: too large, too slow, or not the JSON that is expected.
    """
    if _length(scope) > MAX_BODY:
        raise Refused(413, BODY_TOO_LARGE)
    body = bytearray()
    end = time.monotonic() + STALL_SECONDS
    more = True
    while more:
        try:
            message = await asyncio.wait_for(receive(), max(0.01, end - time.monotonic()))
        except asyncio.TimeoutError:
            raise Refused(408, UPLOAD_STALLED) from None
        if message["type"] == "http.disconnect":
            raise Refused(400, UPLOAD_LEFT)
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise Refused(413, BODY_TOO_LARGE)
        more = message.get("more_body", False)
    check_json(bytes(body))
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then whatever comes after it."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else await receive()

    return again


def _heard(scope: Scope) -> str | None:
    """The session or call whose answers this request reads."""
    if scope["path"] == f"{_API}/queue/data":
        names = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("session_hash")
        return names[0] if names else None
    match = _CALL_ANSWER.fullmatch(scope["path"])
    return match[1] if match else None


def _length(scope: Scope) -> int:
    for name, value in scope.get("headers", ()):
        if name == b"content-length":
            return int(value) if value.isdigit() and len(value) < 19 else MAX_UPLOAD_BODY + 1
    return 0


def _decrease(counts: Counter[str], name: str) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
