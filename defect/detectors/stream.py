"""Many photos through one model, one result at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from defect.imaging.photo import ImageError, Photo, read_photo
from defect.inspection import DEFAULT_THRESHOLD, Inspection, check_threshold

if TYPE_CHECKING:
    from defect.detectors.detector import Detector

BATCH = 16
"""Photos in one pass of the network."""
CHUNK = 8
"""The same where each photo is waited for."""
CHUNK_BYTES = 48 * 1024**2
"""Pixels decoded ahead of the network; one photo may have more."""

Result = TypeVar("Result")


class PhotoSource(Protocol):
    """A photo not yet opened: a file, an entry of an archive, an object of a bucket."""

    @property
    def name(self) -> str: ...
    def read(self) -> Photo:
        """Raises `ImageError` where it cannot be read."""
        ...


@dataclass(frozen=True)
class Unreadable:
    """A photo that could not be read."""

    name: str
    error: ImageError


def inspect_stream(
    detector: Detector, photos: Iterable[PhotoSource], threshold: float = DEFAULT_THRESHOLD
) -> Iterator[Inspection | Unreadable]:
    """Inspects any number of photos, one result a photo, in their order.

    The next photos are decoded while the network runs on these. A photo that cannot be read is an
    `Unreadable`, not the end. Closing the iterator cancels the work.

    Args:
        threshold: in multiples of the normal limit.

    Raises:
        ValueError: the threshold is not a number above 0.
    """
    check_threshold(threshold)
    return _judge(run_stream(detector, photos), threshold)


def _judge(
    results: Generator[Inspection | Unreadable, None, None], threshold: float
) -> Iterator[Inspection | Unreadable]:
    with closing(results):
        for result in results:
            yield result if isinstance(result, Unreadable) else result.at(threshold)


def run_stream(
    model: Callable[[list[Any]], Iterable[Result]], photos: Iterable[PhotoSource]
) -> Generator[Result | Unreadable, None, None]:
    """The one loop behind every batch; `model` takes a list of `Photo`."""
    coming = iter(photos)
    # One thread, so that no two large pictures are decoded at once.
    with ThreadPoolExecutor(1, "decode") as ahead:
        following = ahead.submit(_read_chunk, coming)
        while chunk := following.result():
            following = ahead.submit(_read_chunk, coming)
            readable = [photo for photo in chunk if isinstance(photo, Photo)]
            results = iter(model(readable) if readable else [])
            for photo in chunk:
                yield photo if isinstance(photo, Unreadable) else next(results)


def _read_chunk(coming: Iterator[PhotoSource]) -> list[Photo | Unreadable]:
    chunk: list[Photo | Unreadable] = []
    size = 0
    while len(chunk) < CHUNK and size < CHUNK_BYTES:
        source = next(coming, None)
        if source is None:
            break
        try:
            photo = source.read()
        except ImageError as error:
            chunk.append(Unreadable(source.name, error))
        else:
            size += photo.pixels.nbytes
            chunk.append(photo)
    return chunk


def run_batched(inspect: Callable[[Sequence[Photo]], list[Result]], photos: Any) -> Any:
    """One photo → its result, a list of them → a list, through as few passes as `BATCH` allows.

    Raises:
        ImageError: a photo cannot be used; of a list, the first such.
    """
    if not isinstance(photos, list):
        return inspect([read_photo(photos)])[0]
    results: list[Result] = []
    for start in range(0, len(photos), BATCH):
        results += inspect([read_photo(photo) for photo in photos[start : start + BATCH]])
    return results
