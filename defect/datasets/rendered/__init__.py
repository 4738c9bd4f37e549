"""Rendered product photos with exact defect masks, and rendered steel surfaces.

Everything is drawn by formula from a seed: no photo of any data set goes in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from defect.datasets.rendered import brushed, cap, washer, weave
from defect.datasets.rendered.camera import (
    SHAPE,
    Maker,
    add_noise,
    changed,
    expose,
    lens,
    light_direction,
    shade,
)
from defect.datasets.rendered.steel import STEEL_CLASSES, draw_steel

__all__ = [
    "CATEGORIES",
    "DEFECTS",
    "STEEL_CLASSES",
    "Rendering",
    "render",
    "render_steel",
    "write_dataset",
    "write_examples",
    "write_steel",
]

_PARTS: dict[str, Callable[[np.random.Generator], Maker]] = {
    "rendered_weave": weave.weave,
    "rendered_brushed": brushed.brushed,
    "rendered_cap": cap.cap,
    "rendered_washer": washer.washer,
}

CATEGORIES: tuple[str, ...] = tuple(_PARTS)
DEFECTS: dict[str, tuple[str, ...]] = {
    "rendered_weave": weave.DEFECTS,
    "rendered_brushed": brushed.DEFECTS,
    "rendered_cap": cap.DEFECTS,
    "rendered_washer": washer.DEFECTS,
}

# A defect outside this share of the picture is drawn again elsewhere.
SMALLEST, LARGEST = 0.002, 0.075
ATTEMPTS = 8
EXAMPLE_SEED = 900_000


@dataclass(frozen=True)
class Rendering:
    """One rendered photo.

    image is HxWx3 uint8; mask is HxW bool, True exactly where the defect changed the picture
    (all False on a good part); defect is "good" or the defect type.
    """

    image: np.ndarray
    mask: np.ndarray
    defect: str


def _stream(seed: int, *salt: str) -> np.random.Generator:
    return np.random.default_rng([seed, *(crc32(word.encode()) for word in salt)])


def render(category: str, seed: int, defect: str = "good") -> Rendering:
    """Render a 320x320 photo of a part of `category`; the same arguments give the same photo.

    `seed` (>= 0) fixes the part, its pose, the light and the sensor noise: with another
    `defect` the picture is identical wherever the mask is False.

    Raises ValueError for an unknown category, an unknown defect type or a negative seed.
    """
    if category not in _PARTS:
        raise ValueError(
            f"There is no rendered category {category!r}; choose one of {', '.join(CATEGORIES)}."
        )
    if defect != "good" and defect not in DEFECTS[category]:
        raise ValueError(
            f"{category} has no defect type {defect!r}; choose good or one of "
            f"{', '.join(DEFECTS[category])}."
        )
    _check_seed(seed)
    maker = _PARTS[category](_stream(seed, category, "part"))
    light = light_direction(_stream(seed, category, "light"))
    gains, blur = lens(_stream(seed, category, "camera"), SHAPE)

    def photograph(kind: str, attempt: int = 0) -> np.ndarray:
        surface = maker(kind, _stream(seed, category, kind, str(attempt)))
        return expose(shade(surface, light), gains, blur)

    clean = good = photograph("good")
    mask = np.zeros(SHAPE, bool)
    if defect != "good":
        for attempt in range(ATTEMPTS):
            bad = photograph(defect, attempt)
            mask = changed(good, bad)
            if SMALLEST <= mask.mean() <= LARGEST:
                break
        clean = np.where(mask[..., None], bad, good)
    image = add_noise(clean, _stream(seed, category, "noise"))
    return Rendering(image, mask, defect)


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ValueError(f"The seed is {seed}; give a whole number of 0 or more.")


def render_steel(class_name: str, seed: int) -> np.ndarray:
    """Render a 200x200x3 uint8 grey picture of one of the six NEU steel surface classes.

    Raises ValueError for a name that is not in STEEL_CLASSES or a negative seed.
    """
    if class_name not in STEEL_CLASSES:
        raise ValueError(
            f"There is no steel class {class_name!r}; choose one of {', '.join(STEEL_CLASSES)}."
        )
    _check_seed(seed)
    return draw_steel(class_name, _stream(seed, "steel", class_name))


def _save(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, compress_level=1)


def write_dataset(
    root: Path,
    categories: Sequence[str] = CATEGORIES,
    *,
    train: int = 300,
    good: int = 30,
    defective: int = 15,
    seed: int = 0,
) -> None:
    """Write rendered `categories` under `root` in the MVTec AD folder layout.

    Makes train/good (`train` pictures), test/good (`good`), test/<defect> (`defective` of each
    type) and ground_truth/<defect>/000_mask.png (8-bit, 0 and 255). No two parts are alike.

    Raises ValueError for an unknown category, before anything is written, or a negative seed.
    """
    for category in categories:
        if category not in _PARTS:
            raise ValueError(
                f"There is no rendered category {category!r}; choose from {', '.join(CATEGORIES)}."
            )
    _check_seed(seed)
    for category in categories:
        folder = Path(root) / category
        splits = [("train", "good", train), ("test", "good", good)]
        splits += [("test", name, defective) for name in DEFECTS[category]]
        # Seeds run on across the splits, so no part appears in two of them.
        number = seed * 1_000_003
        for split, defect, count in splits:
            for k in range(count):
                photo = render(category, number, defect)
                number += 1
                _save(photo.image, folder / split / defect / f"{k:03d}.png")
                if defect != "good":
                    mask = photo.mask.astype(np.uint8) * 255
                    _save(mask, folder / "ground_truth" / defect / f"{k:03d}_mask.png")


def write_steel(root: Path, *, per_class: int = 60, seed: int = 0) -> None:
    """Write `per_class` pictures of each steel class as root/<class>/<class>_1.png and so on.

    Raises ValueError for a negative seed.
    """
    _check_seed(seed)
    for class_name in STEEL_CLASSES:
        for k in range(per_class):
            picture = render_steel(class_name, seed * 1_000_003 + k)
            _save(picture, Path(root) / class_name / f"{class_name}_{k + 1}.png")


def render_examples() -> dict[str, bytes]:
    """The app's examples as JPEG files by path, `examples/<category>/<name>.jpg`."""
    with tempfile.TemporaryDirectory() as folder:
        write_examples(Path(folder))
        return {
            f"examples/{path.parent.name}/{path.name}": path.read_bytes()
            for path in sorted(Path(folder).rglob("*.jpg"))
        }


def write_examples(root: Path) -> None:
    """Write the app's examples: root/<category>/<defect>.jpg and root/rendered_steel/<class>_1.jpg.

    Their seeds are far from those of `write_dataset` and of the classifier's training.
    """
    for i, category in enumerate(CATEGORIES):
        for k, defect in enumerate(("good", *DEFECTS[category])):
            picture = render(category, EXAMPLE_SEED + 10 * i + k, defect).image
            _save_jpeg(picture, Path(root) / category / f"{defect}.jpg")
    for class_name in STEEL_CLASSES:
        for k in (1, 2):
            picture = render_steel(class_name, k)
            _save_jpeg(picture, Path(root) / "rendered_steel" / f"{class_name}_{k}.jpg")


def _save_jpeg(array: np.ndarray, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, quality=92)
