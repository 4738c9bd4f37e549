"""The photos of a batch as they are handed in: files, folders, and untrusted ZIP archives.

Nothing is unpacked onto the disk: an archive's entries are read one at a time, each no further than
a photo may be large, so no name in it can point anywhere and no entry can swell.
"""

from __future__ import annotations

import io
import mimetypes
import os
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from defect.imaging.formats import SUFFIXES
from defect.imaging.photo import MAX_BYTES, ImageError, Photo, printable, read_photo
from defect.imaging.tiff import MAX_PAGES, count_pages
from defect.inspection import Message

MAX_ENTRIES = 2_000
"""Files and folders in one archive."""
MAX_UNPACKED = 2 * 1024**3
"""Bytes all entries of one archive may have together once unpacked."""
_MAX_TABLE = 1024**2
"""Bytes of an archive's table of contents, which is read whole."""
_MAX_COUNTED = 256 * 1024**2
"""Bytes of an archive's TIFFs that are unpacked only to count their pages."""
_MAX_NAME = 200
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
_CLUTTER = frozenset({"__macosx", "thumbs.db", "desktop.ini", "@eadir", "$recycle.bin"})
"""What operating systems add by themselves, besides hidden files."""
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    IndexError,
    NotImplementedError,
)
UNREAD = (
    frozenset({".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"})
    | frozenset({".psd", ".svg", ".exr", ".hdr", ".jxl", ".jxr", ".tga", ".pcx", ".ico", ".eps"})
    | frozenset({".dcm", ".fits", ".xcf", ".bpg"})
)
"""Suffixes of pictures that are not read, besides those that the system knows for pictures."""
TAKEN = SUFFIXES | _ARCHIVES
"""Archives inside are kept, so that each gets a line that says why it was not opened."""


class ArchiveError(ValueError):
    """A ZIP that is not opened; the text says why and what to do."""


@dataclass(frozen=True)
class PhotoFile:
    """One photo of a batch, not yet opened."""

    path: Path
    """The photo, or the archive it lies in."""
    name: str
    """How to call it: the path below the folder or archive that was named."""
    entry: int | None = None
    """Which entry of the archive."""
    page: int | None = None
    """Of a TIFF with several pages, from 0."""

    def read(self, bit_depth: int | None = None) -> Photo:
        """Reads it through `read_photo`.

        Raises:
            ImageError: it cannot be used; the text says why.
        """
        source = self.path if self.entry is None else self._unpacked()
        return read_photo(source, self.name, bit_depth, self.page)

    def _unpacked(self) -> bytes:
        assert self.entry is not None
        try:
            with _open(self.path) as archive:
                info = archive.infolist()[self.entry]
                if Path(self.name).suffix.lower() in _ARCHIVES:
                    raise ImageError(
                        Message(
                            "entry_is_archive",
                            '"{name}" is an archive inside the archive. Unpack it first.',
                            name=self.name,
                        )
                    )
                if info.flag_bits & 1:
                    raise ImageError(
                        Message(
                            "entry_encrypted",
                            '"{name}" is locked with a password. Pack it without one.',
                            name=self.name,
                        )
                    )
                if info.compress_type not in _METHODS:
                    raise ImageError(
                        Message(
                            "entry_compression",
                            '"{name}" is packed in a way not read here. Use ordinary ZIP '
                            "compression (deflate).",
                            name=self.name,
                        )
                    )
                # One byte more than is allowed: `read_photo` then says that it is too large.
                with archive.open(info) as stream:
                    return stream.read(MAX_BYTES + 1)
        except ImageError:
            raise
        except (ArchiveError, IndexError, FileNotFoundError) as error:
            raise ImageError(
                Message(
                    "entry_gone",
                    '"{name}" is no longer there: its archive changed or was removed.',
                    name=self.name,
                )
            ) from error
        except _DAMAGED as error:
            raise ImageError(
                Message(
                    "entry_damaged",
                    '"{name}" is damaged inside the archive. Pack it again.',
                    name=self.name,
                )
            ) from error


