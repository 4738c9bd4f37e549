"""What a data set is made of: a path, what is wrong with the part, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from defect.datasets.supervisely import read_annotation
from defect.imaging.photo import NETWORK_SIDE, network_input, read_photo

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})
GOOD = "good"


class DataError(ValueError):
    """A data set that is absent or not laid out as expected; the text is for people."""


@dataclass(frozen=True)
class Sample:
    """One photo of a data set."""

    path: Path
    kind: str
    """`good`, or the name of the defect type (or of the class, for NEU)."""
    mask: Path | None = None
    """Ground truth, non-zero where defective; `None` where the data set has none."""

    @property
    def defective(self) -> bool:
        return self.kind != GOOD


def list_images(folder: Path) -> list[Path]:
    """The folder's photos in the order of their names; an absent folder has none."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)


def load_images(samples: Sequence[Sample]) -> np.ndarray:
    """Reads every photo once → N×256×256×3 uint8, as the networks see them."""
    images = np.empty((len(samples), NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
    for i, sample in enumerate(samples):
        images[i] = network_input(read_photo(sample.path).pixels)
    return images


def read_mask(path: Path) -> np.ndarray:
    """Ground truth at its own size → H×W bool: a picture's non-zero pixels, or an annotation's.

    Raises:
        DataError: it cannot be read.
    """
    try:
        if path.suffix.lower() == ".json":
            return read_annotation(path)
        with Image.open(path) as mask:
            return np.asarray(mask.convert("L")) > 0
    except (OSError, ValueError) as error:
        raise DataError(
            f"The mask {path.parent.name}/{path.name} cannot be read. Restore the data set."
        ) from error


def load_masks(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Ground truth at the networks' size.

    Returns:
        masks: N×256×256 bool. A good photo's mask is empty.
        known: N bool, False for a defective photo whose mask the data set does not have.
    """
    masks = np.zeros((len(samples), NETWORK_SIDE, NETWORK_SIDE), bool)
    known = np.ones(len(samples), bool)
    for i, sample in enumerate(samples):
        if sample.mask is not None:
            mask = Image.fromarray(read_mask(sample.mask)).convert("L")
            # Averaging keeps thin defects that nearest-neighbour sampling would skip; where the
            # thinnest would still vanish, every pixel they touch counts.
            share = np.asarray(mask.resize((NETWORK_SIDE,) * 2, Image.Resampling.BOX))
            masks[i] = share >= 128 if (share >= 128).any() else share > 0
        else:
            known[i] = not sample.defective
    return masks, known
