"""Where weights come from: the bundled folder, then the Hub's cache, then the Hub.

`weights/index.json` names the repository and its commit (`hub.repo`, `hub.revision`) and lists what
is on the Hub but not bundled (`hub.files`); `DEFECT_HUB_REPO` and `DEFECT_HUB_REVISION` name
another place for the same files. Whatever the source, the index's checksum decides.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from defect.inspection import Message, WeightsSource
from defect.weights import files, hub
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.files import Weights
from defect.weights.hub import DownloadProgress, ExpectedFile, HubError, Pin, StillFetching
from defect.weights.index import (
    INDEX_NAME,
    IndexEntry,
    damaged,
    read_document,
    read_index,
    relative_path,
)

Kind = Literal["bundled", "hub cache", "hub"]
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class DownloadPending(NotAvailable):
    """The file is being fetched from the Hub, in the background."""


@dataclass(frozen=True)
class Availability:
    """Where one model and category's weights are."""

    kind: Kind
    size: int
    """Bytes."""


def pin(folder: Path) -> Pin | None:
    """The repository and commit to fetch from; None where nobody has published.

    Raises:
        WeightsError: the index or an environment variable names no repository at a commit.
    """
    repo, revision, _ = _hub_section(folder)
    repo = os.environ.get("DEFECT_HUB_REPO") or repo
    revision = os.environ.get("DEFECT_HUB_REVISION") or revision
    if repo is None:
        return None
    if not _REPO.fullmatch(repo):
        text = '"{repo}" is not a repository on the Hub. Use OWNER/NAME.'
        raise WeightsError(Message("not_a_repository", text, repo=repo[:80]))
    if revision is None or not hub.COMMIT.fullmatch(revision):
        raise WeightsError(
            Message(
                "which_commit",
                "Which commit of {repo}? Put its 40 hexadecimal digits as `hub.revision` into "
                "weights/{index}, or set DEFECT_HUB_REVISION.",
                repo=repo,
                index=INDEX_NAME,
            )
        )
    return Pin(repo, revision)


def only_on_hub(folder: Path) -> list[IndexEntry]:
    """What can be fetched though it is not bundled; none where nobody has published.

    Raises:
        WeightsError: the index is damaged, or `pin` raises it.
    """
    return list(_hub_section(folder)[2]) if pin(folder) is not None else []


def availability(folder: Path, model: str, category: str) -> Availability | None:
    """Where the weights are, by name and size; no request is made and no checksum compared.

    Raises:
        WeightsError: the index is damaged, or `pin` raises it.
    """
    relative = relative_path(model, category)
    bundled = next((e for e in read_index(folder) if e.file == relative), None)
    if bundled is not None:
        return Availability("bundled", bundled.size)
    entry = next((e for e in only_on_hub(folder) if e.file == relative), None)
    if entry is None:
        return None
    held = hub.cached_path(_pinned(folder), _expected(entry)) is not None
    return Availability("hub cache" if held else "hub", entry.size)


def read(folder: Path, model: str, category: str) -> Weights:
    """Reads and verifies the weights of one model and category from the first source that has them.

    Raises:
        NotAvailable: there are none, here or on the Hub.
        WeightsError: they must not be used; the text says why.
    """
    data, source = read_bytes_from(folder, model, category)
    return files.parse(data, source)


def read_bytes(folder: Path, model: str, category: str) -> bytes:
    """The verified file itself, from the first source that has it.

    Raises:
        NotAvailable, WeightsError: as `read`.
    """
    return read_bytes_from(folder, model, category)[0]