@dataclass(frozen=True)
class Listing:
    """What was found in files, folders and archives."""

    photos: list[PhotoFile]
    skipped: tuple[str, ...]
    """Names of the files that are no pictures by their names, and of pages over `MAX_PAGES`. Hidden
    files and what operating systems add do not count."""

    @property
    def unread(self) -> tuple[str, ...]:
        """Those of the skipped that are pictures by their names, but of a format that is not read,
        or are pages over the limit."""
        return unread_pictures(self.skipped)


def find_photos(paths: Iterable[Path]) -> tuple[list[PhotoFile], int]:
    """As `list_photos`; of what was skipped, only the number."""
    listing = list_photos(paths)
    return listing.photos, len(listing.skipped)


def list_photos(paths: Iterable[Path]) -> Listing:
    """Files as they are named, folders and archives as the pictures in them and below.

    A TIFF of several pages gives a photo a page. Photos of the same name get what was named in
    front, so that `a/001.png` and `b/001.png` can be told apart.

    Raises:
        ArchiveError: an archive cannot be opened, or exceeds a limit of this module.
    """
    found: list[tuple[Path, PhotoFile]] = []
    skipped: list[str] = []
    for path in map(_expanded, paths):
        if path.is_dir():
            inside = [
                PhotoFile(file, label(file.relative_to(path).as_posix())) for file in _files(path)
            ]
        elif path.suffix.lower() == ".zip":
            inside = list(_entries(path))
        else:
            found += [(path.parent, page) for page in _pages(PhotoFile(path, label(path.name)))]
            continue
        counted = 0
        for file in inside:
            if PurePosixPath(file.name).suffix.lower() not in TAKEN:
                skipped.append(file.name)
                continue
            pages, counted = _pages_of(file, counted)
            found += [(path, page) for page in pages[:MAX_PAGES]]
            if len(pages) > MAX_PAGES:
                skipped.append(f"{file.name} (pages {MAX_PAGES + 1} to {len(pages)})")
    return Listing(_distinct(found), tuple(skipped))


def label(name: str) -> str:
    """A file's or entry's name for people: never a path anything is opened by."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    kept = "/".join(part for part in parts if part not in ("/", "..", "."))
    return printable(kept)[-_MAX_NAME:]


def is_clutter(name: str) -> bool:
    """Hidden, or added by an operating system: not what anybody means by their photos."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part.lower() in _CLUTTER for part in parts)


def unread_pictures(skipped: Iterable[str]) -> tuple[str, ...]:
    """`Listing.unread` of any names that were skipped."""
    return tuple(name for name in skipped if _is_unread_picture(name))


