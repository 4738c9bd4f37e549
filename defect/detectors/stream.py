"""Many photos through one model, one result at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, TypeVar

from defect.imaging.photo import ImageError, Prepared, prepare

BATCH = 16
"""Photos in one pass of the network."""
CHUNK = 8
"""The same where each photo is waited for."""


class Photo(Protocol):
    """A photo not yet opened: `given.Given`, or one of an object store."""

    @property
    def name(self) -> str: ...
    def prepare(self) -> Prepared: ...


Result = TypeVar("Result")
Unopened = TypeVar("Unopened", bound=Photo)


@dataclass(frozen=True)
class Unread:
    """A photo that could not be read."""

    name: str
    error: ImageError


def in_passes(look: Callable[[Sequence[Prepared]], list[Result]], photos: Any) -> Any:
    """One photo → its result, a list of them → a list, through as few passes as `BATCH` allows.

    Raises:
        ImageError: a photo cannot be used; of a list, the first such.
    """
    if not isinstance(photos, list):
        return look([prepare(photos)])[0]
    results: list[Result] = []
    for start in range(0, len(photos), BATCH):
        results += look([prepare(photo) for photo in photos[start : start + BATCH]])
    return results


def look_through(
    model: Callable[[list[Prepared]], list[Result]], photos: Iterable[Unopened]
) -> Iterator[tuple[Unopened, Result | Unread]]:
    """Looks at every photo and gives each with its result, in the order they came.

    The next photos are decoded while the network looks at these. A photo that cannot be read is an
    `Unread`, not the end; who stops asking stops the work.

    Args:
        model: an `Inspector`, a `SteelClassifier`, or what else takes a list of prepared photos.
    """
    coming = iter(photos)
    # One thread, so that no two large pictures are decoded at once.
    with ThreadPoolExecutor(1, "decode") as ahead:
        following = ahead.submit(_read, list(islice(coming, CHUNK)))
        while chunk := following.result():
            following = ahead.submit(_read, list(islice(coming, CHUNK)))
            readable = [photo for _, photo in chunk if isinstance(photo, Prepared)]
            results = iter(model(readable) if readable else [])
            for given, photo in chunk:
                yield given, photo if isinstance(photo, Unread) else next(results)


def _read(chunk: list[Unopened]) -> list[tuple[Unopened, Prepared | Unread]]:
    read: list[tuple[Unopened, Prepared | Unread]] = []
    for given in chunk:
        try:
            read.append((given, given.prepare()))
        except ImageError as error:
            read.append((given, Unread(given.name, error)))
    return read
