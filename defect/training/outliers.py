"""Which of the photos somebody teaches from may not belong: judged by the others, not by a rule.

Four kinds: unlike the others somewhere (a defect that slipped in), unlike them altogether (another
product), darker or lighter, and blurred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_PHOTOS = 5
"""Among fewer, none can be told to be the odd one."""
ODD_SPREADS = 2.5
"""Robust standard deviations of the log score above its median that make a photo odd."""
LEAST_SPREAD = 0.12
"""Of the log score, at least: a photo is odd from exp(2.5 × 0.12) = 1.35 times the median on."""
OTHER_PRODUCT = 2.2
"""Times the usual score."""
LIGHT_RANGE = 0.72, 1.38
BLURRED = 0.4
"""Part of the usual fine detail under which a photo is called blurred."""


@dataclass(frozen=True)
class Odd:
    """One photo worth a second look."""

    index: int
    reason: str
    """A sentence's end, such as `looks blurred`."""


def odd_photos(images: np.ndarray, scores: np.ndarray) -> list[Odd]:
    """The photos that stand out among those a memory was taught from, the oddest first.

    Args:
        images: N×256×256×3 uint8.
        scores: N leave-one-out scores, as `teach` returns them.
    """
    if len(images) < LEAST_PHOTOS:
        return []
    spreads = _spreads(np.log(np.maximum(scores, 1e-6)), LEAST_SPREAD)
    times = scores / max(float(np.median(scores)), 1e-6)
    light = images.mean((1, 2, 3))
    light = light / max(float(np.median(light)), 1e-6)
    detail = np.array([_detail(image) for image in images])
    detail = detail / max(float(np.median(detail)), 1e-6)
    found = []
    for i in range(len(images)):
        reasons = []
        if times[i] > OTHER_PRODUCT and spreads[i] > ODD_SPREADS:
            reasons.append("looks unlike the others: another product, or a large defect?")
        elif spreads[i] > ODD_SPREADS:
            reasons.append("has a place the others do not show: a defect that slipped in?")
        if not LIGHT_RANGE[0] < light[i] < LIGHT_RANGE[1]:
            reasons.append(f"is much {'darker' if light[i] < 1 else 'lighter'} than the others")
        if detail[i] < BLURRED:
            reasons.append("looks blurred beside the others")
        if reasons:
            found.append(Odd(i, "; ".join(reasons)))
    return sorted(found, key=lambda odd: -scores[odd.index])


def _spreads(values: np.ndarray, least: float) -> np.ndarray:
    """Distance from the median in robust standard deviations."""
    middle = np.median(values)
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), least)
    distances: np.ndarray = (values - middle) / spread
    return distances


def _detail(image: np.ndarray) -> float:
    """Mean absolute second difference of the grey picture: what blur takes first."""
    grey = image.mean(2)
    across = np.abs(2 * grey[:, 1:-1] - grey[:, :-2] - grey[:, 2:]).mean()
    down = np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean()
    return float(across + down) / max(float(grey.mean()), 1.0)
