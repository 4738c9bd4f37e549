"""Files of one Hub repository at one pinned revision: from the cache, or downloaded and checked.

What is cached is used with no request. A download runs in the background, so that its caller can
go on without it; its bytes are compared with a checksum known beforehand. There is no torch here.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defect.inspection import Message
from defect.weights.hub_errors import COMMIT, HubError, StillFetching, describe_error

APP_WAIT = 5.0
"""Seconds the app waits for a download before it says so and goes on without it."""
RETRY_AFTER = 20.0
"""Seconds a failure is repeated from memory before the Hub is asked again."""
LONGEST = 900.0
"""Seconds after which a download that only drips is given up."""
MAX_FILE_BYTES = 300 * 1024**2
SHA256 = re.compile("[0-9a-f]{64}")
CHECKSUM = re.compile("[0-9a-f]{64}|[0-9a-f]{40}")
"""SHA-256 of a file in LFS, or SHA-1 of a Git blob."""
_STEP = 128 * 1024
"""Bytes from one look at a download to the next."""


@dataclass(frozen=True)
class Pin:
    """A repository on the Hub at one commit."""

    repo: str
    """`owner/name`."""
    revision: str
    """The commit's 40 hexadecimal digits."""
    named: str = "weights/index.json"
    """Where somebody named it, for messages."""


@dataclass(frozen=True)
class ExpectedFile:
    """A file whose content is known before it is fetched."""

    file: str
    """Path in the repository."""
    sha256: str
    """Or the Git blob's 40-digit SHA-1, all the Hub says of a small file outside LFS."""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is."""

    received: int
    """Bytes, of `size`."""
    size: int
    running: bool
    failure: str
    """A sentence; empty while it runs and after it succeeded."""


class _Fetch:
    """One download's state, shared by its thread and those who wait for it."""

    def __init__(self, pin: Pin, wanted: ExpectedFile) -> None:
        self.pin, self.wanted = pin, wanted
        self.started = time.monotonic()
        self.ended = 0.0
        self.received = 0
        self.failure = ""
        self.final = False
        """Whether asking again could not help: a revision's content never changes."""
        self.done = threading.Event()

    def advance(self, count: int) -> None:
        self.received += count
        if self.received > self.wanted.size:
            raise HubError(
                Message(
                    "larger_than_listed_refused",
                    "{name} is larger than listed. It is refused.",
                    name=_name(self.pin, self.wanted),
                )
            )
        if time.monotonic() - self.started > LONGEST:
            raise HubError(
                Message(
                    "took_over_minutes_try",
                    "{name} took over {value} minutes. Try again.",
                    name=_name(self.pin, self.wanted),
                    value=f"{LONGEST / 60:.0f}",
                )
            )


class _Refused(HubError):
    """The file at this revision is not the one listed."""


_FETCHES: dict[tuple[Pin, ExpectedFile], _Fetch] = {}
_NOT_FOUND: dict[tuple[Pin, str], tuple[float, str]] = {}
"""When and why `find` failed."""
_LOCK = threading.Lock()
_SLOTS = threading.BoundedSemaphore(2)
"""Downloads at a time; the rest wait in their own threads."""


def cached(pin: Pin, wanted: ExpectedFile) -> bytes | None:
    """The file's verified bytes from the Hub's local cache, with no request; None if not there."""
    path = cached_path(pin, wanted)
    if path is None:
        return None
    with suppress(OSError):
        data = path.read_bytes()
        if _checksum(data, wanted) == wanted.sha256:
            return data
    return None


