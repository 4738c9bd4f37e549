"""Attacks on the running app by one visitor, and what another one notices meanwhile.

`python -m benchmarks.attack` starts the app of this checkout (or `--app DIR`) and prints a table.
Only this machine is asked, with bounded loops; it takes about five minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
API = "/gradio_api"
GUEST, WATCHER = "5.5.5.5", "4.4.4.4"
LONG = 90.0
"""Seconds a client waits for an answer."""


class App:
    """`python app.py` of a checkout, on a free port."""

    def __init__(self, checkout: Path, folder: Path, temporary: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.hostile = "6.6.6.6"
        self.url, self.uploads, self.log = f"http://127.0.0.1:{port}", temporary, folder / "log.txt"
        environment = os.environ | {
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": str(temporary),
            "DEFECT_TRUST_FORWARDED": "1",
        }
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=checkout, env=environment, stdout=log, stderr=log
            )
        end = time.monotonic() + 120
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(httpx.TransportError):
                httpx.get(self.url, timeout=30)
                return
            time.sleep(0.1)
        raise RuntimeError(f"the app did not start: {self.log.read_text()[-500:]}")

    def memory(self, peak: bool = False) -> float:
        """Resident megabytes, now or at most so far."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
        return float("nan")

    def forget_peak(self) -> None:
        """Starts the peak anew, where the kernel allows it."""
        with suppress(OSError):
            Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def client(self, address: str) -> httpx.Client:
        """A client of this address."""
        limits = httpx.Limits(max_connections=200)
        forwarded = {"X-Forwarded-For": f"1.2.3.4, {address}"}
        return httpx.Client(base_url=self.url, timeout=LONG, headers=forwarded, limits=limits)


@contextmanager
def running(checkout: Path, temporary: Path | None = None) -> Iterator[App]:
    """The app of a checkout, ended with the block."""
    with tempfile.TemporaryDirectory() as folder:
        app = App(checkout, Path(folder), temporary or Path(folder) / "gradio")
        try:
            yield app
        finally:
            app.process.terminate()
            try:
                app.process.wait(20)
            except subprocess.TimeoutExpired:
                app.process.kill()


def picture(side: int, seed: int = 0) -> bytes:
    """A photo nobody sent before, as JPEG."""
    pixels = np.random.default_rng(seed + time.monotonic_ns()).integers(0, 255, (side // 16,) * 2)
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).resize((side, side)).save(stream, "JPEG")
    return stream.getvalue()


def upload(client: httpx.Client, data: bytes, name: str = "photo.jpg") -> dict[str, Any]:
    """Uploads a file; returns what an endpoint takes for it."""
    answer = client.post(f"{API}/upload", files={"files": (name, data)})
    answer.raise_for_status()
    return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}


def post(client: httpx.Client, name: str, data: list[Any]) -> httpx.Response:
    """Asks for a call without waiting for its answer."""
    return client.post(f"{API}/call/{name}", json={"data": data})


def call(client: httpx.Client, name: str, data: list[Any]) -> tuple[bool, Any]:
    """Calls an endpoint; returns whether it succeeded, and its answer or its error."""
    posted = post(client, name, data)
    if posted.status_code != 200:
        try:
            return False, posted.json().get("detail")
        except ValueError:
            return False, None
    text = client.get(f"{API}/call/{name}/{posted.json()['event_id']}").text
    last = text.strip().split("\n\n")[-1]
    event, _, value = last.partition("\n")
    answer = json.loads(value.removeprefix("data: ") or "null")
    if event == "event: complete":
        return True, answer
    return False, answer.get("error") if isinstance(answer, dict) else answer


@dataclass
class Noticed:
    """What others notice during an attack."""

    photos: list[float]
    """Seconds until another visitor's photo was answered."""
    health: list[float]
    failed: int
    start: float
    end: float
    peak: float
    """Resident megabytes before, after and at most."""

    def line(self, name: str, figure: str) -> str:
        """A line of the table."""
        slowest = f"{max(self.photos):.1f}" if self.photos else "–"
        p99 = f"{statistics.quantiles(self.health, n=100)[98]:.2f}" if len(self.health) > 1 else "–"
        memory = f"{self.start:.0f} → {self.end:.0f} (peak {self.peak:.0f})"
        return f"| {name} | {figure} | {slowest} s | {p99} s | {self.failed} | {memory} |"