def _is_unread_picture(name: str) -> bool:
    suffix = PurePosixPath(name).suffix.lower()
    kind = mimetypes.guess_type(name)[0] or ""
    return suffix in UNREAD or kind.startswith("image/") or " (pages " in name


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def _files(folder: Path) -> Iterator[Path]:
    """All files below a folder, by path; links to folders are not followed."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_clutter(name))
        for name in sorted(files):
            if not is_clutter(name):
                yield Path(parent, name)


def _pages(file: PhotoFile) -> list[PhotoFile]:
    return _pages_of(file, 0)[0]


def _pages_of(file: PhotoFile, counted: int) -> tuple[list[PhotoFile], int]:
    """A photo a page, and the bytes of an archive unpacked so far to count pages."""
    if PurePosixPath(file.name).suffix.lower() not in (".tif", ".tiff"):
        return [file], counted
    pages = 1
    try:
        if file.entry is None:
            with file.path.open("rb") as stream:
                pages = count_pages(stream)
        elif counted < _MAX_COUNTED:
            data = file._unpacked()
            counted += len(data)
            pages = count_pages(io.BytesIO(data))
    except (OSError, ValueError):
        pass  # reading it says what is wrong
    if pages < 2:
        return [file], counted
    return [
        replace(file, name=f"{file.name} (page {page + 1})", page=page) for page in range(pages)
    ], counted


def _distinct(found: list[tuple[Path, PhotoFile]]) -> list[PhotoFile]:
    """Puts names of what was named in front where photos would share a name."""
    names = [file.name for _, file in found]
    for depth in range(1, 4):
        shared = {name for name, count in Counter(names).items() if count > 1}
        if not shared:
            break
        names = [
            label("/".join((*root.resolve().parts[1:][-depth:], file.name)))
            if name in shared
            else name
            for name, (root, file) in zip(names, found, strict=True)
        ]
    return [replace(file, name=name) for name, (_, file) in zip(names, found, strict=True)]


def _entries(path: Path) -> Iterator[PhotoFile]:
    try:
        with _open(path) as archive:
            infos = archive.infolist()
    except ArchiveError:
        raise
    except _DAMAGED as error:
        raise ArchiveError(
            Message(
                "archive_damaged",
                '"{name}" is not a ZIP archive, or is damaged. Pack the photos again.',
                name=label(path.name),
            )
        ) from error
    if len(infos) > MAX_ENTRIES:
        raise ArchiveError(
            Message(
                "archive_entries",
                '"{name}" holds {count} files and folders; at most {most} are read. Split it.',
                name=label(path.name),
                count=len(infos),
                most=MAX_ENTRIES,
            )
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED:
        raise ArchiveError(
            Message(
                "archive_size",
                '"{name}" would be {size} GB unpacked; at most {most} GB are read. Split it.',
                name=label(path.name),
                size=f"{unpacked / 1024**3:.1f}",
                most=f"{MAX_UNPACKED / 1024**3:.0f}",
            )
        )
    for number, info in enumerate(infos):
        name = label(_entry_name(info))
        if not info.filename.endswith(("/", "\\")) and not is_clutter(name):
            yield PhotoFile(path, name, number)


def _entry_name(info: zipfile.ZipInfo) -> str:
    """An entry's name; without the UTF-8 flag its encoding is a guess.

    `zipfile` then takes it for code page 437. Chinese Windows writes GBK, macOS UTF-8. Common
    Chinese characters have two bytes of 0xA1 and more, which 437 uses for lines, not for letters.
    """
    name = info.filename
    if info.flag_bits & 0x800 or name.isascii():
        return name
    try:
        raw = name.encode("cp437")
    except UnicodeEncodeError:
        return name
    for encoding in ("utf-8", "gb2312"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    try:
        text = raw.decode("gbk")
    except UnicodeDecodeError:
        return name
    common = sum(_is_gb2312(letter) for letter in text)
    return text if 2 * common >= sum(not letter.isascii() for letter in text) else name


def _is_gb2312(letter: str) -> bool:
    try:
        return len(letter.encode("gb2312")) == 2
    except UnicodeEncodeError:
        return False


@contextmanager
def _open(path: Path) -> Iterator[zipfile.ZipFile]:
    with _Careful(path) as file, zipfile.ZipFile(file) as archive:
        file.opening = False
        yield archive


class _Careful(io.FileIO):
    """An archive whose table of contents is not read where it is too long.

    `zipfile` reads the table whole and makes an object a line, so a forged one could fill memory.
    """

    opening = True

    def read(self, size: Any = -1) -> bytes:
        if self.opening:
            if size is not None and size > _MAX_TABLE:
                raise ArchiveError(
                    Message(
                        "archive_table",
                        '"{name}" has too long a table of contents; at most {most} files are '
                        "read. Split it.",
                        name=label(Path(str(self.name)).name),
                        most=MAX_ENTRIES,
                    )
                )
            size = _MAX_TABLE if size is None or size < 0 else size
        return super().read(size) or b""
