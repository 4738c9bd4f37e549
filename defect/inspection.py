"""What a detector found in one photo: the value that travels, its regions, the verdict in words.

Everything a page, a report or a program says about a photo is asked of an `Inspection`. The network
runs once a photo; threshold, mask, regions and sentence are computed from its anomaly map.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy import ndimage

DEFAULT_THRESHOLD = 1.0
UNFAMILIAR_SHARE = 0.4
"""Share of the photo over the normal limit from which it is taken for a photo of something else.

Chosen with test photos in view, so it only warns and decides no verdict. On a quarter of the MVTec
test photos, by CAE and DAE none of 478 photos of the category itself passes it; on a sixth of them,
by the memory 4 of 157, all of metal nuts; of photos of other products 96 to 97 in 100 do."""

_TOUCHING = np.ones((3, 3), bool)
"""Corners count: a thin slanted scratch is one region."""
_POSITIONS = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)


class Message(str):
    """A sentence for people that can be translated: English text with a key and its values.

    It is a plain string to everything that only shows or stores it.
    """

    key: str
    values: dict[str, Any]

    def __new__(cls, key: str, template: str, /, **values: Any) -> Message:
        """
        Args:
            key: names the sentence in the translations.
            template: the English text, with a `{name}` for each value.
        """
        message = super().__new__(cls, template.format(**values))
        message.key, message.values = key, values
        return message

    def __getnewargs_ex__(self) -> tuple[tuple[str, str], dict[str, Any]]:
        # Pickled (for another process) with the text as it reads.
        return (self.key, str(self).replace("{", "{{").replace("}", "}}")), self.values


@dataclass(frozen=True)
class WeightsSource:
    """Where the weights in use came from."""

    source: str
    """`bundled`, `hub cache`, `hub`, `uploaded` or `taught here`."""
    file: str
    """Path below the weights folder, such as `dae/bottle.safetensors`."""
    sha256: str
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Region:
    """One connected part of a mask. Positions are fractions of the photo from its upper left."""

    row: float
    """Its centroid, 0 (top edge) to 1 (bottom edge)."""
    column: float
    """The same, 0 (left edge) to 1 (right edge)."""
    where: str
    """The ninth of the photo its centroid lies in: `upper left`, `top`, …, `centre`, …"""
    area: float
    """Fraction of the photo, above 0 and at most 1."""
    peak: float
    """The anomaly map's highest value inside, in multiples of the normal limit."""
    box: tuple[float, float, float, float]
    """Left, upper, right, lower: the bounding box."""

    def in_pixels(self, size: tuple[int, int]) -> PixelRegion:
        """The same in pixels of a photo of this height and width."""
        height, width = size
        left, upper, right, lower = self.box
        # Fractions of a map's pixels may miss a whole number by a rounding error.
        return PixelRegion(
            box=(
                math.floor(left * width + 1e-6),
                math.floor(upper * height + 1e-6),
                math.ceil(right * width - 1e-6),
                math.ceil(lower * height - 1e-6),
            ),
            centre=(round(self.column * width, 1), round(self.row * height, 1)),
            area=max(1, round(self.area * width * height)),
        )


@dataclass(frozen=True)
class PixelRegion:
    """A region in pixels of the photo, counted from its upper left corner."""

    box: tuple[int, int, int, int]
    """Left, top, right, bottom; the last two are the first pixels outside."""
    centre: tuple[float, float]
    """x, y of its centroid."""
    area: int
    """Pixels."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """What a detector found in one photo."""

    photo: np.ndarray
    """H×W×3 uint8 RGB as shown: upright, at most 1024 pixels a side."""
    name: str
    notes: tuple[str, ...]
    """What was changed when the photo was read, as sentences (`Message`)."""
    anomaly_map: np.ndarray
    """h×w float32, ≥ 0, in multiples of the normal limit."""
    error_map: np.ndarray | None
    """h×w float32: the thesis's squared error E, averaged over channels. `None`, as are the
    reconstruction and the thesis score, where the detector reconstructs nothing."""
    reconstruction: np.ndarray | None
    """h×w×3 uint8."""
    score: float
    """The map's highest value: 1.0 is the normal limit, 1.3 is 30 % over it."""
    thesis_score: float | None
    """Mean of E."""
    thesis_limit: float | None
    """The bound that 99 of 100 normal photos' thesis scores stay under."""
    model: str
    category: str
    weights: WeightsSource
    threshold: float = DEFAULT_THRESHOLD
    """In multiples of the normal limit."""
    photo_size: tuple[int, int] | None = None
    """Height and width of the photo before it was reduced, upright; None where it is not known."""

    def __post_init__(self) -> None:
        if not np.isfinite(self.score):
            raise ValueError(
                Message(
                    "score_not_finite",
                    'The score of "{name}" is not a number. The detector is damaged: load or '
                    "teach it again.",
                    name=self.name,
                )
            )

    @property
    def defective(self) -> bool:
        """Whether the score reaches the threshold; exactly then the mask is not empty."""
        return self.score >= self.threshold

    @property
    def mask(self) -> np.ndarray:
        """h×w bool: where the map reaches the threshold."""
        reached: np.ndarray = self.anomaly_map >= self.threshold
        return reached

    @cached_property
    def regions(self) -> tuple[Region, ...]:
        """The mask's connected regions, the largest first; empty where the photo is normal."""
        return find_regions(self.anomaly_map, self.threshold)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width that pixel coordinates refer to: the photo's own, or as shown."""
        return self.photo_size or self.photo.shape[:2]

    @property
    def pixel_regions(self) -> tuple[PixelRegion, ...]:
        """The regions in pixels of the photo, in the same order."""
        return tuple(region.in_pixels(self.size) for region in self.regions)

    @cached_property
    def unfamiliar(self) -> bool:
        """Whether the photo does not look like one of its category at all, whatever the threshold.

        A defect stands out from its surroundings; where nearly half the photo lies over the normal
        limit it more likely shows another product, or was taken in another way.
        """
        return float((self.anomaly_map >= 1).mean()) > UNFAMILIAR_SHARE

    def at(self, threshold: float) -> Inspection:
        """The same photo judged by another threshold; no network runs.

        Raises:
            ValueError: the threshold is not a number above 0.
        """
        check_threshold(threshold)
        return replace(self, threshold=float(threshold))


