"""Photos handed in as files, folders and ZIP archives nobody vouches for."""

from __future__ import annotations

import io
import struct
import time
import warnings
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from defect.imaging import archives as given
from defect.imaging.archives import ArchiveError, find_photos
from defect.imaging.photo import MAX_BYTES, ImageError


def picture(kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "grey").save(stream, kind)
    return stream.getvalue()


def packed(folder: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(folder / "photos.zip", "w", method) as archive,
    ):
        for name, data in entries.items():
            archive.writestr(name, data)
    return folder / "photos.zip"


def test_files_folders_and_archives_mix(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("folder/b.png", "folder/a.jpg", "folder/notes.txt", "single.bin"):
        (tmp_path / name).write_bytes(picture())
    entries = {"line 1/c.png": picture(), "readme.md": b"", "__MACOSX/c.png": b"", ".d.png": b""}
    paths = [tmp_path / "single.bin", tmp_path / "folder", packed(tmp_path, entries)]
    photos, skipped = find_photos(paths)
    assert [photo.name for photo in photos] == ["single.bin", "a.jpg", "b.png", "line 1/c.png"]
    assert skipped == 2
    for photo in photos:
        prepared = photo.read()
        assert prepared.name == photo.name
        assert prepared.shown.shape == (30, 40, 3)


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    names = ["../../up.png", "/etc/root.png", "..\\back.png", "line\nbreak.png", "x" * 400 + ".png"]
    before = set(tmp_path.parent.iterdir())
    photos, _ = find_photos([packed(tmp_path, dict.fromkeys(names, picture()))])
    for photo in photos:
        assert photo.read().shown.shape == (30, 40, 3)
        assert ".." not in photo.name
        assert "\n" not in photo.name
        assert not photo.name.startswith("/")
        assert len(photo.name) <= 200
    assert len(photos) == len(names)
    assert set(tmp_path.parent.iterdir()) == before
    assert [path.name for path in tmp_path.iterdir()] == ["photos.zip"]


def test_an_archive_inside_is_a_line_not_opened(tmp_path: Path) -> None:
    photos, _ = find_photos([packed(tmp_path, {"inner.zip": b"PK", "a.png": picture()})])
    with pytest.raises(ImageError, match=r'"inner.zip" is an archive inside the archive'):
        photos[0].read()
    assert photos[1].read()


def test_an_entry_that_swells_is_read_no_further_than_a_photo(tmp_path: Path) -> None:
    photos, _ = find_photos([packed(tmp_path, {"bomb.png": bytes(300 * 1024**2)})])
    assert photos[0].path.stat().st_size < 1_000_000
    with pytest.raises(ImageError, match="at most 40 MB"):
        photos[0].read()
    assert MAX_BYTES == 40 * 1024**2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packings_without_a_bound_are_not_unpacked(tmp_path: Path, method: int) -> None:
    photos, _ = find_photos([packed(tmp_path, {"a.png": picture()}, method)])
    with pytest.raises(ImageError, match="deflate"):
        photos[0].read()


def test_locked_and_damaged_entries_are_told(tmp_path: Path) -> None:
    path = packed(tmp_path, {"a.png": picture(), "b.png": picture()}, zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    table = data.index(b"PK\x01\x02")
    data[table + 8] |= 1  # says it is encrypted
    data[60] ^= 255
    data[data.index(b"b.png") + 30] ^= 255  # its checksum no longer fits
    path.write_bytes(data)
    photos, _ = find_photos([path])
    with pytest.raises(ImageError, match="password"):
        photos[0].read()
    with pytest.raises(ImageError, match="damaged inside the archive"):
        photos[1].read()


def test_archives_have_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many = packed(tmp_path, {f"{i}.png": b"" for i in range(given.MAX_ENTRIES + 1)})
    with pytest.raises(ArchiveError, match="2001 files and folders; at most 2000"):
        find_photos([many])
    monkeypatch.setattr(given, "MAX_UNPACKED", 100)
    with pytest.raises(ArchiveError, match="GB unpacked"):
        find_photos([packed(tmp_path, {"a.png": bytes(101)})])


def test_a_forged_table_of_contents_is_not_read(tmp_path: Path) -> None:
    line = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 14, 0, 0)
    table = line * 100_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(table), 0, 0)
    (tmp_path / "forged.zip").write_bytes(table + end)
    started = time.perf_counter()
    with pytest.raises(ArchiveError, match="too long a table of contents"):
        find_photos([tmp_path / "forged.zip"])
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("data", [b"", b"not a zip", picture(), b"PK\5\6" + bytes(7)])
def test_what_is_no_archive_is_told(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "photos.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match="not a ZIP archive") as caught:
        find_photos([tmp_path / "photos.zip"])
    assert str(tmp_path) not in str(caught.value)


def test_an_archive_that_vanished_is_told(tmp_path: Path) -> None:
    photos, _ = find_photos([packed(tmp_path, {"a.png": picture()})])
    photos[0].path.unlink()
    with pytest.raises(ImageError, match="no longer there"):
        photos[0].read()
