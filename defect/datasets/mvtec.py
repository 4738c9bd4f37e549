"""The MVTec AD folder layout (Bergmann et al., CVPR 2019), also used by the rendered categories.

In a folder of categories:

    <root>/<category>/train/good/*            defect-free photos
    <root>/<category>/test/good/*             defect-free photos
    <root>/<category>/test/<defect>/*         photos of one defect type
    <root>/<category>/ground_truth/<defect>/<stem>_mask.png      optional

The good folders may be called `normal` or `ok`, and `train` and `test` may be left out
(`<category>/good`, `<category>/bad`): then every other good photo is one to test with. Masks may
have the photo's own name, `_gt` or `_label`, and other picture formats.
"""

from __future__ import annotations

from pathlib import Path

from defect.datasets.samples import (
    GOOD,
    GOOD_NAMES,
    DataError,
    Sample,
    list_folders,
    list_images,
    match_masks,
)
from defect.inspection import Message

CATEGORIES = (
    "bottle",
    "cable",
    "capsule",
    "carpet",
    "grid",
    "hazelnut",
    "leather",
    "metal_nut",
    "pill",
    "screw",
    "tile",
    "toothbrush",
    "transistor",
    "wood",
    "zipper",
)
"""The fifteen categories of MVTec AD, verbatim."""

LICENCE = "CC BY-NC-SA 4.0, MVTec Software GmbH"
_MASK_FOLDERS = ("ground_truth", "masks", "mask", "gt")
_OTHER_FOLDERS = frozenset({"train", "test", *_MASK_FOLDERS})


def list_categories(root: Path) -> list[str]:
    """Names of the folders under `root` that hold training photos, sorted."""
    return [folder.name for folder in list_folders(root) if _train_images(folder)]


def train_samples(root: Path, category: str) -> list[Sample]:
    """The category's defect-free training photos.

    Raises:
        DataError: there are none.
    """
    samples = [Sample(path, GOOD) for path in _train_images(root / category)]
    if not samples:
        raise DataError(
            Message(
                "data_no_training_photos",
                'No training photos for "{category}": expected {category}/train/good/ with photos '
                "in the data folder. Categories found there: {known}.",
                category=category,
                known=", ".join(list_categories(root)) or "none",
            )
        )
    return samples


def test_samples(root: Path, category: str) -> list[Sample]:
    """The category's test photos with their defect type and, where there is one, mask.

    An absent `test` folder gives an empty list: a category can be trained without one.
    """
    samples = []
    for kind, photos, truth in _test_folders(root / category):
        masks, _ = match_masks(truth, photos)
        samples += [
            Sample(path, kind, mask if kind != GOOD else None)
            for path, mask in zip(photos, masks, strict=True)
        ]
    return samples


test_samples.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name


def unmatched_masks(root: Path, category: str) -> list[Path]:
    """The category's masks that belong to no photo: of a photo that is absent, or misnamed."""
    found: list[Path] = []
    for kind, photos, truth in _test_folders(root / category):
        if kind != GOOD:
            found += match_masks(truth, photos)[1]
    return found


def _train_images(category: Path) -> list[Path]:
    for name in GOOD_NAMES:
        images = list_images(category / "train" / name)
        if images:
            return images
    return [] if _is_split(category) else _good_images(category)[::2]


def _is_split(category: Path) -> bool:
    return (category / "train").is_dir() or (category / "test").is_dir()


def _good_images(folder: Path) -> list[Path]:
    return next(filter(None, (list_images(folder / name) for name in GOOD_NAMES)), [])


def _test_folders(category: Path) -> list[tuple[str, list[Path], Path]]:
    """Defect type, photos, and the folder of their masks; ordered by type."""
    if _is_split(category):
        folders = [(path, list_images(path)) for path in list_folders(category / "test")]
    elif good := _good_images(category):
        others = [p for p in list_folders(category) if p.name.lower() not in _OTHER_FOLDERS]
        folders = [
            (path, good[1::2] if path == good[0].parent else list_images(path)) for path in others
        ]
    else:
        return []
    truth = next(
        (category / name for name in _MASK_FOLDERS if (category / name).is_dir()),
        category / "ground_truth",
    )
    kinds = []
    for path, photos in folders:
        kind = GOOD if path.name.lower() in GOOD_NAMES else path.name
        masks = truth / path.name
        kinds.append((kind, photos, masks if masks.is_dir() or len(folders) > 2 else truth))
    return kinds
