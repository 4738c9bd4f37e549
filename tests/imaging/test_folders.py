"""Folders, names and archives as they come from factories."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from defect.imaging.archives import find_photos, list_photos
from defect.imaging.buckets import AddressError, find
from defect.imaging.photo import ImageError


def picture(kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), "grey").save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def line(tmp_path: Path) -> Path:
    """A folder with sub-folders, and what nobody means by their photos."""
    folder = tmp_path / "line 1"
    for name in (
        "a.png",
        "night/b.jpg",
        "night/deep/c.png",
        "backup.png/d.png",
        ".hidden.png",
        "._a.png",
        ".ipynb_checkpoints/a-checkpoint.png",
        "__MACOSX/a.png",
        "Thumbs.db",
        "notes.txt",
        "night/model.step",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture())
    return folder


def test_a_folder_is_read_as_a_zip_of_it(line: Path, tmp_path: Path) -> None:
    listing = list_photos([line])
    names = [photo.name for photo in listing.photos]
    assert names == ["a.png", "backup.png/d.png", "night/b.jpg", "night/deep/c.png"]
    assert sorted(listing.skipped) == ["night/model.step", "notes.txt"]
    with zipfile.ZipFile(tmp_path / "line.zip", "w") as archive:
        for path in sorted(line.rglob("*")):
            archive.write(path, path.relative_to(line).as_posix())
    zipped = list_photos([tmp_path / "line.zip"])
    assert sorted(photo.name for photo in zipped.photos) == sorted(names)
    assert sorted(zipped.skipped) == sorted(listing.skipped)
    assert find_photos([line]) == (listing.photos, 2)


def test_links_that_go_round_end(line: Path) -> None:
    (line / "night" / "round").symlink_to(line, target_is_directory=True)
    assert len(find_photos([line])[0]) == 4


def test_the_same_name_in_two_folders_is_told_apart(tmp_path: Path) -> None:
    for folder in ("monday", "tuesday", "old/monday"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "001.png").write_bytes(picture())
    two = [tmp_path / "monday", tmp_path / "tuesday"]
    assert [p.name for p in find_photos(two)[0]] == ["monday/001.png", "tuesday/001.png"]
    files = [folder / "001.png" for folder in two]
    assert [p.name for p in find_photos(files)[0]] == ["monday/001.png", "tuesday/001.png"]
    alike = [tmp_path / "monday", tmp_path / "old/monday"]
    names = [p.name for p in find_photos(alike)[0]]
    assert len(set(names)) == 2 and names[1].endswith("old/monday/001.png")


def test_a_tilde_is_the_home_folder(line: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(line.parent))
    assert len(find_photos([Path("~/line 1")])[0]) == 4
    assert find_photos([Path("~/line 1/a.png")])[0][0].read()
    assert find_photos([Path("~nobody-of-that-name/a.png")])[0]


@pytest.mark.parametrize("raw", ["零件.png".encode("gbk"), b"\xff\xfe.png", b"a\xe9.png"])
def test_a_name_that_is_no_utf_8_can_be_shown_and_stored(tmp_path: Path, raw: bytes) -> None:
    path = os.fsencode(tmp_path) + b"/" + raw
    try:
        with open(path, "wb") as stream:
            stream.write(picture()[:50])
    except OSError:
        pytest.skip("this disk takes UTF-8 names only")
    (photo,) = find_photos([tmp_path])[0]
    photo.name.encode()
    assert photo.name.endswith(".png") and photo.name.isprintable()
    assert photo.name == "零件.png" or raw != "零件.png".encode("gbk")
    with pytest.raises(ImageError) as caught:
        photo.read()
    str(caught.value).encode()
    assert photo.name in str(caught.value)


class _Raw(zipfile.ZipInfo):
    """An entry with a name in any encoding and no flag that says so."""

    raw = b""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.raw, 0


@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("零件/划痕.png", "gbk"),
        ("上盖 03.png", "gbk"),
        ("零件.png", "utf-8"),
        ("Prüfung.png", "cp437"),
        ("Stück für Stück.png", "cp437"),
        ("é.png", "cp437"),
        ("plain.png", "ascii"),
    ],
)
def test_zip_names_without_the_utf_8_flag(tmp_path: Path, name: str, encoding: str) -> None:
    info = _Raw("x.png")
    info.raw = name.encode(encoding)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(info, picture())
    (photo,) = find_photos([tmp_path / "photos.zip"])[0]
    assert photo.name == name
    assert photo.read().name == name


def test_an_entry_without_a_name_is_skipped(tmp_path: Path) -> None:
    info = _Raw("x")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(info, picture())
        archive.writestr("a.png", picture())
    listing = list_photos([tmp_path / "photos.zip"])
    assert [photo.name for photo in listing.photos] == ["a.png"]
    assert listing.skipped == ("nameless",)


def test_buckets_through_fsspec(line: Path) -> None:
    found, skipped = find([line.as_uri()])
    assert [photo.name for photo in found] == [
        "a.png",
        "backup.png/d.png",
        "night/b.jpg",
        "night/deep/c.png",
    ]
    assert skipped == 2 and found[0].read().shown.shape == (30, 40, 3)
    (line / "a.png").unlink()
    with pytest.raises(ImageError, match="Is it still there"):
        found[0].read()
    for address in ("s3x://bucket/line", "file:///there/is/no/such/folder"):
        with pytest.raises(AddressError, match="cannot be listed"):
            find([address])
