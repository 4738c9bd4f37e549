"""The photos of a batch as they are handed in: files, folders, and ZIP archives nobody vouches for.

Nothing is unpacked onto the disk: an archive's entries are read one at a time, each no further than
a photo may be large, so no name in it can point anywhere and no entry can swell.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from defect.imaging.photo import MAX_BYTES, SUFFIXES, ImageError, Photo, read_photo

MAX_ENTRIES = 2_000
"""Files and folders in one archive."""
MAX_UNPACKED = 2 * 1024**3
"""Bytes all entries of one archive may have together once unpacked."""
_MAX_TABLE = 1024**2
"""Bytes of an archive's table of contents, which is read whole."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ARCHIVES = frozenset({".zip", ".7z", ".rar", ".tar", ".gz", ".tgz", ".bz2", ".xz"})
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)


class ArchiveError(ValueError):
    """A ZIP that is not opened; the text says why and what to do."""


@dataclass(frozen=True)
class PhotoFile:
    """One photo of a batch, not yet opened."""

    path: Path
    """The photo, or the archive it lies in."""
    name: str
    """How to call it: the file's name, or its path inside the archive."""
    entry: int | None = None
    """Which entry of the archive."""

    def read(self) -> Photo:
        """Reads it through the one gate for pictures.

        Raises:
            ImageError: it cannot be used; the text says why.
        """
        return read_photo(self.path if self.entry is None else self._unpacked(), self.name)

    def _unpacked(self) -> bytes:
        assert self.entry is not None
        try:
            with _open(self.path) as archive:
                info = archive.infolist()[self.entry]
                if Path(self.name).suffix.lower() in _ARCHIVES:
                    raise ImageError(
                        f'"{self.name}" is an archive inside the archive. Unpack it first.'
                    )
                if info.flag_bits & 1:
                    raise ImageError(
                        f'"{self.name}" is locked with a password. Pack it without one.'
                    )
                if info.compress_type not in _METHODS:
                    raise ImageError(
                        f'"{self.name}" is packed in a way not read here. Use ordinary ZIP '
                        f"compression (deflate)."
                    )
                # One byte more than is taken: the gate then says that it is too large.
                with archive.open(info) as stream:
                    return stream.read(MAX_BYTES + 1)
        except ImageError:
            raise
        except (ArchiveError, IndexError, FileNotFoundError) as error:
            raise ImageError(
                f'"{self.name}" is no longer there: its archive changed or was removed.'
            ) from error
        except _DAMAGED as error:
            raise ImageError(
                f'"{self.name}" is damaged inside the archive. Pack it again.'
            ) from error


def find_photos(paths: Iterable[Path]) -> tuple[list[PhotoFile], int]:
    """Files as given, folders and archives as the pictures in them.

    Returns:
        The photos, and how many files of folders and archives are no pictures by their name.

    Raises:
        ArchiveError: an archive cannot be opened, or exceeds a limit of this module.
    """
    found: list[PhotoFile] = []
    skipped = 0
    for path in paths:
        if path.is_dir():
            inside = [PhotoFile(file, _inside(file, path)) for file in _files(path)]
        elif path.suffix.lower() == ".zip":
            inside = list(_entries(path))
        else:
            found.append(PhotoFile(path, path.name))
            continue
        photos = [given for given in inside if Path(given.name).suffix.lower() in TAKEN]
        skipped += len(inside) - len(photos)
        found += photos
    return found, skipped


TAKEN = SUFFIXES | _ARCHIVES
"""Archives inside are kept, so that each gets a line that says why it was not opened."""


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path


def _inside(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()


def _entries(path: Path) -> Iterator[PhotoFile]:
    try:
        with _open(path) as archive:
            infos = archive.infolist()
    except ArchiveError:
        raise
    except _DAMAGED as error:
        raise ArchiveError(
            f'"{path.name}" is not a ZIP archive, or is damaged. Pack the photos again.'
        ) from error
    if len(infos) > MAX_ENTRIES:
        raise ArchiveError(
            f'"{path.name}" holds {len(infos)} files and folders; at most {MAX_ENTRIES} are '
            f"taken. Split it."
        )
    unpacked = sum(info.file_size for info in infos)
    if unpacked > MAX_UNPACKED:
        raise ArchiveError(
            f'"{path.name}" would be {unpacked / 1024**3:.1f} GB unpacked; at most '
            f"{MAX_UNPACKED / 1024**3:.0f} GB are taken. Split it."
        )
    for number, info in enumerate(infos):
        name = _label(info.filename)
        if not info.is_dir() and not _is_clutter(name):
            yield PhotoFile(path, name, number)


def _label(name: str) -> str:
    """An entry's name for people: a label only, never a path anything is opened by."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    kept = "/".join(part for part in parts if part not in ("/", "..", "."))
    return "".join(letter for letter in kept if letter.isprintable())[-200:] or "nameless"


def _is_clutter(name: str) -> bool:
    """What a Mac adds by itself."""
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or parts[-1].startswith(".")


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
                    f'"{Path(str(self.name)).name}" has too long a table of contents; at most '
                    f"{MAX_ENTRIES} files are taken. Split it."
                )
            size = _MAX_TABLE if size is None or size < 0 else size
        return super().read(size) or b""
