"""What a data set is made of: a path, what is wrong with the part, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from defect.images import NETWORK_SIDE, network_input, read_photo

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
            # Averaging keeps thin defects that nearest-neighbour sampling would skip.
            with Image.open(sample.mask) as mask:
                small = mask.convert("L").resize((NETWORK_SIDE,) * 2, Image.Resampling.BOX)
            masks[i] = np.asarray(small) >= 128
        else:
            known[i] = not sample.defective
    return masks, known