def cached_path(pin: Pin, wanted: ExpectedFile) -> Path | None:
    """Where the cache holds a file of that name and size; its checksum is not compared here."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(pin.repo, wanted.file, revision=pin.revision)
    if not isinstance(found, str):
        return None
    with suppress(OSError):
        if Path(found).stat().st_size == wanted.size <= MAX_FILE_BYTES:
            return Path(found)
    return None


def find(repo: str, file: str, revision: str, named: str) -> tuple[Pin, ExpectedFile]:
    """A file nobody listed here: the Hub says its commit, checksum and size.

    At a commit whose file is cached no request is made.

    Args:
        revision: a commit, a branch or a tag.
        named: where the repository was named, for messages.

    Raises:
        HubError: the Hub cannot be asked or has no such file; the text says why.
    """
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError

    pin, unknown = Pin(repo, revision, named), ExpectedFile(file, "", 0)
    failed = _NOT_FOUND.get((pin, file))
    if failed is not None and time.monotonic() - failed[0] < RETRY_AFTER:
        raise HubError(failed[1])
    try:
        held = try_to_load_from_cache(repo, file, revision=revision)
        if isinstance(held, str) and COMMIT.fullmatch(revision):
            # The cache calls a file by its checksum.
            blob = Path(held).resolve()
            if CHECKSUM.fullmatch(blob.name):
                return pin, ExpectedFile(file, blob.name, blob.stat().st_size)
        about = get_hf_file_metadata(hf_hub_url(repo, file, revision=revision))
    except HFValidationError as error:
        raise HubError(
            Message(
                "name_repository_check",
                '"{repo}" is no name of a repository. Check {named}.',
                repo=repo,
                named=named,
            )
        ) from error
    except (HTTPError, InvalidURL, OSError, ValueError, RuntimeError, EntryNotFoundError) as error:
        why = describe_error(error, file, repo, revision, named)
        _NOT_FOUND[pin, file] = time.monotonic(), why
        raise HubError(why) from error
    commit, sha256, size = about.commit_hash or "", about.etag or "", about.size or 0
    if not (COMMIT.fullmatch(commit) and CHECKSUM.fullmatch(sha256) and size):
        raise HubError(
            Message(
                "has_checksum_name_another",
                "{name} has no checksum there. Name another repository.",
                name=_name(pin, unknown),
            )
        )
    return Pin(repo, commit, named), ExpectedFile(file, sha256, size)


def fetch(pin: Pin, wanted: ExpectedFile, wait: float | None = None) -> bytes:
    """The file's verified bytes, downloaded unless they are cached.

    Args:
        wait: seconds until `StillFetching`, while the download goes on; None: until it is done.

    Raises:
        StillFetching: it is on its way; ask again.
        HubError: it cannot be had; the text says why.
    """
    data = cached(pin, wanted)
    if data is not None:
        return data
    running = start(pin, wanted)
    if not running.done.wait(wait):
        raise StillFetching(
            Message(
                "being_fetched_so_far",
                "{name} is being fetched: {megabytes} of {megabytes2} so far. Try "
                "again in a moment.",
                name=_name(pin, wanted),
                megabytes=megabytes(running.received),
                megabytes2=megabytes(wanted.size),
            )
        )
    data = None if running.failure else cached(pin, wanted)
    if data is None:
        raise HubError(running.failure or f"{_name(pin, wanted)} left the cache again. Try again.")
    return data


def start(pin: Pin, wanted: ExpectedFile) -> _Fetch:
    """Starts the download in the background, unless it runs or has just failed."""
    with _LOCK:
        known = _FETCHES.get((pin, wanted))
        if known is not None:
            recent = known.failure and time.monotonic() - known.ended < RETRY_AFTER
            if not known.done.is_set() or known.final or recent:
                return known
        fresh = _FETCHES[pin, wanted] = _Fetch(pin, wanted)
    threading.Thread(target=_run, args=(fresh,), daemon=True, name="hub download").start()
    return fresh


def progress(pin: Pin, wanted: ExpectedFile) -> DownloadProgress | None:
    """How far the file's download is; None if none was started here."""
    known = _FETCHES.get((pin, wanted))
    if known is None:
        return None
    return DownloadProgress(known.received, wanted.size, not known.done.is_set(), known.failure)


