"""The running app under load, asked as the README's curl example asks it."""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.inspection import encoded
from benchmarks.table import Line
from defect.detectors.registry import DETECTORS
from defect.weights.index import read_index

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = 8
SECONDS = 20.0


class App:
    """`python app.py` on a free port."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        environment = os.environ | {
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
        }
        with (folder / "log.txt").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def wait(self) -> None:
        """Until it answers."""
        while self.process.poll() is None:
            try:
                httpx.get(self.url, timeout=30)
                return
            except httpx.TransportError:
                time.sleep(0.02)
        raise RuntimeError("the app stopped while starting")

    def memory(self) -> float:
        """Resident megabytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("no VmRSS")


@contextmanager
def running(folder: Path) -> Iterator[App]:
    app = App(folder)
    try:
        yield app
    finally:
        app.process.terminate()
        app.process.wait(30)


def call(client: httpx.Client, url: str, name: str, data: list[object]) -> list[object]:
    """One call of an endpoint: post, then read the answer's stream.

    Raises:
        RuntimeError: the app answered with an error.
    """
    posted = client.post(f"{url}/gradio_api/call/{name}", json={"data": data})
    if posted.status_code != 200:
        raise RuntimeError(posted.text)
    answer = client.get(f"{url}/gradio_api/call/{name}/{posted.json()['event_id']}").text
    event, _, rest = answer[answer.rindex("event: ") :].partition("\n")
    if event != "event: complete":
        raise RuntimeError(answer)
    values: list[object] = json.loads(rest.strip().removeprefix("data: "))
    return values


def inspect(client: httpx.Client, url: str, name: str, photo: bytes, *rest: object) -> list[object]:
    """Uploads a photo and has it inspected."""
    sent = client.post(f"{url}/gradio_api/upload", files={"files": (name, photo)}).json()[0]
    file = {"path": sent, "meta": {"_type": "gradio.FileData"}}
    return call(client, url, "predict_autoencoder", [file, *rest])


def measure(folder: Path, requests: int) -> Iterator[list[Line]]:
    """Start, load, memory: one after the other on one server."""
    imports = statistics.median(_seconds("import gradio, torch") for _ in range(3))
    small, large = encoded(200, "JPEG"), encoded(900, "PNG")
    started = time.perf_counter()
    with running(folder) as app:
        app.wait()
        with httpx.Client(timeout=60) as client:
            inspect(client, app.url, "cap.jpg", small, "cae", "rendered_cap", 1.0)
            first = time.perf_counter() - started
            yield [
                Line("import torch and gradio, bare", 1000 * imports, "ms"),
                Line(
                    "start to first verdict",
                    1000 * first,
                    "ms",
                    first / imports,
                    "× imports",
                    "≤ 2",
                ),
            ]
            alone = [_timed(lambda: call(client, app.url, "health", [])) for _ in range(20)]
            yield [Line("health alone, median", 1000 * statistics.median(alone), "ms")]
        yield _load(app.url, "200² JPEG", "cap.jpg", small, 20)
        yield _load(app.url, "900² PNG", "cap.png", large, 14)
        yield _memory(app, small, requests)


def _load(url: str, what: str, name: str, photo: bytes, wanted: float) -> list[Line]:
    """Eight clients for some seconds, while a ninth asks for health twice a second."""
    end = time.monotonic() + SECONDS
    times: list[float] = []
    errors: list[str] = []

    def visit(number: int) -> None:
        with httpx.Client(timeout=60) as client:
            while time.monotonic() < end:
                # Fresh bytes: an upload seen before would cost nothing to store.
                fresh = photo + os.urandom(8)
                began = time.perf_counter()
                try:
                    inspect(client, url, name, fresh, "cae", "rendered_cap", 1.0)
                    times.append(time.perf_counter() - began)
                except (RuntimeError, httpx.HTTPError) as error:
                    errors.append(str(error))

    health: list[float] = []

    def watch() -> None:
        with httpx.Client(timeout=60) as client:
            while time.monotonic() < end:
                health.append(_timed(lambda: call(client, url, "health", [])))
                time.sleep(0.5)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(visit, range(CLIENTS)))
    watcher.join()
    for error in errors[:3]:
        print(error)
    rate = len(times) / SECONDS
    return [
        Line(f"{CLIENTS} clients, {what}", rate, "answers/s", None, "", f"≥ {wanted}"),
        Line("  an answer, median", 1000 * statistics.median(times), "ms"),
        Line("  errors", len(errors), "", None, "", "≤ 0"),
        Line(
            "  health meanwhile, median", 1000 * statistics.median(health), "ms", None, "", "≤ 150"
        ),
        Line("  health meanwhile, slowest", 1000 * max(health), "ms"),
    ]


def _memory(app: App, photo: bytes, requests: int) -> list[Line]:
    """After every bundled model, and again after many more requests."""
    entries = [entry for entry in read_index() if entry.model in DETECTORS]
    with httpx.Client(timeout=60) as client:
        for entry in entries:
            inspect(client, app.url, "cap.jpg", photo, entry.model, entry.category, 1.0)
        before = app.memory()

        def ask(number: int) -> None:
            entry = entries[number % len(entries)]
            inspect(client, app.url, "cap.jpg", photo, entry.model, entry.category, 1.0)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(requests)))
        after = app.memory()
    return [
        Line(f"memory after all {len(entries)} models", before, "MB", None, "", "≤ 1200"),
        Line(
            f"memory {requests} requests later", after, "MB", after / before, "× before", "≤ 1.03"
        ),
    ]


def _seconds(code: str) -> float:
    return _timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def _timed(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started
