"""Somebody's own product: from uploaded photos or a file to a detector, and what to tell of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from defect.detectors.memory_detector import (
    MAX_MEMORY_BYTES,
    MemoryInspector,
    from_bytes,
    plain_name,
    teaching_extractor,
)
from defect.imaging.archives import Given
from defect.imaging.photo import ImageError
from defect.training import memory as memories
from defect.training.outliers import Odd, odd_photos
from defect.training.teach import teach
from defect.weights import files as weights
from defect.weights.files import WEIGHTS_FOLDER, WeightsError, WeightsSource

MOST_PHOTOS = 300
"""60 MB while teaching; a memory learns little from more."""
FEW_PHOTOS = 10


@dataclass(frozen=True)
class Product:
    """A detector and what there is to say about its teaching."""

    inspector: MemoryInspector
    file: bytes
    """The detector as a weights file, to keep."""
    names: tuple[str, ...]
    """Of the photos it was taught from."""
    odd: tuple[Odd, ...] = ()
    """Indices are into `names`."""
    notes: tuple[str, ...] = ()
    """What was left out and why, as sentences."""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        return self.inspector.metadata.category

    @property
    def photos(self) -> int:
        return self.inspector.memory.photos


def one_in(photos: int) -> int:
    """Expect about one false alarm in so many good photos: the limit is set for 1 in 100, and a
    few photos say little about the rest."""
    return round(1 / (0.01 + 0.3 / max(photos, 1)))


def teach_product(
    photos: Sequence[str | Given],
    name: str,
    *,
    without: Sequence[str] = (),
    folder: Path = WEIGHTS_FOLDER,
    wait: float | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Product:
    """Teaches a detector from photo files; what cannot be used is left out and told.

    Args:
        photos: files, or what `given.photos_of` finds in folders and archives.
        name: of the product; made plain.
        without: names of photos to leave out, as `Product.names` has them.
        folder: where the extractor lies.
        wait: seconds a backbone's download is waited for (`taught.teaching_extractor`).
        tell: called with (done, in all).

    Raises:
        ValueError: no photo, too many, or none that can be read; the text says so.
        WeightsError: there is no usable extractor.
    """
    given = [one if isinstance(one, Given) else Given(Path(one), Path(one).name) for one in photos]
    if not given:
        raise ValueError("There are no photos yet. Add 10 to 50 good ones and try again.")
    if len(given) > MOST_PHOTOS:
        raise ValueError(
            f"{len(given)} photos at once; at most {MOST_PHOTOS} are taken. Ten to fifty are "
            f"usually enough: choose those that show how much good parts differ."
        )
    extractor, sha256, backbone = teaching_extractor(folder, wait)
    images, names, notes = _read(given, without)
    taught = teach(extractor, images, sha256, tell=tell)
    if len(images) < FEW_PHOTOS:
        one = "One photo says" if len(images) == 1 else f"{len(images)} photos say"
        notes.append(f"{one} little about how good parts differ: expect misjudgements. Add more.")
    through = memories.OWN
    if backbone:
        through = f"the backbone {backbone}"
        notes.append(f"Seen through {backbone}: only where that is chosen can the file be loaded.")
    metadata = memories.describe(
        taught, plain_name(name), "own photos", "the photos' own", through=through
    )
    file = weights.to_bytes({}, taught.memory.tensors(), metadata)
    source = WeightsSource(
        "taught here",
        f"{metadata.category}.safetensors",
        hashlib.sha256(file).hexdigest(),
        len(file),
    )
    odd = odd_photos(images, taught.scores) if len(images) > 1 else []
    inspector = MemoryInspector(extractor, taught.memory, metadata, source)
    return Product(inspector, file, names, tuple(odd), tuple(notes), taught.seconds)


def load_product(path: str, folder: Path = WEIGHTS_FOLDER, wait: float | None = None) -> Product:
    """A detector downloaded earlier.

    Args:
        wait: seconds a backbone's download is waited for.

    Raises:
        WeightsError: it is not one, or must not be used.
    """
    file = Path(path)
    if not file.is_file():
        raise WeightsError(f'There is no file "{file.name}". Check the path.')
    if file.stat().st_size > MAX_MEMORY_BYTES:
        raise WeightsError(f'"{file.name}" is too large to be a taught detector.')
    data = file.read_bytes()
    return Product(from_bytes(data, file.name, folder, wait), data, ())


def _read(
    given: Sequence[Given], without: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    """(N×256×256×3, names, notes): each photo read once, copies and the unreadable left out."""
    seen: dict[bytes, str] = {}
    images, names, unread, copies = [], [], [], 0
    shapes = set()
    for one in given:
        if one.name in without:
            continue
        try:
            photo = one.prepare()
        except ImageError as error:
            unread.append(str(error))
            continue
        key = hashlib.sha256(photo.seen.tobytes()).digest()
        if key in seen:
            copies += 1
            continue
        seen[key] = photo.name
        images.append(photo.seen)
        names.append(photo.name)
        shapes.add(round(photo.shown.shape[1] / photo.shown.shape[0], 1))
    if not images:
        raise ValueError(
            "None of the photos can be used. " + (unread[0] if unread else "All were left out.")
        )
    notes = []
    if copies:
        notes.append(
            f"{copies} {'is a copy' if copies == 1 else 'are copies'} of another: ignored."
        )
    if unread:
        more = f" ({len(unread) - 3} more)" if len(unread) > 3 else ""
        notes.append("Left out: " + " ".join(unread[:3]) + more)
    if len(shapes) > 1:
        notes.append("The photos have different shapes; all are squeezed into the same square.")
    return np.stack(images), tuple(names), notes