def megabytes(size: int) -> str:
    """Such as `28 MB`."""
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _run(fetch: _Fetch) -> None:
    from httpx2 import HTTPError, InvalidURL
    from huggingface_hub.errors import EntryNotFoundError, XetDownloadError

    failure = f"{_name(fetch.pin, fetch.wanted)} could not be fetched. Try again."
    known = (HubError, HTTPError, InvalidURL, OSError, ValueError, RuntimeError)
    try:
        with _SLOTS:
            _download(fetch)
        failure = ""
    except (*known, EntryNotFoundError, XetDownloadError) as error:
        failure = describe_error(
            error, fetch.wanted.file, fetch.pin.repo, fetch.pin.revision, fetch.pin.named
        )
        fetch.final = isinstance(error, _Refused)
    finally:
        fetch.failure, fetch.ended = failure, time.monotonic()
        fetch.done.set()


def _download(fetch: _Fetch) -> None:
    from huggingface_hub import (
        constants,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )
    from huggingface_hub.errors import FileMetadataError

    pin, wanted, name = fetch.pin, fetch.wanted, _name(fetch.pin, fetch.wanted)
    if wanted.size > MAX_FILE_BYTES:
        raise _Refused(
            Message(
                "more_than_weights_file",
                "{name} is {megabytes}, more than a weights file can have.",
                name=name,
                megabytes=megabytes(wanted.size),
            )
        )
    # Asked first, as it fails at once where `hf_hub_download` would try an absent Hub for 23 s.
    about = get_hf_file_metadata(hf_hub_url(pin.repo, wanted.file, revision=pin.revision))
    if about.commit_hash is None:
        raise FileMetadataError
    if about.size not in (None, wanted.size):
        raise _Refused(
            Message(
                "bytes_not_listed_refused",
                "{name} is {size} bytes, not the {size2} listed. It is refused.",
                name=name,
                size=about.size,
                size2=wanted.size,
            )
        )
    if about.etag and SHA256.fullmatch(about.etag) and about.etag != wanted.sha256:
        raise _Refused(_wrong(name, wanted, about.etag))
    # The client's own 10 MB would let a bar jump, and a drip go on unseen.
    constants.DOWNLOAD_CHUNK_SIZE = _STEP
    # A cached copy that got here is damaged: it is there, but `cached` did not take it.
    held = try_to_load_from_cache(pin.repo, wanted.file, revision=pin.revision)
    path = Path(
        hf_hub_download(
            pin.repo,
            wanted.file,
            revision=pin.revision,
            force_download=isinstance(held, str),
            tqdm_class=_bar(fetch),
        )
    )
    found = _checksum(path.read_bytes(), wanted)
    if found != wanted.sha256:
        for copy in (path.resolve(), path):
            copy.unlink(missing_ok=True)
        raise HubError(_wrong(name, wanted, found))


def _checksum(data: bytes, wanted: ExpectedFile) -> str:
    """Of the kind that is expected."""
    if len(wanted.sha256) == 64:
        return hashlib.sha256(data).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _bar(fetch: _Fetch) -> Any:
    """The class of progress bar the Hub client is to use: it draws nothing and tells `fetch`."""
    from tqdm import tqdm

    class Bar(tqdm):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*arguments, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            fetch.advance(int(n or 0))
            return None

        # Having these, the Xet client counts a file once, not once received and once written.
        def update_transfer(self, n: float = 1) -> None:
            pass

        def set_transfer_postfix_str(self, *arguments: Any, **options: Any) -> None:
            pass

    return Bar


def _wrong(name: str, wanted: ExpectedFile, found: str) -> str:
    return Message(
        "does_not_have_checksum",
        "{name} does not have the checksum listed (expected {value}…, found "
        "{value2}…). It is refused.",
        name=name,
        value=wanted.sha256[:12],
        value2=found[:12],
    )


def _name(pin: Pin, wanted: ExpectedFile) -> str:
    return f"{wanted.file} of {pin.repo} on the Hub"
