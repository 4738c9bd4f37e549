"""Photos of an object store, found by its address through Arrow's file systems.

Arrow comes with the optional extra Ray and is imported only here and in `parts`, when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from defect.imaging.archives import TAKEN, PhotoFile, find_photos
from defect.imaging.photo import MAX_BYTES, ImageError, Photo, read_photo


class AddressError(ValueError):
    """An address that cannot be listed; the text says what to check."""


@dataclass(frozen=True)
class BucketPhoto:
    """One photo of an object store, not yet fetched."""

    root: str
    """The address it was listed under, such as `s3://bucket/line-3`."""
    path: str
    """Its path, as the file system of the address calls it."""
    name: str
    version: str
    """Size and time of its last change, to tell whether it was exchanged."""

    def read(self) -> Photo:
        """Fetches it and reads it through the one gate for pictures.

        Raises:
            ImageError: it cannot be used; the text says why.
        """
        try:
            with _open_root(self.root)[0].open_input_stream(self.path) as stream:
                # One byte more than is taken: the gate then says that it is too large.
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(
                f'"{self.name}" could not be fetched from the object store. Is it still there, and '
                f"may you read it?"
            ) from error
        return read_photo(data, self.name)


def find(places: Sequence[Path | str]) -> tuple[list[PhotoFile | BucketPhoto], int]:
    """The photos of files, folders and archives (paths) and of object stores (addresses).

    Returns:
        The photos, and how many files are no pictures by their name.

    Raises:
        AddressError: an address cannot be listed.
        ArchiveError: as `given.find_photos`.
    """
    found: list[PhotoFile | BucketPhoto] = []
    skipped = 0
    for place in places:
        if isinstance(place, Path):
            photos, others = find_photos([place])
            found += photos
            skipped += others
        else:
            listed = _listed(place)
            pictures = [s for s in listed if Path(s.name).suffix.lower() in TAKEN]
            found += pictures
            skipped += len(listed) - len(pictures)
    return found, skipped


def _listed(address: str) -> list[BucketPhoto]:
    import pyarrow.fs as pafs

    try:
        system, base = _open_root(address)
        start = system.get_file_info(base)
        if start.type == pafs.FileType.File:
            return [BucketPhoto(address, base, start.base_name, _version(start))]
        infos = system.get_file_info(pafs.FileSelector(base, recursive=True))
    except (OSError, ValueError) as error:
        raise AddressError(
            f'"{address}" cannot be listed. Is the address right, and may you read it?'
        ) from error
    return [
        BucketPhoto(address, info.path, info.path.removeprefix(base).lstrip("/"), _version(info))
        for info in sorted(infos, key=lambda info: str(info.path))
        if info.type == pafs.FileType.File
    ]


def _version(info: Any) -> str:
    return f"{info.size} {info.mtime_ns}"


@lru_cache(maxsize=8)
def _open_root(address: str) -> tuple[Any, str]:
    """The file system behind an address, with credentials from where its store looks for them."""
    import pyarrow.fs as pafs

    system, base = pafs.FileSystem.from_uri(address)
    return system, base