def during(app: App, attack: Callable[[App], str], seconds: float = 8.0) -> tuple[str, Noticed]:
    """Runs an attack for at least so many seconds of another visitor's photos and `/health`."""
    stop = threading.Event()
    noticed = Noticed([], [], 0, app.memory(), 0.0, 0.0)
    app.forget_peak()

    def look() -> None:
        with app.client(GUEST) as client:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    photo = upload(client, picture(640))
                    done, _ = call(client, "predict_autoencoder", [photo, "cae", "rendered_cap", 1])
                except (httpx.HTTPError, ValueError):
                    done = False
                noticed.photos.append(time.monotonic() - began)
                noticed.failed += not done
                stop.wait(0.5)

    def ask() -> None:
        with app.client(WATCHER) as client:
            while not stop.is_set():
                began = time.monotonic()
                with suppress(httpx.HTTPError):
                    client.get("/health")
                noticed.health.append(time.monotonic() - began)
                stop.wait(0.03)

    others = [threading.Thread(target=look), threading.Thread(target=ask)]
    for thread in others:
        thread.start()
    began = time.monotonic()
    try:
        figure = attack(app)
        time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    finally:
        stop.set()
        for thread in others:
            thread.join()
    noticed.end, noticed.peak = app.memory(), app.memory(peak=True)
    return figure, noticed


def statuses(answers: list[int | str]) -> str:
    """How often each status was answered."""
    counts = {status: answers.count(status) for status in dict.fromkeys(answers)}
    return ", ".join(f"{count} × {status}" for status, count in counts.items())


def tried(send: Callable[..., httpx.Response], *arguments: Any, **options: Any) -> int | str:
    """The answer's status, or what went wrong on the way."""
    try:
        return send(*arguments, **options).status_code
    except httpx.HTTPError as error:
        return type(error).__name__


def many_files(app: App) -> str:
    with app.client(app.hostile) as client:
        photo = upload(client, picture(64))
        sent: list[int | str] = []
        for count in (20_000, 100_000, 20_000):
            data = [[photo] * count, "cae", "rendered_cap", 1]
            sent.append(tried(post, client, "predict_batch", data))
    return statuses(sent)


def accepted_files(app: App) -> str:
    """As many files as one request may name, many times."""
    with app.client(app.hostile) as client:
        photo = upload(client, picture(64))
        data = [[photo] * 500, "cae", "rendered_cap", 1]
        return statuses([tried(post, client, "predict_batch", data) for _ in range(20)])


def large_body(app: App) -> str:
    body = b'{"data":["' + b"a" * 150_000_000 + b'"]}'
    sent = {"Content-Type": "application/json"}
    with app.client(app.hostile) as client:
        address = f"{API}/call/predict_batch"
        return statuses([tried(client.post, address, content=body, headers=sent) for _ in range(2)])


def deep_body(app: App) -> str:
    body = b'{"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    sent = {"Content-Type": "application/json"}
    with app.client(app.hostile) as client:
        address = f"{API}/call/predict_batch"
        return statuses(
            [tried(client.post, address, content=body, headers=sent) for _ in range(10)]
        )


def teach_flood(app: App) -> str:
    with app.client(app.hostile) as client:
        photo = upload(client, picture(640))
        sent = [tried(post, client, "teach", [[photo] * 300, "x"]) for _ in range(65)]
        with app.client(GUEST) as guest:
            photos = [upload(guest, picture(256, i), f"{i}.jpg") for i in range(3)]
            began = time.monotonic()
            with suppress(httpx.HTTPError):
                call(guest, "teach", [photos, "mine"])
        return f"{statuses(sent)}; another's teaching {time.monotonic() - began:.0f} s"


def photo_flood(app: App) -> str:
    with app.client(app.hostile) as client:
        photo = upload(client, picture(4000))
        data = [photo, "cae", "rendered_cap", 1]
        sent = [tried(post, client, "predict_autoencoder", data) for _ in range(100)]
    return statuses(sent)


def side_doors(app: App) -> str:
    with app.client(app.hostile) as client:
        photo = upload(client, picture(4000))
        data = {"data": [photo, "cae", "rendered_cap", 1]}

        def run(i: int) -> int | str:
            with app.client(app.hostile) as own:
                return tried(own.post, f"{API}/run/predict_autoencoder", json=data)

        with ThreadPoolExecutor(20) as pool:
            sent = list(pool.map(run, range(20)))
        config = client.get("/config").json()["dependencies"]
        private = [d for d in config if d["api_visibility"] == "private"]
        for dependency in private:
            name = dependency["api_name"]
            for path in (f"run/{name}", f"api/{name}", f"call/{name}"):
                sent.append(
                    tried(lambda path=path: client.post(f"{API}/{path}", json={"data": []}))
                )
        for path in ("/monitoring/summary", f"{API}/queue/status"):
            sent.append(tried(client.get, path))
    return statuses(sent)


