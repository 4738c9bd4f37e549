"""`index.json`: the weights files of a folder with their checksums and sizes.

Nothing is used before its checksum was compared with the one listed here. Writers take a lock and
merge, so that two trainings into one folder keep both their lines.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defect.inspection import Message
from defect.weights.errors import WeightsError

SCHEMA_VERSION = 1
WEIGHTS_FOLDER = Path(__file__).resolve().parents[2] / "weights"
INDEX_NAME = "index.json"
LOCK_NAME = ".index.lock"


@dataclass(frozen=True)
class IndexEntry:
    """One line of `index.json`."""

    file: str
    """Path below the folder, such as `dae/bottle.safetensors`."""
    model: str
    category: str
    sha256: str
    size: int
    """Bytes."""
    previous: str = ""
    """SHA-256 of the file being replaced: until the new one is in place, the old one is valid."""


def relative_path(model: str, category: str) -> str:
    """`<model>/<category>.safetensors`."""
    return f"{model}/{category}.safetensors"


_KEPT: dict[Path, tuple[tuple[int, ...], dict[str, Any]]] = {}


def read_document(folder: Path) -> dict[str, Any]:
    """The index as JSON, read again only when the file changed; empty if there is none.

    Raises:
        WeightsError: the index is damaged or of another schema version.
    """
    path = folder / INDEX_NAME
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    stamp = status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino
    kept = _KEPT.get(path)
    if kept is not None and kept[0] == stamp:
        return dict(kept[1])
    try:
        document = json.loads(path.read_text("utf-8"))
        version = document["schema_version"]
        document["files"], document.get("hub")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged() from error
    check_version(version, f"weights/{INDEX_NAME}")
    _KEPT[path] = stamp, document
    return dict(document)


def read_index(folder: Path = WEIGHTS_FOLDER) -> list[IndexEntry]:
    """The files listed in the folder's `index.json`, sorted; none if there is no index.

    Raises:
        WeightsError: the index is damaged or of another schema version.
    """
    try:
        entries = [IndexEntry(**entry) for entry in read_document(folder).get("files", ())]
        for entry in entries:
            texts = (entry.file, entry.model, entry.category, entry.sha256, entry.previous)
            if not (all(isinstance(t, str) for t in texts) and isinstance(entry.size, int)):
                raise TypeError("an entry of another type")
    except TypeError as error:
        raise damaged() from error
    return sorted(entries, key=lambda e: e.file)


def find_entry(folder: Path, model: str, category: str) -> IndexEntry | None:
    """The line of one model and category; None where the index does not list it."""
    relative = relative_path(model, category)
    return next((entry for entry in read_index(folder) if entry.file == relative), None)


def write_index(
    folder: Path, entries: list[IndexEntry], hub: Mapping[str, Any] | None = None
) -> None:
    """Writes `index.json`; without `hub` it keeps what the index says about the Hub."""
    with locked(folder):
        _write(folder, entries, hub)


def update_index(
    folder: Path, change: Callable[[list[IndexEntry]], list[IndexEntry]]
) -> list[IndexEntry]:
    """Changes the list under the lock, so that no other writer's lines are lost."""
    with locked(folder):
        entries = change(read_index(folder))
        _write(folder, entries, None)
        return entries


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from writing this folder's index meanwhile."""
    try:
        import fcntl
    except ImportError:  # Windows: one writer at a time is left to the user
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def replace_file(path: Path, data: bytes) -> None:
    """Writes beside the target and renames, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_version(version: object, name: str) -> None:
    """Raises `WeightsError` where a file is of another schema version."""
    if version != SCHEMA_VERSION:
        raise WeightsError(
            Message(
                "other_schema",
                "{name} has schema version {version}; this program reads version {expected}. "
                "Update the program or the weights.",
                name=name,
                version=str(version)[:20],
                expected=SCHEMA_VERSION,
            )
        )


def damaged(name: str = INDEX_NAME) -> WeightsError:
    """The error of an index or list that cannot be read."""
    text = "weights/{name} is damaged. Restore it from the repository."
    return WeightsError(Message("index_damaged", text, name=name))


def _write(folder: Path, entries: list[IndexEntry], hub: Mapping[str, Any] | None) -> None:
    if hub is None:
        hub = read_document(folder).get("hub")
    document = {
        "schema_version": SCHEMA_VERSION,
        "hub": hub or {"repo": None, "revision": None},
        "files": [line(entry) for entry in sorted(entries, key=lambda e: e.file)],
    }
    replace_file(folder / INDEX_NAME, (json.dumps(document, indent=1) + "\n").encode())


def line(entry: IndexEntry) -> dict[str, Any]:
    """The entry as it stands in the file."""
    found = dataclasses.asdict(entry)
    if not entry.previous:
        del found["previous"]
    return found
