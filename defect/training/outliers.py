"""Which of the photos somebody teaches from may not belong: judged by the others, not by a rule.

Four kinds: unlike the others somewhere (a defect that slipped in), unlike them altogether (another
product), darker or lighter, and blurred.
"""

from __future__ import annotations

import numpy as np

from defect.inspection import Message

LEAST_PHOTOS = 5
"""Among fewer, none can be told to be the odd one."""
OUTLIER_SPREADS = 2.5
"""Robust standard deviations of the log score above its median that make a photo odd."""
LEAST_SPREAD = 0.12
"""Of the log score, at least: a photo is odd from exp(2.5 × 0.12) = 1.35 times the median on."""
OTHER_PRODUCT = 2.2
"""Times the usual score."""
BRIGHTNESS_RANGE = 0.72, 1.38
BLURRED = 0.4
"""Part of the usual fine detail under which a photo is called blurred."""


REASONS = {
    "unlike": "looks unlike the others: another product, or a large defect?",
    "defect": "differs from the others in one region: a defect that slipped in?",
    "darker": "is much darker than the others",
    "brighter": "is much brighter than the others",
    "blurred": "looks blurred beside the others",
}


def find_outliers(images: np.ndarray, scores: np.ndarray) -> list[tuple[int, Message]]:
    """The photos that stand out among those a memory was taught from, the most anomalous first.

    Args:
        images: N×256×256×3 uint8.
        scores: N leave-one-out scores, as `fit_memory` returns them.

    Returns:
        the index of each photo, and the end of a sentence that says why.
    """
    if len(images) < LEAST_PHOTOS:
        return []
    spreads = _spreads(np.log(np.maximum(scores, 1e-6)), LEAST_SPREAD)
    times = scores / max(float(np.median(scores)), 1e-6)
    brightness = images.mean((1, 2, 3))
    brightness = brightness / max(float(np.median(brightness)), 1e-6)
    detail = np.array([_detail(image) for image in images])
    detail = detail / max(float(np.median(detail)), 1e-6)
    found = []
    for i in range(len(images)):
        reasons = []
        if times[i] > OTHER_PRODUCT and spreads[i] > OUTLIER_SPREADS:
            reasons.append("unlike")
        elif spreads[i] > OUTLIER_SPREADS:
            reasons.append("defect")
        if not BRIGHTNESS_RANGE[0] < brightness[i] < BRIGHTNESS_RANGE[1]:
            reasons.append("darker" if brightness[i] < 1 else "brighter")
        if detail[i] < BLURRED:
            reasons.append("blurred")
        if reasons:
            # One reason is enough to look again; the first is the gravest.
            found.append((i, Message(f"outlier_{reasons[0]}", REASONS[reasons[0]])))
    return sorted(found, key=lambda outlier: -scores[outlier[0]])


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
