"""Space for uploads: what is swept and kept, promises, and a full disk's sentence."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from defect.ui import disk

SHA = "a" * 64
TOKEN = "x" * 22
HOUR = 3600.0


def test_what_nobody_used_for_an_hour_goes(tmp_path: Path) -> None:
    files = [tmp_path / SHA / "photo.png", tmp_path / TOKEN / "report.zip"]
    files += [tmp_path / "pictures" / "overlay.jpg", tmp_path / "tmpabcd1234"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    strange = tmp_path / "elsewhere" / "mine.txt"
    strange.parent.mkdir()
    strange.write_text("of another program")
    (tmp_path / ("b" * 64)).mkdir()  # Gradio deleted its file
    assert disk.sweep(tmp_path) == 0
    # Only parts of uploads and empty folders go after ten minutes …
    assert disk.sweep(tmp_path, now=time.time() + 700) == 2
    assert [file.is_file() for file in files] == [True, True, True, False]
    # … all the rest after an hour; what is kept, or not of this app, stays.
    kept = {str(files[0])}
    assert disk.sweep(tmp_path, kept, now=time.time() + HOUR + 1) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [SHA, "elsewhere"]
    assert files[0].is_file() and strange.is_file()


def test_a_used_file_starts_its_hour_anew(tmp_path: Path) -> None:
    file = tmp_path / SHA / "photo.png"
    file.parent.mkdir()
    file.write_bytes(b"1")
    os.utime(file, (time.time() + 1000,) * 2)
    disk.sweep(tmp_path, now=time.time() + HOUR + 500)
    assert file.is_file()


def test_links_are_neither_followed_nor_deleted(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("1")
    folder = tmp_path / "uploads"
    folder.mkdir()
    (folder / SHA).symlink_to(outside)
    (folder / "tmplink").symlink_to(outside / "file")
    assert disk.sweep(folder, now=time.time() + 10 * HOUR) == 0
    assert (outside / "file").is_file()


def test_running_uploads_have_their_bytes_set_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free, total = 1_000, 2_000

    monkeypatch.setattr(disk.shutil, "disk_usage", lambda folder: Usage)
    space = disk.Space(tmp_path / "not" / "yet", reserve=500)
    assert space.free() == 800  # a tenth of the disk is less than the reserve
    assert space.promise(500)
    assert not space.promise(400)
    space.release(500)
    assert space.promise(800)


def test_a_full_disk_is_known_through_other_errors() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    try:
        try:
            raise full
        except OSError as error:
            raise ValueError("could not save") from error
    except ValueError as error:
        assert disk.is_full_error(error)
    assert not disk.is_full_error(OSError(errno.ENOENT, "absent"))
    assert not disk.is_full_error(None)


def test_an_address_uploads_so_much_in_an_hour() -> None:
    hourly = disk.HourlyBytes(100)
    assert hourly.allows("1.2.3.4", 100)
    hourly.add("1.2.3.4", 60)
    assert not hourly.allows("1.2.3.4", 41)
    assert hourly.allows("1.2.3.5", 100)
