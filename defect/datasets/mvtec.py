"""The MVTec AD folder layout (Bergmann et al., CVPR 2019), also used by the rendered categories.

In a folder of categories:

    <root>/<category>/train/good/*            defect-free photos
    <root>/<category>/test/good/*             defect-free photos
    <root>/<category>/test/<defect>/*         photos of one defect type
    <root>/<category>/ground_truth/<defect>/<stem>_mask.png      optional
"""

from __future__ import annotations

from pathlib import Path

from defect.datasets.samples import GOOD, DataError, Sample, list_images

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


def list_categories(root: Path) -> list[str]:
    """Names of the folders under `root` that hold training photos, sorted."""
    if not root.is_dir():
        return []
    return sorted(p.name for p in root.iterdir() if list_images(p / "train" / GOOD))


def train_samples(root: Path, category: str) -> list[Sample]:
    """The category's defect-free training photos.

    Raises:
        DataError: there are none.
    """
    samples = [Sample(path, GOOD) for path in list_images(root / category / "train" / GOOD)]
    if not samples:
        known = ", ".join(list_categories(root)) or "none"
        raise DataError(
            f'No training photos for "{category}": expected {category}/train/good/ with png, jpg '
            f"or bmp files in the data folder. Categories found there: {known}."
        )
    return samples


def test_samples(root: Path, category: str) -> list[Sample]:
    """The category's test photos with their defect type and, where there is one, mask.

    An absent `test` folder gives an empty list: a category can be trained without one.
    """
    folder = root / category
    kinds = sorted(p.name for p in (folder / "test").glob("*") if p.is_dir())
    samples = []
    for kind in kinds:
        truth = folder / "ground_truth" / kind
        for path in list_images(folder / "test" / kind):
            mask = truth / f"{path.stem}_mask.png"
            samples.append(Sample(path, kind, mask if mask.is_file() else None))
    return samples


test_samples.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name