def detector_file(app: App) -> tuple[bytes, str]:
    """A taught detector's file, and the name of the endpoint that loads one."""
    with app.client(GUEST) as client:
        photos = [upload(client, picture(256, i), f"{i}.jpg") for i in range(3)]
        done, answer = call(client, "teach", [photos, "mine"])
        if not done:
            raise RuntimeError(f"nothing could be taught: {answer}")
        names = [d["api_name"] for d in client.get("/config").json()["dependencies"]]
        loader = "load_detector" if "load_detector" in names else "load_taught"
        return client.get(answer[2]["url"]).content, loader


def lost_detectors(app: App) -> str:
    """24 loads by one address, and 500 calls; an open page's detector must stay."""
    data, loader = detector_file(app)
    with app.client(GUEST) as guest, app.client(app.hostile) as client:
        session = "guest-page"
        with guest.stream("GET", f"{API}/heartbeat/{session}") as page:
            next(page.iter_lines())
            config = guest.get("/config").json()["dependencies"]
            index = next(d["id"] for d in config if d["api_name"] == loader)
            body = {
                "data": [upload(guest, data, "mine.safetensors")],
                "fn_index": index,
                "session_hash": session,
            }
            guest.post(f"{API}/queue/join", json=body).raise_for_status()
            key = ""
            with guest.stream("GET", f"{API}/queue/data?session_hash={session}") as stream:
                for line in stream.iter_lines():
                    if "process_completed" in line:
                        key = json.loads(line[6:])["output"]["data"][0]
                        break
            mine = upload(client, data, "other.safetensors")
            loaded = sum(call(client, loader, [mine])[0] for _ in range(30))
            for _ in range(500):
                post(client, "health", [])
            photo = upload(guest, picture(256))
            if loader == "load_detector":
                kept, answer = call(guest, "predict_autoencoder", [photo, key, "", 1])
            else:
                kept, answer = call(guest, "inspect_taught", [photo, key, 1])
    return f"{loaded} loaded by others; kept: {kept}" + ("" if kept else f" ({answer})")


def aborted_uploads(app: App) -> str:
    before = parts(app)
    host, port = app.url.removeprefix("http://").split(":")
    head = (
        f"POST {API}/upload HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {app.hostile}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    ).encode()
    for _ in range(200):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head + bytes(20_000))
    time.sleep(2)
    return f"200 aborted, {parts(app) - before} parts left"


