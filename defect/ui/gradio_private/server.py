"""Gradio's queue, sessions and errors, made safe for a public server: every use of their private
parts, and a check of what each relies on.

- **Queue**: so many waiting jobs a session and an address; addresses take turns; a job has a time
  budget and ends when nobody listens any more.
- **Functions**: a private one is called only by an open page, and the one for closed pages by none.
- **State**: only sessions have any, a call without one leaves nothing; an open page's is never
  dropped for another's.
- **Errors**: what reaches a client is a sentence, what is expected is one line in the log.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import os
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from gradio import (
    blocks as gradio_blocks,
)
from gradio import (
    exceptions,
    processing_utils,
    queueing,
    route_utils,
    routes,
    server_messages,
    state_holder,
    utils,
)
from gradio.context import LocalContext
from pydantic import ValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from defect.inspection import Message
from defect.ui import disk
from defect.ui.limits import FAILED, Options, RequestLimits
from defect.ui.visitors import (
    VISITORS,
    Translate,
    Visitors,
    client_address,
    forwarding_is_trusted,
)

Item = TypeVar("Item")

MAX_WAITING_SESSION = 16
MAX_WAITING_ADDRESS = 24
BUDGETS = {"teach": 240.0, "batch": 300.0}
"""Seconds a job of these concurrency groups may take."""
BUDGET = 60.0
"""Seconds all others may take."""
UNHEARD_SECONDS = 60.0
"""After which a job that nobody listens to is abandoned."""
UNREAD_SECONDS = 120.0
"""After which an answer that nobody fetched is dropped."""
MAX_UNREAD = 200
FILES_AT_ONCE = 20
"""Files checked before the event loop runs anything else; each takes about 1 ms."""
MAX_NUMBER = 1e15
"""Of what a program sends; up to here, a float is exact to a unit."""
PAGE_WAIT = 3.0
"""Seconds a page's first event waits for its heartbeat, which comes by another connection."""
SWEEP_SECONDS = 300.0
_WATCH_SECONDS = 0.5

_LOG = logging.getLogger("defect.server")

QUEUE_FULL_HERE = Message(
    "too_many_waiting",
    "You have {most} requests waiting. Send more when they are done.",
    most=MAX_WAITING_SESSION,
)
QUEUE_FULL_ADDRESS = Message(
    "too_many_waiting_address", "Too many requests from your address are waiting. Try again later."
)
OUT_OF_TIME = Message(
    "out_of_time", "This took too long and was ended. Send fewer or smaller files."
)
NO_FUNCTION = Message("no_function", "There is no endpoint of this name.")
NOT_PUBLIC = Message("not_public", "This function belongs to the page and cannot be called.")
WRONG_VALUES = Message(
    "wrong_values",
    "A value you sent has the wrong form. The API page says what this endpoint takes.",
)
WRONG_VALUE = "The value of {name} has the wrong form. The API page says what the endpoint takes."
PATH_REFUSED = Message("not_uploaded", "Upload the photo first: paths on the server are not read.")
NO_MEMORY = Message("no_memory", "The server has too little memory for this. Try again later.")


class JobEnded(gr.Error):
    """A job's client left, or its time is up."""


def check() -> None:
    """Asserts that this version of Gradio has what this module uses."""

    def parameters(function: Callable[..., Any]) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert parameters(queueing.Queue.push) == ["self", "body", "request", "username"]
    assert parameters(queueing.Queue.get_events) == ["self"]
    assert parameters(queueing.Queue.clean_events) == ["self", "session_hash", "event_id"]
    assert parameters(queueing.Queue.compute_analytics_summary) == ["self", "records"]
    assert parameters(route_utils.get_fn) == ["blocks", "api_name", "body"]
    assert parameters(route_utils.call_process_api)[:4] == ["app", "body", "gr_request", "fn"]
    assert issubclass(exceptions.Error, exceptions.AppError)
    event = set(inspect.getsource(queueing.Event.__init__).split())
    assert {"self.alive", "self.enqueue_time:", "self.concurrency_id"} <= event
    queue = inspect.getsource(queueing.Queue.__init__)
    for name in (
        "pending_messages_per_session",
        "pending_event_ids_session",
        "event_ids_to_events",
        "event_queue_per_concurrency_id",
        "active_jobs",
    ):
        assert f"self.{name}" in queue, f"Queue has no {name}"
    assert parameters(state_holder.StateHolder.__getitem__) == ["self", "session_id"]
    assert "StateHolder()" in inspect.getsource(routes.App.__init__)
    for module, call in (
        (queueing, "route_utils.call_process_api("),
        (routes, "route_utils.get_fn("),
    ):
        assert call in inspect.getsource(module), f"{module.__name__} calls {call} otherwise"
    assert parameters(processing_utils.async_move_files_to_cache)[:2] == ["data", "block"]
    source = inspect.getsource(gradio_blocks.Blocks.preprocess_data)
    assert "processing_utils.async_move_files_to_cache(" in source
    with gr.Blocks() as blocks:
        pass
    assert isinstance(blocks.temp_file_sets, list), "Blocks tracks no files"
    assert isinstance(blocks.upload_file_set, set), "Blocks tracks no files"