def read_bytes_from(folder: Path, model: str, category: str) -> tuple[bytes, WeightsSource]:
    """The verified file and where it came from; raises as `read`."""
    try:
        data, entry = files.read_bytes(folder, model, category)
        sha256 = hashlib.sha256(data).hexdigest()
        return data, WeightsSource("bundled", entry.file, sha256, len(data))
    except WeightsError as problem:
        pinned, listed = pin(folder), _entry(folder, model, category)
        if pinned is None or listed is None:
            if isinstance(problem, NotAvailable):
                raise NotAvailable(_and(problem.args[0], _hub_hint(pinned))) from problem
            raise
        lacking = isinstance(problem, NotAvailable)
        try:
            cached = hub.cached(pinned, _expected(listed))
            kind = "hub cache" if cached is not None else "hub"
            # A bundled file that is damaged must not stop the app from serving its others.
            wait = None if lacking else hub.APP_WAIT
            data = cached or hub.fetch(pinned, _expected(listed), wait)
        except HubError as failure:
            raise _error(failure, None if lacking else problem.args[0]) from failure
    return data, WeightsSource(kind, listed.file, listed.sha256, listed.size)


def wait_for(folder: Path, model: str, category: str) -> None:
    """Sees that weights which are only on the Hub get here, waiting `hub.APP_WAIT` at most.

    Raises:
        NotHereYet: they are on their way.
        NotAvailable: they cannot be had; the text says why.
    """
    if (where := availability(folder, model, category)) is None or where.kind != "hub":
        return
    entry = _entry(folder, model, category)
    if entry is not None:
        try:
            hub.fetch(_pinned(folder), _expected(entry), hub.APP_WAIT)
        except HubError as failure:
            raise _error(failure) from failure


def start(folder: Path, model: str, category: str) -> DownloadProgress | None:
    """Starts fetching weights that are only on the Hub, and says how far that is.

    None: nothing is to be fetched. Never waits.

    Raises:
        WeightsError: as `availability`.
    """
    entry = _entry(folder, model, category)
    if (
        (where := availability(folder, model, category)) is None
        or entry is None
        or where.kind != "hub"
    ):
        return None
    hub.start(_pinned(folder), _expected(entry))
    return hub.progress(_pinned(folder), _expected(entry))


def _entry(folder: Path, model: str, category: str) -> IndexEntry | None:
    listed = [*read_index(folder), *only_on_hub(folder)]
    return next((e for e in listed if e.file == relative_path(model, category)), None)


def _pinned(folder: Path) -> Pin:
    found = pin(folder)
    if found is None:
        raise NotAvailable(_hub_hint(None))
    return found


def _hub_hint(pinned: Pin | None) -> Message:
    if pinned is None:
        text = "No repository on the Hub is named in weights/{index}."
        return Message("hub_not_named", text, index=INDEX_NAME)
    text = "{repo} on the Hub does not have them either."
    return Message("hub_lacks_them", text, repo=pinned.repo)


def _and(first: str, second: str) -> Message:
    """Two sentences, each translated by itself."""
    return Message("two_sentences", "{first} {second}", first=first, second=second)


def _error(failure: HubError, before: str | None = None) -> NotAvailable:
    kind = DownloadPending if isinstance(failure, StillFetching) else NotAvailable
    why: str = failure.args[0]
    return kind(why if before is None else _and(before, why))


def _expected(entry: IndexEntry) -> ExpectedFile:
    return ExpectedFile(entry.file, entry.sha256, entry.size)


def _hub_section(folder: Path) -> tuple[str | None, str | None, tuple[IndexEntry, ...]]:
    """Repository, commit and files, as the index has them."""
    try:
        section = read_document(folder).get("hub") or {}
        repo, revision = section.get("repo"), section.get("revision")
        listed = tuple(IndexEntry(**entry) for entry in section.get("files", ()))
        if not all(text is None or isinstance(text, str) for text in (repo, revision)):
            raise TypeError("a name of another type")
        for entry in listed:
            if entry.file != relative_path(entry.model, entry.category):
                raise ValueError("a file of another name")
            if not (hub.SHA256.fullmatch(entry.sha256) and entry.size > 0):
                raise ValueError("no checksum or size")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged() from error
    return repo, revision, listed
