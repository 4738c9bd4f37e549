"""Many photos through one model, one result at a time, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from defect.imaging.bit_depth import check_bit_depth, guess_bit_depth
from defect.imaging.photo import ImageError, Photo, read_photo
from defect.inspection import DEFAULT_THRESHOLD, Inspection, check_threshold

if TYPE_CHECKING:
    from defect.detectors.detector import Detector

BATCH = 16
"""Photos in one pass of the network."""
CHUNK = 8
"""The same where each photo is waited for."""
SAMPLED = 12
"""Photos that a folder's bit depth is guessed from."""
CHUNK_BYTES = 48 * 1024**2
"""Pixels decoded ahead of the network; one photo may have more."""

_DEEP = (".png", ".tif", ".tiff", ".pgm", ".ppm", ".pnm", ".jp2")
"""Suffixes of formats that hold more than 8 bits a channel."""

Result = TypeVar("Result")


class PhotoSource(Protocol):
    """A photo not yet opened: a file, an entry of an archive, an object of a bucket."""

    @property
    def name(self) -> str: ...
    def read(self, bit_depth: int | None = None) -> Photo:
        """Reads it, with the bit depth of its camera where somebody knows.

        Raises:
            ImageError: it cannot be read.
        """
        ...


@dataclass(frozen=True)
class Unreadable:
    """A photo that could not be read."""

    name: str
    error: ImageError


def inspect_stream(
    detector: Detector,
    photos: Iterable[PhotoSource],
    threshold: float = DEFAULT_THRESHOLD,
    bit_depth: int | None = None,
) -> Iterator[Inspection | Unreadable]:
    """Inspects any number of photos, one result a photo, in their order.

    The next photos are decoded while the network runs on these. A photo that cannot be read is an
    `Unreadable`, not the end. Closing the iterator cancels the work.

    Args:
        threshold: in multiples of the normal limit.
        bit_depth: of the camera (8 to 16); by default the detector's own, where it has one.

    Raises:
        ValueError: the threshold is not a number above 0, or the bit depth not one.
    """
    check_threshold(threshold)
    check_bit_depth(bit_depth)
    depth = detector.metadata.bit_depth if bit_depth is None else bit_depth
    return _judge(run_stream(detector, photos, depth), threshold)


def _judge(
    results: Generator[Inspection | Unreadable, None, None], threshold: float
) -> Iterator[Inspection | Unreadable]:
    with closing(results):
        for result in results:
            yield result if isinstance(result, Unreadable) else result.at(threshold)


def run_stream(
    model: Callable[[list[Any]], Iterable[Result]],
    photos: Iterable[PhotoSource],
    bit_depth: int | None = None,
) -> Generator[Result | Unreadable, None, None]:
    """The one loop behind every batch; `model` takes a list of `Photo`."""
    coming = iter(photos)
    # One thread, so that no two large pictures are decoded at once.
    with ThreadPoolExecutor(1, "decode") as ahead:
        following = ahead.submit(_read_chunk, coming, bit_depth)
        while chunk := following.result():
            following = ahead.submit(_read_chunk, coming, bit_depth)
            readable = [photo for photo in chunk if isinstance(photo, Photo)]
            results = iter(model(readable) if readable else [])
            for photo in chunk:
                yield photo if isinstance(photo, Unreadable) else next(results)


def _read_chunk(coming: Iterator[PhotoSource], bit_depth: int | None) -> list[Photo | Unreadable]:
    chunk: list[Photo | Unreadable] = []
    size = 0
    while len(chunk) < CHUNK and size < CHUNK_BYTES:
        source = next(coming, None)
        if source is None:
            break
        try:
            photo = source.read(bit_depth)
        except ImageError as error:
            chunk.append(Unreadable(source.name, error))
        else:
            size += photo.pixels.nbytes
            chunk.append(photo)
    return chunk


def run_batched(
    inspect: Callable[[Sequence[Photo]], list[Result]], photos: Any, bit_depth: int | None = None
) -> Any:
    """One photo → its result, a list of them → a list, through as few passes as `BATCH` allows.

    Args:
        bit_depth: of the camera, with which files are read that do not say it.

    Raises:
        ImageError: a photo cannot be used; of a list, the first such.
    """
    several = photos if isinstance(photos, list) else [photos]
    results: list[Result] = []
    for start in range(0, len(several), BATCH):
        batch = several[start : start + BATCH]
        results += inspect([read_photo(photo, bit_depth=bit_depth) for photo in batch])
    return results if isinstance(photos, list) else results[0]


def sampled_bit_depth(photos: Sequence[PhotoSource]) -> int | None:
    """The bit depth of a folder's camera, guessed from a few of its photos.

    Returns:
        8, 10, 12 or 14; None where nothing says that it is not what the files say.
    """
    deep = [p for p in photos if p.name.lower().partition(" (page ")[0].endswith(_DEEP)]
    step = max(1, len(deep) // SAMPLED)
    maxima: list[int | None] = []
    for source in deep[::step][:SAMPLED]:
        with suppress(ImageError):
            maxima.append(source.read().maximum)
    depth = guess_bit_depth(maxima)
    return depth if depth < 16 else None