def stalled_uploads(app: App) -> str:
    host, port = app.url.removeprefix("http://").split(":")
    head = (
        f"POST {API}/upload HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: {app.hostile}\r\n"
        "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 9000000\r\n\r\n"
        '--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    ).encode()
    connections = []
    began = time.monotonic()
    for _ in range(40):
        connection = socket.create_connection((host, int(port)))
        connection.settimeout(45)
        connection.sendall(head)
        connections.append(connection)
    codes: list[int | str] = []
    for connection in connections:
        with connection:
            try:
                codes.append(connection.recv(100).split(b" ")[1].decode())
            except (OSError, IndexError):
                codes.append("open after 45 s")
    return f"{statuses(codes)}, the last after {time.monotonic() - began:.0f} s"


def unread_calls(app: App) -> str:
    with app.client(app.hostile) as client:
        photo = upload(client, picture(640))
        sent: list[int | str] = []
        for _ in range(300):
            data = [photo, "cae", "rendered_cap", 1]
            sent.append(tried(post, client, "predict_autoencoder", data))
            time.sleep(0.05)
    return statuses(sent)


def wrong_values(app: App) -> str:
    """Every public endpoint with odd values; each error has to be a sentence."""
    odd: list[Any] = [None, "", "x", -1, 10**300, 1e300, True, [], {}, [None], [{}], {"path": None}]
    odd += ["/etc/passwd", {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}, "ü" * 999]
    silent: list[str] = []
    count = 0
    with app.client(app.hostile) as client:
        photo = upload(client, picture(64))
        named = client.get(f"{API}/info").json()["named_endpoints"]
        for name, endpoint in named.items():
            name = name.strip("/")
            usual: list[Any] = []
            for parameter in endpoint["parameters"]:
                kind = str(parameter["python_type"]["type"])
                listed = "list" in kind.lower()
                if "filepath" in kind:
                    usual.append([photo] if listed else photo)
                else:
                    usual.append(parameter.get("parameter_default"))
            for position in range(len(usual)):
                for value in odd:
                    data = [*usual[:position], value, *usual[position + 1 :]]
                    done, answer = call(client, name, data)
                    count += 1
                    if not done and not (isinstance(answer, str) and " " in answer):
                        silent.append(f"{name}({str(value)[:20]}): {answer}")
    more = f", such as {silent[0]}" if silent else ""
    return f"{count} calls, {len(silent)} errors without a sentence{more}"


def parts(app: App) -> int:
    """Parts of uploads that are or were being written."""
    return sum(file.stat().st_size > 0 for file in app.uploads.glob("tmp*"))


def full_disk(checkout: Path) -> str:
    """An app whose temporary folder is a small disk that was filled; needs root."""
    with tempfile.TemporaryDirectory() as mount:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=40m", "none", mount], capture_output=True
        )
        if made.returncode:
            return "not tried: no right to mount a small disk"
        try:
            with running(checkout, Path(mount)) as app, app.client(app.hostile) as client:
                photo = upload(client, picture(256))
                filler = Path(mount, "filler")
                with suppress(OSError), filler.open("wb") as file:
                    while True:
                        file.write(bytes(100_000))
                refused = client.post(f"{API}/upload", files={"files": ("a.jpg", picture(64))})
                _, answer = call(client, "predict_autoencoder", [photo, "cae", "rendered_cap", 1])
                filler.unlink()
                again, _ = call(client, "predict_autoencoder", [photo, "cae", "rendered_cap", 1])
                return (
                    f"upload: {refused.status_code} {refused.text[:60]!r}; endpoint: {answer!r}; "
                    f"after it was freed: {'works' if again else 'fails'}"
                )
        finally:
            subprocess.run(["umount", "-l", mount], capture_output=True)


ATTACKS: dict[str, Callable[[App], str]] = {
    "nothing": lambda app: "",
    "20,000 and 100,000 files named": many_files,
    "500 files named, 20 times": accepted_files,
    "150 MB of JSON": large_body,
    "100,000 lists nested": deep_body,
    "300 × one photo, taught 65 times": teach_flood,
    "100 × one photo of 16 MP": photo_flood,
    "/run, /api, private functions": side_doors,
    "30 detectors loaded, 500 calls": lost_detectors,
    "200 aborted uploads": aborted_uploads,
    "40 uploads that stall": stalled_uploads,
    "300 calls never read": unread_calls,
    "odd values": wrong_values,
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", type=Path, default=ROOT, help="the checkout to attack")
    parser.add_argument("--only", help="a part of an attack's name")
    options = parser.parse_args()
    print("| attack | figure | another's photo, slowest | /health p99 | failed | memory, MB |")
    print("|---|---|---|---|---|---|", flush=True)
    with running(options.app) as app:
        with app.client(GUEST) as client:  # loads the network
            photo = upload(client, picture(640))
            call(client, "predict_autoencoder", [photo, "cae", "rendered_cap", 1])
        for number, (name, attack) in enumerate(ATTACKS.items()):
            if options.only and options.only not in name:
                continue
            try:
                app.hostile = f"6.6.6.{number}"  # each attack by another visitor
                figure, noticed = during(app, attack)
                print(noticed.line(name, figure), flush=True)
            except (httpx.HTTPError, RuntimeError, KeyError) as error:
                print(f"| {name} | failed: {error!r} | | | | |", flush=True)
            _settle(app)
        log = app.log.read_text()
    tracebacks = log.count("Traceback")
    print(f"| the log | {len(log.splitlines())} lines, {tracebacks} tracebacks | | | | |")
    if not options.only or options.only in "full disk":
        print(f"| full disk | {full_disk(options.app)} | | | | |")


def _settle(app: App) -> None:
    """Waits until the app is idle again, at most a minute."""
    end = time.monotonic() + 60
    with app.client(WATCHER) as client:
        while time.monotonic() < end:
            began = time.monotonic()
            with suppress(httpx.HTTPError):
                call(client, "health", [])
                if time.monotonic() - began < 0.3:
                    return
            time.sleep(1)


if __name__ == "__main__":
    main()
