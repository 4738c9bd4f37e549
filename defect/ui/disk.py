"""Space for uploads and results: checked before an upload is taken, and freed by age.

Gradio deletes only the files it answered with. An aborted upload, the empty file it makes for each
uploaded one, each file's folder, and everything of a server that was killed stay; `sweep` deletes
them.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Collection
from pathlib import Path

from defect.inspection import Message

RESERVE = 500_000_000
"""Bytes left free for results and reports; a tenth of a small disk."""
MAX_ADDRESS_BYTES = 4_000_000_000
"""Bytes one address may upload in an hour."""
KEEP_SECONDS = 3600.0
"""An unused file's time."""
ABORTED_SECONDS = 600.0
"""The time of a part of an upload that nothing is written to any more."""
FULL = Message("disk_full", "The server's disk is full. Try again later.")
_FULL_ERRORS = {errno.ENOSPC, errno.EDQUOT}
_FOLDER = re.compile(r"[0-9a-f]{64}|[\w-]{22}|pictures")
"""Gradio's are named by their file's SHA-256, ours by 128 random bits."""


def is_full_error(error: BaseException | None) -> bool:
    """Whether the error, or one it was raised from, says that the disk is full."""
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, OSError) and error.errno in _FULL_ERRORS:
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


class Space:
    """The room in one folder, with what running uploads were promised."""

    def __init__(self, folder: Path, reserve: int = RESERVE) -> None:
        """
        Args:
            folder: of the uploads; need not exist yet.
            reserve: bytes to leave free.
        """
        self._folder, self._reserve = folder, reserve
        self._promised = 0
        self._lock = threading.Lock()

    def free(self) -> int:
        """Bytes that a new upload may take; under 0 where the reserve is touched."""
        free, reserve = self._usage()
        return free - reserve - self._promised

    def is_exhausted(self) -> bool:
        """Whether half of the reserve is used up, whatever was promised to whom."""
        free, reserve = self._usage()
        return free < reserve // 2

    def _usage(self) -> tuple[int, int]:
        folder = self._folder
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        usage = shutil.disk_usage(folder)
        return usage.free, min(self._reserve, usage.total // 10)

    def promise(self, size: int) -> bool:
        """Sets bytes aside for an upload, if there is room; they are handed back by `release`."""
        with self._lock:
            if self.free() < size:
                return False
            self._promised += size
            return True

    def release(self, size: int) -> None:
        """Hands promised bytes back: written by now, or never."""
        with self._lock:
            self._promised -= size


class HourlyBytes:
    """How much each address uploaded in the last hour."""

    def __init__(self, most: int = MAX_ADDRESS_BYTES) -> None:
        """
        Args:
            most: bytes of one address in an hour.
        """
        self._most = most
        self._uploads: dict[str, deque[tuple[float, int]]] = {}

    def allows(self, address: str, size: int) -> bool:
        """Whether the address may upload so many bytes more."""
        uploads = self._recent(address)
        return sum(bytes_ for _, bytes_ in uploads) + size <= self._most

    def add(self, address: str, size: int) -> None:
        """Counts an upload."""
        self._recent(address).append((time.monotonic(), size))
        if len(self._uploads) > 1000:
            for other in [name for name in self._uploads if not self._recent(name)]:
                del self._uploads[other]

    def _recent(self, address: str) -> deque[tuple[float, int]]:
        uploads = self._uploads.setdefault(address, deque())
        while uploads and uploads[0][0] < time.monotonic() - 3600:
            uploads.popleft()
        return uploads


def sweep(folder: Path, keep: Collection[str] = (), now: float | None = None) -> int:
    """Deletes what nobody used for an hour: files of uploads and results, parts of aborted uploads,
    and empty folders; returns how many files and folders.

    Only what has a name that Gradio or this app gives is touched, as the folder may be shared.

    Args:
        folder: of the uploads.
        keep: paths of files to leave, such as those the page itself shows.
        now: seconds since 1970.
    """
    now = time.time() if now is None else now
    count = 0
    for entry in _entries(folder):
        if entry.is_symlink():
            continue
        if entry.is_file() and entry.name.startswith("tmp"):
            # Gradio leaves an empty one for each photo.
            count += entry.path not in keep and _delete(entry, now - ABORTED_SECONDS)
        elif entry.is_dir() and _FOLDER.fullmatch(entry.name):
            for file in _entries(Path(entry.path)):
                if file.is_file(follow_symlinks=False) and file.path not in keep:
                    count += _delete(file, now - KEEP_SECONDS)
            if _last_use(entry) < now - ABORTED_SECONDS:
                try:
                    os.rmdir(entry.path)
                    count += 1
                except OSError:
                    pass  # still in use
    return count


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _delete(file: os.DirEntry[str], before: float) -> bool:
    if _last_use(file) >= before:
        return False
    try:
        os.unlink(file.path)
    except OSError:
        return False
    return True


def _last_use(entry: os.DirEntry[str]) -> float:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return float("inf")
    return max(status.st_mtime, status.st_ctime)
