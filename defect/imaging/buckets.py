"""Photos of an object store, found by its address through fsspec.

fsspec comes with the Hub's client; each store takes a package of its own, such as `s3fs` for s3://.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from defect.imaging.archives import TAKEN, PhotoFile, is_clutter, label, list_photos
from defect.imaging.photo import MAX_BYTES, ImageError, Photo, read_photo
from defect.inspection import Message

_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated")
"""What file systems call the mark of an object's version, or the time of its last change."""


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
    """Its path below the address."""
    version: str
    """Size and time of its last change, to tell whether it was exchanged."""

    def read(self, bit_depth: int | None = None) -> Photo:
        """Fetches it and reads it through `read_photo`.

        Raises:
            ImageError: it cannot be used; the text says why.
        """
        try:
            with _open_root(self.root)[0].open(self.path, "rb") as stream:
                # One byte more than is allowed: `read_photo` then says that it is too large.
                data = stream.read(MAX_BYTES + 1)
        except Exception as error:  # each store has errors of its own
            raise ImageError(
                Message(
                    "bucket_not_fetched",
                    '"{name}" could not be fetched from the object store. Is it still there, and '
                    "may you read it?",
                    name=self.name,
                )
            ) from error
        return read_photo(data, self.name, bit_depth)


def find(places: Sequence[Path | str]) -> tuple[list[PhotoFile | BucketPhoto], int]:
    """As `list_sources`; of what was skipped, only the number."""
    found, skipped = list_sources(places)
    return found, len(skipped)


def list_sources(
    places: Sequence[Path | str],
) -> tuple[list[PhotoFile | BucketPhoto], tuple[str, ...]]:
    """The photos of files, folders and archives (paths) and of object stores (addresses).

    Returns:
        The photos, and the names of what is skipped, as in `archives.Listing`.

    Raises:
        AddressError: an address cannot be listed.
        ArchiveError: as `archives.list_photos`.
    """
    listing = list_photos(place for place in places if isinstance(place, Path))
    found: list[PhotoFile | BucketPhoto] = [*listing.photos]
    skipped = list(listing.skipped)
    for address in places:
        if isinstance(address, Path):
            continue
        listed = _listed(address)
        for photo in listed:
            if PurePosixPath(photo.name).suffix.lower() in TAKEN:
                found.append(photo)
            else:
                skipped.append(photo.name)
    return found, tuple(skipped)


def _listed(address: str) -> list[BucketPhoto]:
    try:
        system, base = _open_root(address)
        info = system.info(base)
        if info["type"] == "file":
            return [BucketPhoto(address, base, label(PurePosixPath(base).name), _version(info))]
        files = system.find(base, detail=True)
    except ImportError as error:
        raise AddressError(
            Message(
                "address_package",
                '"{address}" takes a package that is not installed: {package}.',
                address=address,
                package=str(error)[:120].rstrip("."),
            )
        ) from error
    except Exception as error:  # each store has errors of its own
        raise AddressError(
            Message(
                "address_not_listed",
                '"{address}" cannot be listed. Is the address right, and may you read it?',
                address=address,
            )
        ) from error
    photos = [
        BucketPhoto(address, path, label(path.removeprefix(base)), _version(files[path]))
        for path in sorted(files)
    ]
    return [photo for photo in photos if not is_clutter(photo.name)]


def _version(info: dict[str, Any]) -> str:
    stamp = next((info[key] for key in _STAMPS if info.get(key) is not None), "")
    return f"{info.get('size')} {stamp}"


@lru_cache(maxsize=8)
def _open_root(address: str) -> tuple[Any, str]:
    """The file system behind an address, with credentials from where its store looks for them."""
    from fsspec.core import url_to_fs

    # Only a local address is a URI with escapes; names in stores may hold any character.
    system, base = url_to_fs(unquote(address) if address.startswith("file:") else address)
    return system, base
