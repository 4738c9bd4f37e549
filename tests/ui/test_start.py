"""Starting the app: what goes wrong is reported in one sentence."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import app
from defect.detectors import catalogue
from tests.conftest import ROOT


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """`app.main` leaves this process's threads and heap as they are."""
    monkeypatch.setattr(app, "configure_threads", lambda: None)
    monkeypatch.setattr(app, "configure_heap", lambda: None)
    return monkeypatch


def test_a_taken_port_is_reported(start: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        start.setenv("GRADIO_SERVER_PORT", port)
        with pytest.raises(SystemExit, match=rf"^defect: .*{port}.*GRADIO_SERVER_PORT"):
            app.main()


def test_weights_that_are_not_there_are_reported(start: pytest.MonkeyPatch) -> None:
    start.setattr(catalogue, "categories", dict)
    with pytest.raises(SystemExit, match=r"^defect: There are no autoencoder weights"):
        app.main()


def test_a_damaged_index_is_reported_without_a_trace(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "defect", folder / "defect", ignore=ignored)
    shutil.copy(ROOT / "app.py", folder)
    (folder / "weights").mkdir()
    (folder / "weights/index.json").write_text('{"schema_version": 1, "files": [')
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=folder,
        env=os.environ.copy(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode not in (0, None)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("defect: ")]
    assert len(lines) == 1 and "index.json is damaged" in lines[0], done.stderr
    assert str(folder) not in lines[0]
