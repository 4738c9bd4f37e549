"""KolektorSDD (Tabernik et al. 2019) and KolektorSDD2 (Božič et al. 2021).

In the data set's folder:

    kosNN/PartN.jpg  kosNN/PartN_label.png or .bmp             KolektorSDD
    train|test/10000.png  train|test/10000_GT.png              KolektorSDD2
    train|test/img/10000.png  train|test/ann/10000.png.json    KolektorSDD2 by Supervisely

A photo is defective exactly when its mask is not empty. Some copies leave the empty masks out.
"""

from __future__ import annotations

from pathlib import Path

from defect.datasets.samples import GOOD, DataError, Sample, list_images, read_mask, short_name
from defect.inspection import Message

DEFECT = "defect"
_ENDINGS = tuple(
    ending + suffix for ending in ("_label", "_GT", "_gt", "_mask") for suffix in (".png", ".bmp")
)

SDD, SDD2 = "kolektor_sdd", "kolektor_sdd2"


def dataset_name(root: Path) -> str:
    """`kolektor_sdd` or `kolektor_sdd2`, by the layout of the folder."""
    return SDD if _kos_folders(root) else SDD2


def samples(root: Path, split: str = "test") -> list[Sample]:
    """Every photo with its mask.

    Args:
        root: the folder of either data set, in one of the layouts above.
        split: `train` or `test` of KolektorSDD2; KolektorSDD has no split of its own.

    Raises:
        DataError: there are no photos in any of the layouts, or not one mask.
    """
    folders = _kos_folders(root) or [root / split, root / split / "img"]
    photos = [path for folder in folders for path in list_images(folder)]
    photos = [path for path in photos if not path.name.endswith(_ENDINGS)]
    if not photos:
        raise DataError(
            Message(
                "kolektor_no_photos",
                "No Kolektor photos: expected kos01/Part0.jpg with Part0_label.png (KolektorSDD), "
                "or {split}/10000.png with 10000_GT.png (KolektorSDD2) in the data folder.",
                split=split,
            )
        )
    masks = [_mask_of(path) for path in photos]
    if not any(masks):
        raise DataError(
            Message(
                "kolektor_no_masks",
                "{name} and the other Kolektor photos have no masks beside them. Restore the data "
                "set: defective photos cannot be told from good ones.",
                name=short_name(photos[0]),
            )
        )
    return [_sample(path, mask) for path, mask in zip(photos, masks, strict=True)]


def _kos_folders(root: Path) -> list[Path]:
    """KolektorSDD's folders, one a commutator."""
    return sorted(path for path in root.glob("kos*") if path.is_dir())


def _mask_of(path: Path) -> Path | None:
    candidates = [path.with_name(path.stem + ending) for ending in _ENDINGS]
    candidates.append(path.parent.parent / "ann" / f"{path.name}.json")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _sample(path: Path, mask: Path | None) -> Sample:
    defective = mask is not None and bool(read_mask(mask).any())
    return Sample(path, DEFECT if defective else GOOD, mask)
