"""Shared by all tests: a tiny rendered data set, weights trained on it, and the real photos."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.hub_server import HubServer

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
# Sums in another order give other last digits: as many threads in every test and child process.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
TINY = "rendered_cap"


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One rendered category: 20 training, 4 good and 3×2 defective test photos."""
    from defect.datasets import rendered

    root = tmp_path_factory.mktemp("data")
    rendered.write_dataset(root, [TINY], train=20, good=4, defective=2, seed=7)
    return root


@pytest.fixture(scope="session")
def tiny_weights(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A weights folder with a CAE trained for one epoch: fit for plumbing, not for verdicts."""
    from defect.training import checkpoint
    from defect.training.autoencoder import Recipe, train_and_save

    folder = tmp_path_factory.mktemp("weights")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "RUNS_FOLDER", tmp_path_factory.mktemp("runs"))
        train_and_save("cae", TINY, tiny_data, folder, Recipe(epochs=1))
    return folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with the real photos; tests that need it are skipped where it is absent."""
    folder = Path(os.environ.get("DEFECT_DATA") or ROOT / "../shared/data")
    if not (folder / "mvtec").is_dir():
        pytest.skip("no real photos here: set DEFECT_DATA to a folder with mvtec/ and neu/")
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_app(root: Path, folder: Path, settings: Mapping[str, str]) -> Iterator[str]:
    """The URL of a checkout's `python app.py` on a free port; what it writes lands in `folder`."""
    port, log = free_port(), folder / "log.txt"
    environment = os.environ | {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        **settings,
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=root, env=environment, stdout=output, stderr=output
        )
        try:
            wait_for(f"http://127.0.0.1:{port}/", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def app_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`python app.py` as a visitor starts it; stopped at the end."""
    with running_app(ROOT, tmp_path_factory.mktemp("app"), {}) as url:
        yield url


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Returns when the URL answers; fails the test when the process stops or takes two minutes."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"The app stopped while starting:\n{log.read_text()}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"The app did not answer in two minutes:\n{log.read_text()}")


@pytest.fixture
def hub_cache(tmp_path: Path) -> Path:
    """The Hub client's cache, where `hub_server` is used."""
    return tmp_path / "hub cache"


@pytest.fixture
def hub_server(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub on this machine; this process's client asks it, online and with an empty cache."""
    from huggingface_hub import close_session, constants

    from defect.weights import hub
    from tests.hub_server import HubServer

    server = HubServer().start()
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    for name, value in {
        "HF_HUB_OFFLINE": False,
        "HF_HUB_DISABLE_XET": True,
        "ENDPOINT": server.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": template,
        "HF_HUB_CACHE": str(hub_cache),
    }.items():
        monkeypatch.setattr(constants, name, value)
    for name in ("HF_TOKEN", "DEFECT_HUB_REPO", "DEFECT_HUB_REVISION"):
        monkeypatch.delenv(name, raising=False)
    hub._FETCHES.clear()
    hub._NOT_FOUND.clear()
    yield server
    server.stop()
    close_session()
    hub._FETCHES.clear()
    hub._NOT_FOUND.clear()