def protect(
    demo: gr.Blocks,
    *,
    translate: Callable[[Message], str] = str,
    health: Callable[[], dict[str, Any]] = lambda: {"status": "ok"},
    visitors: Visitors = VISITORS,
) -> dict[str, Any]:
    """Puts the limits onto a demo whose queue is configured; returns options for its `launch`.

    Args:
        translate: gives a message in the language of the request that `LocalContext` holds.
        health: what `/health` answers; must not wait for anything.
    """
    check()
    # Otherwise uvicorn believes what any client on this machine says of its address.
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")
    trusted = forwarding_is_trusted()
    folder = Path(utils.get_upload_folder())
    queue = demo._queue
    demo.api_open = False
    queue.compute_analytics_summary = lambda records: {}  # type: ignore[method-assign]
    queue.ANALYTICS_MAX_EVENTS = 1

    def translate_for(message: Message, request: Any) -> str:
        token = LocalContext.request.set(request)
        try:
            return translate(message)
        finally:
            LocalContext.request.reset(token)

    _limit_queue(demo, visitors, translate_for, trusted)
    _take_turns(queue, trusted)
    _refuse_unknown_functions(translate_for)
    _let_others_run()
    _explain_errors(translate_for)
    _keep_pages_only(visitors)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(_watch(demo, visitors, translate_for)),
            asyncio.create_task(_sweep(demo, folder)),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def answer_health(request: Request) -> JSONResponse:
        return JSONResponse(health())

    options = Options(disk.Space(folder), trusted, visitors, translate_for)
    return {
        "enable_monitoring": False,
        "show_error": False,
        "app_kwargs": {
            "lifespan": lifespan,
            "middleware": [Middleware(RequestLimits, options=options)],
            "routes": [Route("/health", answer_health)],
            "exception_handlers": {RequestValidationError: _explain_validation(translate_for)},
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    }


def check_job() -> None:
    """To be called now and then by a function that takes long, such as once a photo.

    Raises:
        JobEnded: the client left or the time is up. Outside of Gradio, nothing happens.
    """
    blocks, event_id = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if blocks is None or event_id is None:
        return
    event = blocks._queue.event_ids_to_events.get(event_id)
    if event is not None and not event.alive:
        raise JobEnded(str(OUT_OF_TIME), print_exception=False)


def while_wanted(items: Iterable[Item]) -> Iterator[Item]:
    """The items as long as somebody waits for the job's answer.

    Raises:
        JobEnded: as `check_job`; an iterator is closed.
    """
    try:
        for item in items:
            check_job()
            yield item
    finally:
        close = getattr(items, "close", None)
        if close is not None:
            close()


def distinct(paths: Sequence[str]) -> list[str]:
    """Uploaded files without those of the same content as an earlier one.

    Gradio keeps an upload in a folder named by its content's SHA-256, so nothing is read. For
    teaching; a batch drops only the same path, as two files of a folder may be alike:
    `list(dict.fromkeys(paths))`.
    """
    found: dict[tuple[str, str], str] = {}
    for path in paths:
        folder = Path(path).parent.name
        same = (folder, "") if len(folder) == 64 else (folder, Path(path).name)
        found.setdefault(same, path)
    return list(found.values())


def public_functions(demo: gr.Blocks) -> set[str]:
    """The names that can be called from outside."""
    return {
        str(fn.api_name)
        for fn in demo.fns.values()
        if fn.api_visibility != "private" and fn.api_name is not False
    }


def _limit_queue(demo: gr.Blocks, visitors: Visitors, translate: Translate, trusted: bool) -> None:
    queue = demo._queue
    push = queue.push

    def waiting() -> list[queueing.Event]:
        groups = queue.event_queue_per_concurrency_id.values()
        return [event for group in groups for event in group.queue]

    async def push_limited(body: Any, request: Any, username: str | None) -> Any:
        address = client_address(request.scope, trusted)
        session = body.session_hash
        fn = route_utils.get_fn(demo, None, body)
        await _check_callable(fn, session, request, visitors, translate)
        if fn.api_name != "health":
            ahead = waiting()
            mine = sum(event.session_hash == session for event in ahead)
            if mine >= MAX_WAITING_SESSION:
                raise HTTPException(429, translate(QUEUE_FULL_HERE, request))
            near = sum(client_address(event.request.scope, trusted) == address for event in ahead)
            if near >= MAX_WAITING_ADDRESS:
                raise HTTPException(429, translate(QUEUE_FULL_ADDRESS, request))
        accepted, answer, status = await push(body, request, username)
        if accepted:
            # Gradio takes a call's id for its session.
            visitors.seen(session or str(answer), address)
        return accepted, answer, status

    queue.push = push_limited  # type: ignore[method-assign]


async def _check_callable(
    fn: Any, session: str | None, request: Any, visitors: Visitors, translate: Translate
) -> None:
    """Refuses functions that are not for the caller.

    Raises:
        HTTPException: 404, as if there was none.
    """
    if any(event == "unload" for _, event in fn.targets) or not fn.fn:
        raise HTTPException(404, translate(NOT_PUBLIC, request))
    if fn.api_visibility != "private":
        return
    by_page = request.url.path.rstrip("/").endswith("/queue/join")
    end = time.monotonic() + PAGE_WAIT
    while by_page and not visitors.had_page(session) and time.monotonic() < end:
        await asyncio.sleep(0.05)
    if not by_page or not visitors.had_page(session):
        raise HTTPException(404, translate(NOT_PUBLIC, request))


def _take_turns(queue: queueing.Queue, trusted: bool) -> None:
    """Has addresses take turns within a concurrency group; one alone is served in order."""
    get_events = queue.get_events
    served: Counter[tuple[str, str]] = Counter()

    def get_events_in_turn() -> Any:
        for group in queue.event_queue_per_concurrency_id.values():
            limit = group.concurrency_limit
            if len(group.queue) > 1 and (limit is None or group.current_concurrency < limit):
                _order(group, served, trusted)
        found = get_events()
        if found is not None:
            first = found[0][0]
            key = found[2], client_address(first.request.scope, trusted)
            # Who comes anew is level with who waits, not ahead by all turns before.
            others = [served[key]]
            group = queue.event_queue_per_concurrency_id[found[2]]
            for event in group.queue:
                others.append(served[found[2], client_address(event.request.scope, trusted)])
            served[key] = max(others) + 1
            while len(served) > 5000:
                del served[next(iter(served))]
        return found

    queue.get_events = get_events_in_turn  # type: ignore[method-assign]


def _order(group: Any, served: Counter[tuple[str, str]], trusted: bool) -> None:
    """First those whose address was served least recently; then each one's second job, …"""
    turns: Counter[str] = Counter()
    keys: dict[int, tuple[int, int, int]] = {}
    for position, event in enumerate(group.queue):
        address = client_address(event.request.scope, trusted)
        keys[id(event)] = turns[address], served[group.concurrency_id, address], position
        turns[address] += 1
    if len(turns) > 1:
        group.queue.sort(key=lambda event: keys[id(event)])


def _refuse_unknown_functions(translate: Translate) -> None:
    get_fn = getattr(route_utils.get_fn, "__wrapped__", route_utils.get_fn)

    def get_known_fn(blocks: gr.Blocks, api_name: str | None, body: Any) -> Any:
        # Gradio's looks in the session, which makes one; only `gr.render` needs that.
        for index, fn in blocks.fns.items():
            named = fn.api_name is not False and fn.api_name == api_name
            if named if body.fn_index is None else index == body.fn_index:
                return fn
        raise HTTPException(404, translate(NO_FUNCTION, getattr(body, "request", None)))

    get_known_fn.__wrapped__ = get_fn  # type: ignore[attr-defined]
    route_utils.get_fn = get_known_fn


def _let_others_run() -> None:
    """Has Gradio stop now and then while it checks the files of a request: 500 of them took the
    event loop half a second."""
    move = getattr(
        processing_utils.async_move_files_to_cache,
        "__wrapped__",
        processing_utils.async_move_files_to_cache,
    )

    async def move_in_pieces(data: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(data, list) or len(data) <= FILES_AT_ONCE:
            return await move(data, *args, **options)
        moved: list[Any] = []
        for start in range(0, len(data), FILES_AT_ONCE):
            moved += await move(data[start : start + FILES_AT_ONCE], *args, **options)
            await asyncio.sleep(0)
        return moved

    move_in_pieces.__wrapped__ = move  # type: ignore[attr-defined]
    processing_utils.async_move_files_to_cache = move_in_pieces


def _explain_errors(translate: Translate) -> None:
    process = getattr(route_utils.call_process_api, "__wrapped__", route_utils.call_process_api)

    async def process_or_explain(*args: Any, **options: Any) -> Any:
        body, fn = options["body"], options["fn"]
        try:
            if fn.api_visibility != "private" and not fn.is_validator_function:
                _check_values(fn, body.data)
            return await process(*args, **options)
        except Exception as error:
            raise _explained(error, fn, body.request, translate) from error

    process_or_explain.__wrapped__ = process  # type: ignore[attr-defined]
    route_utils.call_process_api = process_or_explain


def _check_values(fn: Any, values: Sequence[Any]) -> None:
    """Checks numbers and texts of a public function, which Gradio hands on whatever they are: no
    answer holds an integer beyond 64 bits, and no endpoint expects a list for a number.

    Raises:
        ValueError: naming the first that is none.
    """
    names = list(inspect.signature(fn.fn).parameters)
    for position, (component, value) in enumerate(zip(fn.inputs, values, strict=False)):
        if isinstance(component, (gr.Number, gr.Slider)):
            # What is no number is left to the function, which knows its bounds and says them.
            huge = isinstance(value, (int, float)) and MAX_NUMBER < abs(value) < math.inf
            fits = not huge and not isinstance(value, (list, dict))
        else:
            fits = not isinstance(component, gr.Textbox) or isinstance(value, str)
        if not fits:
            name = names[position] if position < len(names) else str(position + 1)
            raise ValueError(Message("wrong_value", WRONG_VALUE, name=name))


def _explained(error: Exception, fn: Any, request: Any, translate: Translate) -> gr.Error:
    """The error as one that Gradio hands to the client, and a line in the log."""
    name = getattr(fn, "api_name", None) or "?"
    if isinstance(error, exceptions.Error):
        error.print_exception = False
        if not error.message:
            error.message = translate(FAILED, request)
        _LOG.warning("%s: %s", name, str(error.message)[:300])
        return error
    message = _message_of(error, fn)
    if message is None:
        _LOG.error("%s: unexpected error", name, exc_info=error)
        message = FAILED
    else:
        _LOG.warning("%s: %s", name, str(message)[:300])
    return gr.Error(translate(message, request), print_exception=False)


def _message_of(error: BaseException, fn: Any) -> str | None:
    """What to tell about an error that was to be expected; `None` for a bug."""
    if disk.is_full_error(error):
        return disk.FULL
    if isinstance(error, MemoryError):
        return NO_MEMORY
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    if isinstance(error, exceptions.InvalidPathError):
        return PATH_REFUSED
    if isinstance(error, (exceptions.ComponentProcessingError, ValidationError)):
        cause = error.__cause__
        return (cause and _message_of(cause, fn)) or WRONG_VALUES
    if isinstance(error, ValueError) and "didn't receive enough input values" in str(error):
        return WRONG_VALUES
    return None


def _explain_validation(translate: Translate) -> Callable[..., Any]:
    async def explain(request: Request, error: Exception) -> JSONResponse:
        text = translate(WRONG_VALUES, request)
        return JSONResponse({"detail": text, "error": text}, 422)

    return explain


def _keep_pages_only(visitors: Visitors) -> None:
    """Has the app that is launched next keep state by `PageStates`."""

    class Holder(PageStates):
        def __init__(self) -> None:
            super().__init__(visitors)

    routes.StateHolder = Holder  # type: ignore[misc]


class PageStates(state_holder.StateHolder):
    """State of sessions: an open page's stays, a single call's goes with the call."""

    def __init__(self, visitors: Visitors) -> None:
        super().__init__()
        self._visitors = visitors
        self._calls: OrderedDict[str, state_holder.SessionState] = OrderedDict()

    def __getitem__(self, session_id: str) -> state_holder.SessionState:
        """The session's state, made if there is none.

        Of a call without a session, Gradio makes its event's id the session.
        """
        with self.lock:
            known = self.session_data.get(session_id)
            if known is not None:
                self.session_data.move_to_end(session_id)
                return known
            events = self.blocks._queue.event_ids_to_events
            if session_id in events:
                return self._of_call(session_id, events)
            state: state_holder.SessionState = state_holder.SessionState(self.blocks)
            while len(self.session_data) >= self.capacity:
                victim = self._visitors.first_to_go({name: name for name in self.session_data})
                if victim is None:
                    return state  # for this request only
                del self.session_data[victim]
                self.time_last_used.pop(victim, None)
            self.session_data[session_id] = state
            return state

    def __contains__(self, session_id: object) -> bool:
        return session_id in self.session_data

    def update(self, session_id: str) -> None:
        """Everything is done as a session is asked for."""

    def _of_call(self, event_id: str, events: dict[str, Any]) -> state_holder.SessionState:
        for ended in [name for name in self._calls if name not in events]:
            del self._calls[ended]
        if event_id not in self._calls:
            self._calls[event_id] = state_holder.SessionState(self.blocks)
        return self._calls[event_id]


async def _watch(demo: gr.Blocks, visitors: Visitors, translate: Translate) -> None:
    """Ends jobs whose time is up or whose client left, and drops answers that nobody fetched."""
    queue = demo._queue
    started: dict[str, float] = {}
    unread: dict[str, float] = {}
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        try:
            await _end_jobs(queue, started, visitors, translate)
            _drop_unread(queue, unread, visitors)
        except Exception:
            _LOG.exception("the watch over the queue failed")


async def _end_jobs(
    queue: queueing.Queue, started: dict[str, float], visitors: Visitors, translate: Translate
) -> None:
    now = time.monotonic()
    running = [event for job in queue.active_jobs if job for event in job]
    for event in running:
        began = started.setdefault(event._id, now)
        if event.alive and now - began > BUDGETS.get(event.concurrency_id, BUDGET):
            _LOG.warning("%s: ended after its time", event.fn.api_name)
            text = translate(OUT_OF_TIME, event.request)
            queue.send_message(
                event,
                server_messages.ProcessCompletedMessage(
                    output={"error": text, "visible": True, "duration": 10, "title": "Error"},
                    title="Error",
                    success=False,
                ),
            )
            event.alive = False
    for gone in started.keys() - {event._id for event in running}:
        del started[gone]
    waiting = [e for group in queue.event_queue_per_concurrency_id.values() for e in group.queue]
    for event in running + waiting:
        unheard = now - event.enqueue_time > UNHEARD_SECONDS
        if event.alive and unheard and not visitors.is_heard(event._id, event.session_hash):
            _LOG.warning("%s: nobody waits for it", event.fn.api_name)
            await queue.clean_events(event_id=event._id)
            event.alive = False


def _drop_unread(queue: queueing.Queue, unread: dict[str, float], visitors: Visitors) -> None:
    """Answers of jobs that are done; Gradio keeps them until they are fetched."""
    now = time.monotonic()
    busy = {event.session_hash for event in queue.event_ids_to_events.values()}
    held = queue.pending_messages_per_session.keys() | queue.pending_event_ids_session.keys()
    idle = {
        session
        for session in held - busy
        if not visitors.is_heard(session, *queue.pending_event_ids_session.get(session, ()))
    }
    for session in unread.keys() - idle:
        del unread[session]
    for session in idle:
        unread.setdefault(session, now)
    oldest = sorted(unread, key=lambda session: unread[session])
    late = [session for session in oldest if now - unread[session] > UNREAD_SECONDS]
    for session in {*late, *oldest[: max(0, len(oldest) - MAX_UNREAD)]}:
        queue.pending_messages_per_session.pop(session, None)
        queue.pending_event_ids_session.pop(session, None)
        del unread[session]


async def _sweep(demo: gr.Blocks, folder: Path) -> None:
    while True:
        try:
            count = await asyncio.to_thread(sweep, demo, folder)
            if count:
                _LOG.info("%d files and folders swept", count)
        except Exception:
            _LOG.exception("the uploads could not be swept")
        await asyncio.sleep(SWEEP_SECONDS)


def sweep(demo: gr.Blocks, folder: Path) -> int:
    """Deletes what nobody used from the demo's uploads; returns how many files and folders."""
    keep: set[str] = set()
    for component in list(demo.blocks.values()):
        keep |= set(getattr(component, "keep_in_cache", ()))
    count = disk.sweep(folder, keep)
    for files in demo.temp_file_sets:
        for file in list(files):
            # Gradio forgets only the files that it deleted itself.
            if not Path(file).exists():
                files.discard(file)
    return count