def check_threshold(threshold: object) -> None:
    """Raises `ValueError` unless the threshold is a number above 0."""
    number = isinstance(threshold, (int, float, np.number)) and not isinstance(threshold, bool)
    try:
        usable = number and np.isfinite(float(threshold)) and threshold > 0  # type: ignore[arg-type, operator]
    except OverflowError:
        usable = False
    if not usable:
        raise ValueError(
            Message(
                "threshold_not_positive",
                "The threshold is {threshold}; use a number above 0, such as 1.0.",
                threshold=str(threshold)[:40],
            )
        )


def find_regions(anomaly_map: np.ndarray, threshold: float) -> tuple[Region, ...]:
    """The connected regions of an h×w map that reach a threshold, the largest first."""
    mask = anomaly_map >= threshold
    labels, count = ndimage.label(mask, _TOUCHING)
    if not count:
        return ()
    height, width = mask.shape
    y, x = np.nonzero(mask)
    owner = labels[y, x] - 1
    areas = np.bincount(owner)
    centres = zip(np.bincount(owner, y) / areas, np.bincount(owner, x) / areas, strict=True)
    peaks = np.zeros(count)
    np.maximum.at(peaks, owner, anomaly_map[y, x])
    found = []
    for area, (down, across), peak, (rows, columns) in zip(
        areas, centres, peaks, ndimage.find_objects(labels), strict=True
    ):
        # A pixel's middle lies half a pixel from its edges.
        row, column = (float(down) + 0.5) / height, (float(across) + 0.5) / width
        found.append(
            Region(
                row=row,
                column=column,
                where=position_name(row, column),
                area=float(area) / mask.size,
                peak=float(peak),
                box=(
                    columns.start / width,
                    rows.start / height,
                    columns.stop / width,
                    rows.stop / height,
                ),
            )
        )
    return tuple(sorted(found, key=lambda region: (-region.area, -region.peak)))


def position_name(row: float, column: float) -> str:
    """The ninth of the photo a point (fractions of height and width, 0..1) lies in."""
    return _POSITIONS[min(int(3 * row), 2)][min(int(3 * column), 2)]


def describe(inspection: Inspection) -> str:
    """The reason for the verdict in one or two sentences."""
    score, found = format_multiple(inspection.score), inspection.regions
    if not found:
        text = f"Peak anomaly {score}× the normal limit."
    else:
        text = (
            f"Peak anomaly {score}× the normal limit; largest region {found[0].where}, "
            f"{format_percent(found[0].area)} of the photo"
        )
        if len(found) > 1:
            together = format_percent(sum(region.area for region in found))
            text += f" ({len(found)} regions, {together} in total)"
        text += "."
    if inspection.unfamiliar:
        text += " Is this a photo of the product the detector was trained on?"
    return text


def format_multiple(value: float) -> str:
    """A score or threshold with two digits, rounded down: a score of 0.996 must not read 1.00,
    or it would seem to reach a threshold that it does not."""
    hundredths = round(value * 100)
    return f"{(hundredths - (hundredths / 100 > value)) / 100:.2f}"


def format_percent(fraction: float) -> str:
    """A fraction (0..1) of the photo as per cent; never 0 for something that is there."""
    return "under 0.1 %" if 0 < fraction < 0.001 else f"{100 * fraction:.1f} %"
