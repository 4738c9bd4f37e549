"""Where weights come from: the bundled folder, then the Hub's cache, then the Hub.

`weights/index.json` names the repository and its commit (`hub.repo`, `hub.revision`) and lists what
is on the Hub but not bundled (`hub.files`); `DEFECT_HUB_REPO` and `DEFECT_HUB_REVISION` name
another place for the same files. Whatever the source, the index's checksum decides.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from defect.inspection import WeightsSource
from defect.weights import files as weights
from defect.weights import hub
from defect.weights.files import (
    INDEX_NAME,
    IndexEntry,
    NotAvailable,
    Weights,
    WeightsError,
    read_index,
    relative_path,
)
from defect.weights.hub import ExpectedFile, HubError, Pin, Progress, StillFetching

Kind = Literal["bundled", "hub cache", "hub"]
_REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class DownloadPending(NotAvailable):
    """The file is being fetched from the Hub, in the background."""


@dataclass(frozen=True)
class Place:
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
        raise WeightsError(f'"{repo}" is no repository on the Hub. Give OWNER/NAME.')
    if revision is None or not hub.COMMIT.fullmatch(revision):
        raise WeightsError(
            f"Which commit of {repo}? Give its 40 hexadecimal digits as `hub.revision` in "
            f"weights/{INDEX_NAME}, or set DEFECT_HUB_REVISION."
        )
    return Pin(repo, revision)


def only_on_hub(folder: Path) -> list[IndexEntry]:
    """What can be fetched though it is not bundled; none where nobody has published.

    Raises:
        WeightsError: the index is damaged, or `pin` raises it.
    """
    return list(_hub_section(folder)[2]) if pin(folder) is not None else []


def place(folder: Path, model: str, category: str) -> Place | None:
    """Where the weights are, by name and size; no request is made and no checksum compared.

    Raises:
        WeightsError: the index is damaged, or `pin` raises it.
    """
    relative = relative_path(model, category)
    bundled = next((e for e in read_index(folder) if e.file == relative), None)
    if bundled is not None:
        return Place("bundled", bundled.size)
    entry = next((e for e in only_on_hub(folder) if e.file == relative), None)
    if entry is None:
        return None
    held = hub.cached_path(_pinned(folder), _wanted(entry)) is not None
    return Place("hub cache" if held else "hub", entry.size)


def read(folder: Path, model: str, category: str) -> Weights:
    """Reads and verifies the weights of one model and category from the first source that has them.

    Raises:
        NotAvailable: there are none, here or on the Hub.
        WeightsError: they must not be used; the text says why.
    """
    try:
        return weights.read(folder, model, category)
    except WeightsError as problem:
        source, entry = pin(folder), _entry(folder, model, category)
        if source is None or entry is None:
            if isinstance(problem, NotAvailable):
                raise NotAvailable(f"{problem}{_hub_hint(source)}") from problem
            raise
        lacking = isinstance(problem, NotAvailable)
        try:
            data = hub.cached(source, _wanted(entry))
            kind = "hub cache" if data is not None else "hub"
            # A bundled file that is damaged must not stop the app from serving its others.
            data = data or hub.fetch(source, _wanted(entry), None if lacking else hub.APP_WAIT)
        except HubError as failure:
            raise _error(failure, "" if lacking else f"{problem} ") from failure
    return weights.parse(data, WeightsSource(kind, entry.file, entry.sha256, entry.size))


def wait_for(folder: Path, model: str, category: str) -> None:
    """Sees that weights which are only on the Hub get here, waiting `hub.APP_WAIT` at most.

    Raises:
        NotHereYet: they are on their way.
        NotAvailable: they cannot be had; the text says why.
    """
    if (where := place(folder, model, category)) is None or where.kind != "hub":
        return
    entry = _entry(folder, model, category)
    if entry is not None:
        try:
            hub.fetch(_pinned(folder), _wanted(entry), hub.APP_WAIT)
        except HubError as failure:
            raise _error(failure) from failure


def start(folder: Path, model: str, category: str) -> Progress | None:
    """Starts fetching weights that are only on the Hub, and says how far that is.

    None: nothing is to be fetched. Never waits.

    Raises:
        WeightsError: as `place`.
    """
    entry = _entry(folder, model, category)
    if (where := place(folder, model, category)) is None or entry is None or where.kind != "hub":
        return None
    hub.start(_pinned(folder), _wanted(entry))
    return hub.progress(_pinned(folder), _wanted(entry))


def _entry(folder: Path, model: str, category: str) -> IndexEntry | None:
    listed = [*read_index(folder), *only_on_hub(folder)]
    return next((e for e in listed if e.file == relative_path(model, category)), None)


def _pinned(folder: Path) -> Pin:
    found = pin(folder)
    if found is None:
        raise NotAvailable(_hub_hint(None).strip())
    return found


def _hub_hint(source: Pin | None) -> str:
    if source is None:
        return f" No repository on the Hub is named in weights/{INDEX_NAME}."
    return f" {source.repo} on the Hub does not have them either."


def _error(failure: HubError, before: str = "") -> NotAvailable:
    kind = DownloadPending if isinstance(failure, StillFetching) else NotAvailable
    return kind(f"{before}{failure}")


def _wanted(entry: IndexEntry) -> ExpectedFile:
    return ExpectedFile(entry.file, entry.sha256, entry.size)


def _hub_section(folder: Path) -> tuple[str | None, str | None, tuple[IndexEntry, ...]]:
    """Repository, commit and files, as the index has them."""
    path = folder / INDEX_NAME
    if not path.is_file():
        return None, None, ()
    try:
        section = json.loads(path.read_text("utf-8")).get("hub") or {}
        repo, revision = section.get("repo"), section.get("revision")
        files = tuple(IndexEntry(**entry) for entry in section.get("files", ()))
        if not all(text is None or isinstance(text, str) for text in (repo, revision)):
            raise TypeError("a name of another type")
        for entry in files:
            if entry.file != relative_path(entry.model, entry.category):
                raise ValueError("a file of another name")
            if not (hub.SHA256.fullmatch(entry.sha256) and entry.size > 0):
                raise ValueError("no checksum or size")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"weights/{INDEX_NAME} is damaged. Restore it from the repository."
        ) from error
    return repo, revision, files
