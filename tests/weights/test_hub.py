"""Files from the Hub, by a real client and a local server: the right one, or an error."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from defect.weights import hub
from defect.weights.hub import ExpectedFile, HubError, Pin, StillFetching
from tests.conftest import ROOT
from tests.hub_server import REPO, REVISION, HubServer

FILE = "vae/cable.safetensors"
DATA = bytes(range(256)) * 400
PIN = Pin(REPO, REVISION)
WANTED = ExpectedFile(FILE, hashlib.sha256(DATA).hexdigest(), len(DATA))


@pytest.fixture
def server(hub_server: HubServer) -> Iterator[HubServer]:
    hub_server.files[FILE] = DATA
    yield hub_server


def _cached_files(cache: Path) -> list[Path]:
    held = [p for p in cache.rglob("*") if p.is_file() and ".locks" not in p.parts]
    return [p for p in held if "blobs" in p.parts or "snapshots" in p.parts]


def test_the_right_file_comes_and_then_no_request_is_made(server: HubServer) -> None:
    assert hub.cached(PIN, WANTED) is None
    assert hub.fetch(PIN, WANTED) == DATA
    assert ("GET", f"/cdn/{WANTED.sha256}") in server.asked
    asked = len(server.asked)
    hub._FETCHES.clear()
    assert hub.fetch(PIN, WANTED) == DATA
    assert hub.cached(PIN, WANTED) == DATA
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("gated", f"{REPO} on the Hub is gated. Accept its terms"),
        ("private", f"There is no {REPO} on the Hub, or it is private"),
        ("revision", "has no revision 01234567…"),
        ("403", "refused to give .* token"),
        ("500", "the Hub answered with error 500"),
        ("503", "the Hub answered with error 503"),
        ("portal", "what answered is no Hub"),
        ("wrong bytes", "does not have the checksum listed .* It is refused"),
        ("too long", "is larger than listed|was cut off"),
    ],
)
def test_every_fault_is_an_error_in_a_sentence(
    server: HubServer, hub_cache: Path, fault: str, text: str
) -> None:
    server.fault = fault
    with pytest.raises(HubError, match=text) as caught:
        hub.fetch(PIN, WANTED, wait=20)
    assert str(caught.value).endswith(".") and server.url not in str(caught.value)
    assert str(hub_cache) not in str(caught.value)
    assert hub.cached(PIN, WANTED) is None
    assert not _cached_files(hub_cache)


def test_a_file_that_is_not_there_or_another_one(server: HubServer) -> None:
    with pytest.raises(HubError, match=r"has no vae/no\.safetensors at revision 0123"):
        hub.fetch(PIN, ExpectedFile("vae/no.safetensors", WANTED.sha256, 9))
    with pytest.raises(HubError, match=r"does not have the checksum .*expected ffff.* refused"):
        hub.fetch(PIN, ExpectedFile(FILE, "f" * 64, len(DATA)))
    with pytest.raises(HubError, match="is 102400 bytes, not the 99 listed"):
        hub.fetch(PIN, ExpectedFile(FILE, WANTED.sha256, 99))
    with pytest.raises(HubError, match="more than a weights file can have"):
        hub.fetch(PIN, ExpectedFile(FILE, WANTED.sha256, 10**9))
    assert server.downloads() == 0


def test_an_absent_hub_is_an_error_and_not_asked_again_at_once(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    downloads: list[str] = []
    download = hub._download

    def counted(fetch: Any) -> None:
        downloads.append(fetch.wanted.file)
        download(fetch)

    monkeypatch.setattr(hub, "_download", counted)
    for _ in range(3):
        with pytest.raises(HubError, match="cannot be reached"):
            hub.fetch(PIN, WANTED)
    assert downloads == [FILE]


def test_a_hub_that_came_back_is_asked_again(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.fault = "503"
    with pytest.raises(HubError):
        hub.fetch(PIN, WANTED)
    server.fault = ""
    with pytest.raises(HubError):
        hub.fetch(PIN, WANTED)
    monkeypatch.setattr(hub, "RETRY_AFTER", 0.0)
    assert hub.fetch(PIN, WANTED) == DATA


def test_offline_is_respected(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        hub.fetch(PIN, WANTED)
    assert not server.asked


def test_a_private_repository_needs_the_usual_token(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.token = "hf_secret"
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert hub.fetch(PIN, WANTED) == DATA


def test_a_slow_drip_goes_on_in_the_background(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_STEP", 100)
    server.fault = "drip"
    # The drip would take hours: that this returns shows that nobody waits for it.
    with pytest.raises(StillFetching, match=r"is being fetched: .* of 102 kB so far"):
        hub.fetch(PIN, WANTED, wait=0.4)
    with pytest.raises(StillFetching):
        hub.fetch(PIN, WANTED, wait=0.1)
    progress = hub.progress(PIN, WANTED)
    assert progress is not None and progress.running
    assert 0 < progress.received < progress.size == len(DATA)
    assert hub.cached(PIN, WANTED) is None
    server.fault = "stopped"
    assert server.downloads() == 1


def test_a_drip_without_end_is_given_up(
    server: HubServer, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_STEP", 100)
    monkeypatch.setattr(hub, "LONGEST", 0.3)
    server.fault = "drip"
    with pytest.raises(HubError, match=r"took over .* minutes\. Try again"):
        hub.fetch(PIN, WANTED, wait=20)
    server.fault = "stopped"
    assert not _cached_files(hub_cache)


def test_a_cut_download_is_resumed(server: HubServer, hub_cache: Path) -> None:
    server.fault = "cut once"
    assert hub.fetch(PIN, WANTED, wait=20) == DATA
    assert server.downloads() == 2


def test_a_download_that_is_always_cut_leaves_nothing(
    server: HubServer, hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    server.files[FILE] = DATA[:40]
    server.fault = "cut"
    with pytest.raises(HubError, match="cut off"):
        hub.fetch(PIN, ExpectedFile(FILE, hashlib.sha256(DATA[:40]).hexdigest(), 40), wait=60)
    assert not _cached_files(hub_cache)


def test_a_damaged_copy_in_the_cache_is_fetched_again(server: HubServer) -> None:
    hub.fetch(PIN, WANTED)
    path = hub.cached_path(PIN, WANTED)
    assert path is not None
    path.resolve().write_bytes(bytes(len(DATA)))
    hub._FETCHES.clear()
    assert hub.cached(PIN, WANTED) is None
    assert hub.fetch(PIN, WANTED) == DATA
    assert server.downloads() == 2


def test_many_visitors_share_one_download(server: HubServer) -> None:
    fetches = {id(hub.start(PIN, WANTED)) for _ in range(20)}
    assert hub.fetch(PIN, WANTED) == DATA
    assert len(fetches) == 1 and server.downloads() == 1


_PULL = (
    "import sys; from defect.weights.hub import *; "
    "pin, (file, sha256, size) = Pin(*sys.argv[1:3]), sys.argv[3:]; "
    "print(len(fetch(pin, ExpectedFile(file, sha256, int(size)))))"
)


def test_four_processes_pulling_at_once_end_with_one_good_copy(
    server: HubServer, tmp_path: Path
) -> None:
    environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    arguments = [PIN.repo, PIN.revision, WANTED.file, WANTED.sha256, str(WANTED.size)]
    pulls = [
        subprocess.Popen(
            [sys.executable, "-c", _PULL, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    assert [pull.communicate(timeout=100)[0].strip() for pull in pulls] == [str(len(DATA))] * 4
    files = [p for p in (tmp_path / "home/hub").rglob("*") if p.is_file() and not p.is_symlink()]
    blobs = [p for p in files if "blobs" in p.parts]
    assert [p.read_bytes() for p in blobs] == [DATA]
