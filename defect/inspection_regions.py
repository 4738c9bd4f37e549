"""Where an inspection found something: its mask as a list of regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from defect.detectors.autoencoder import Inspection

_TOUCHING = np.ones((3, 3), bool)
"""Corners count: a thin slanted scratch is one region."""
_PLACES = (
    ("upper left", "top", "upper right"),
    ("left", "centre", "right"),
    ("lower left", "bottom", "lower right"),
)


@dataclass(frozen=True)
class Region:
    """One connected part of the mask. Places are shares of the photo from its upper left corner."""

    row: float
    """Its centre of area, 0 (top edge) to 1 (bottom edge)."""
    column: float
    """The same, 0 (left edge) to 1 (right edge)."""
    where: str
    """The ninth of the photo its centre lies in: `upper left`, `top`, …, `centre`, …"""
    area: float
    """Share of the photo, above 0 and at most 1."""
    peak: float
    """The anomaly map's highest value inside, in multiples of the normal limit."""
    box: tuple[float, float, float, float]
    """Left, upper, right, lower: the smallest rectangle around it."""


def regions(inspection: Inspection) -> list[Region]:
    """The regions at the inspection's threshold, the largest first; empty where it is normal."""
    mask = inspection.mask
    labels, count = ndimage.label(mask, _TOUCHING)
    if not count:
        return []
    height, width = mask.shape
    # Only the mask's own pixels are worth a look.
    y, x = np.nonzero(mask)
    owner = labels[y, x] - 1
    areas = np.bincount(owner)
    centres = zip(np.bincount(owner, y) / areas, np.bincount(owner, x) / areas, strict=True)
    peaks = np.zeros(count)
    np.maximum.at(peaks, owner, inspection.anomaly_map[y, x])
    boxes = ndimage.find_objects(labels)
    found = []
    for area, (down, across), peak, (rows, columns) in zip(
        areas, centres, peaks, boxes, strict=True
    ):
        # A pixel's middle lies half a pixel from its edges.
        row, column = (float(down) + 0.5) / height, (float(across) + 0.5) / width
        found.append(
            Region(
                row=row,
                column=column,
                where=place(row, column),
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
    return sorted(found, key=lambda region: (-region.area, -region.peak))


def place(row: float, column: float) -> str:
    """The ninth of the photo a point (shares of height and width, 0..1) lies in, in words."""
    return _PLACES[min(int(3 * row), 2)][min(int(3 * column), 2)]
