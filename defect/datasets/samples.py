"""What a data set is made of: a path, what is wrong with the part, and where."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from defect.datasets.supervisely import read_annotation
from defect.imaging.archives import is_clutter, label
from defect.imaging.formats import SUFFIXES
from defect.imaging.photo import NETWORK_SIDE, ImageError, network_input, read_photo, upright_size
from defect.inspection import Message

IMAGE_SUFFIXES = SUFFIXES
GOOD = "good"
GOOD_NAMES = ("good", "normal", "ok")
"""What folders of defect-free photos are called."""
MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg")
MASK_ENDINGS = ("_mask", "_gt", "_label", "")
"""Between a photo's name and a mask's suffix."""
MOST_UNREADABLE = 0.1
"""Share of a folder's photos that may be left out because they cannot be read."""
_SHAPE_TOLERANCE = 0.02


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


class UnreadableWarning(UserWarning):
    """Photos of a data set were left out."""


def list_images(folder: Path) -> list[Path]:
    """The folder's photos in the order of their names; an absent folder has none.

    Hidden files, and folders named like pictures, are none.
    """
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not is_clutter(path.name) and path.is_file()
    )


def list_folders(folder: Path) -> list[Path]:
    """The folders in it, without hidden ones, in the order of their names."""
    if not folder.is_dir():
        return []
    return sorted(p for p in folder.iterdir() if p.is_dir() and not is_clutter(p.name))


def short_name(path: Path) -> str:
    """A file with its folder, for messages."""
    return label(f"{path.parent.name}/{path.name}")


def readable(samples: Sequence[Sample]) -> tuple[list[Sample], list[tuple[Sample, ImageError]]]:
    """Sorts out the photos that cannot be read.

    Returns:
        The readable ones, and the others with the reason.

    Raises:
        DataError: more than one in ten cannot be read.
    """
    kept, broken = [], []
    for sample in samples:
        try:
            read_photo(sample.path, short_name(sample.path))
        except ImageError as error:
            broken.append((sample, error))
        else:
            kept.append(sample)
    _check_broken(broken, len(samples))
    return kept, broken


def load_images(samples: Sequence[Sample]) -> np.ndarray:
    """Reads every photo once → N×256×256×3 uint8, as the networks see them.

    Raises:
        DataError: a photo cannot be read: the samples must stay as many as the images.
    """
    images = np.empty((len(samples), NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
    for i, sample in enumerate(samples):
        try:
            images[i] = network_input(read_photo(sample.path, short_name(sample.path)).pixels)
        except ImageError as error:
            raise DataError(*error.args) from error
    return images


def load_readable_images(samples: Sequence[Sample]) -> tuple[np.ndarray, list[Sample]]:
    """As `load_images`, but leaves out what cannot be read or is damaged, with a warning.

    Returns:
        N×256×256×3 uint8, and the N samples they show.

    Raises:
        DataError: more than one in ten must be left out.
    """
    images = np.empty((len(samples), NETWORK_SIDE, NETWORK_SIDE, 3), np.uint8)
    kept: list[Sample] = []
    broken: list[tuple[Sample, ImageError]] = []
    for sample in samples:
        try:
            photo = read_photo(sample.path, short_name(sample.path))
            if photo.damaged:
                raise ImageError(
                    Message(
                        "photo_partly_damaged",
                        '"{name}" is partly damaged. Restore it.',
                        name=photo.name,
                    )
                )
        except ImageError as error:
            broken.append((sample, error))
        else:
            images[len(kept)] = network_input(photo.pixels)
            kept.append(sample)
    _check_broken(broken, len(samples))
    for _, reason in broken:
        warnings.warn(f"Left out: {reason}", UnreadableWarning, stacklevel=2)
    return images[: len(kept)], kept


def _check_broken(broken: Sequence[tuple[Sample, ImageError]], total: int) -> None:
    if len(broken) > max(MOST_UNREADABLE * total, 1) or (broken and len(broken) == total):
        first = broken[0][1]
        raise DataError(
            Message(
                "data_unreadable",
                "{count} of {total} photos cannot be read. The first: {reason}",
                count=len(broken),
                total=total,
                reason=first.args[0] if first.args else str(first),
            )
        )


def find_mask(folder: Path, photo: Path) -> Path | None:
    """A photo's mask in a folder of masks, by the common names: `x_mask.png`, `x_gt.png`,
    `x_label.bmp` or the photo's own name, in any case and picture format."""
    return _match(_masks_by_name(folder), photo)


def match_masks(folder: Path, photos: Sequence[Path]) -> tuple[list[Path | None], list[Path]]:
    """Each photo's mask in a folder of masks, and the masks that belong to no photo."""
    masks = _masks_by_name(folder)
    matched = [_match(masks, photo) for photo in photos]
    used = set(matched)
    return matched, sorted(mask for mask in masks.values() if mask not in used)


def _masks_by_name(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        return {}
    return {
        path.name.lower(): path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in MASK_SUFFIXES and not is_clutter(path.name) and path.is_file()
    }


def _match(masks: dict[str, Path], photo: Path) -> Path | None:
    for ending in MASK_ENDINGS:
        for suffix in MASK_SUFFIXES:
            found = masks.get(f"{photo.stem}{ending}{suffix}".lower())
            if found is not None:
                return found
    return None


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
            Message(
                "mask_unreadable",
                "The mask {name} cannot be read. Restore the data set.",
                name=short_name(path),
            )
        ) from error


def load_masks(samples: Sequence[Sample]) -> tuple[np.ndarray, np.ndarray]:
    """Ground truth at the networks' size.

    Returns:
        masks: N×256×256 bool. A good photo's mask is empty.
        known: N bool, False for a defective photo whose mask the data set does not have.

    Raises:
        DataError: a mask cannot be read, or has not its photo's shape.
    """
    masks = np.zeros((len(samples), NETWORK_SIDE, NETWORK_SIDE), bool)
    known = np.ones(len(samples), bool)
    for i, sample in enumerate(samples):
        if sample.mask is not None:
            array = read_mask(sample.mask)
            check_mask_shape(array, sample)
            mask = Image.fromarray(array).convert("L")
            # Averaging keeps thin defects that nearest-neighbour sampling would skip; where the
            # thinnest would still vanish, every pixel they touch counts.
            share = np.asarray(mask.resize((NETWORK_SIDE,) * 2, Image.Resampling.BOX))
            masks[i] = share >= 128 if (share >= 128).any() else share > 0
        else:
            known[i] = not sample.defective
    return masks, known


def check_mask_shape(mask: np.ndarray, sample: Sample) -> None:
    """Compares a mask with its photo, turned upright: squeezed into another shape it would lie in
    the wrong place.

    Raises:
        DataError: their proportions differ.
    """
    try:
        width, height = upright_size(sample.path)
    except ImageError:
        return  # whoever loads the photo says so
    if abs(np.log((mask.shape[0] / mask.shape[1]) / (height / width))) > _SHAPE_TOLERANCE:
        assert sample.mask is not None
        raise DataError(
            Message(
                "mask_shape",
                "The mask {mask} has {mask_width}×{mask_height} pixels, its photo {photo} "
                "{width}×{height} (upright). Export the mask again at the photo's size.",
                mask=short_name(sample.mask),
                mask_width=mask.shape[1],
                mask_height=mask.shape[0],
                photo=short_name(sample.path),
                width=width,
                height=height,
            )
        )
