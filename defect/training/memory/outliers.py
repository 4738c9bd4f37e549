"""Photos that may not belong among those a detector is taught from: judged by the others."""

from __future__ import annotations

import numpy as np

from defect.detectors.thresholds import centre_and_spread
from defect.inspection import Message

LEAST_PHOTOS = 5
"""Among fewer, none can be said to be the outlier."""
NAMED = 2.5
"""Robust standard deviations of the log score above its median from which a photo is named."""
LEFT_OUT = 4.5
"""... and from which it is not learnt from."""
LEAST_SPREAD = 0.06
MOST_LEFT_OUT = 0.15
"""Part of the photos that is left out at most; more are a second kind of good part."""
BRIGHTNESS_RANGE = 0.72, 1.38
OTHER_PRODUCT = 2.2
"""Times the usual score."""
BLURRED = 0.4
"""Part of the usual fine detail under which a photo is called blurred."""


REASONS = {
    "unlike": "looks unlike the others: another product, or a large defect?",
    "defect": "differs from the others in one region: a defect that slipped in?",
    "darker": "is much darker than the others",
    "brighter": "is much brighter than the others",
    "blurred": "looks blurred beside the others",
}


def deviations(scores: np.ndarray) -> np.ndarray:
    """N leave-one-out scores → robust standard deviations of the log scores above their median."""
    middle, spread = centre_and_spread(scores)
    found: np.ndarray = (np.log(np.maximum(scores, 1e-9)) - middle) / max(spread, LEAST_SPREAD)
    return found


def left_out(scores: np.ndarray) -> np.ndarray:
    """N scores → N bool: outliers that the detector is better taught without."""
    if len(scores) < LEAST_PHOTOS:
        return np.zeros(len(scores), bool)
    deviation = deviations(scores)
    outliers = deviation > LEFT_OUT
    most = int(MOST_LEFT_OUT * len(scores))
    if outliers.sum() > most:
        outliers &= deviation >= np.sort(deviation)[::-1][max(most - 1, 0)]
        outliers &= most > 0
    return outliers


def find_outliers(images: np.ndarray, scores: np.ndarray) -> list[tuple[int, Message]]:
    """The photos that stand out among those a memory was taught from, the most anomalous first.

    Args:
        images: N×h×w×3 uint8.
        scores: N leave-one-out scores, as `fit_memory` returns them.

    Returns:
        the index of each photo, and the end of a sentence that says why.
    """
    if len(images) < LEAST_PHOTOS:
        return []
    deviation = deviations(scores)
    times = scores / max(float(np.median(scores)), 1e-9)
    brightness = _relative(np.array([float(image.mean()) for image in images]))
    detail = _relative(np.array([_detail(image) for image in images]))
    found = []
    for i in range(len(images)):
        reasons = []
        if not BRIGHTNESS_RANGE[0] < brightness[i] < BRIGHTNESS_RANGE[1]:
            reasons.append("darker" if brightness[i] < 1 else "brighter")
        if detail[i] < BLURRED:
            reasons.append("blurred")
        if deviation[i] > NAMED:
            reasons.append("unlike" if times[i] > OTHER_PRODUCT else "defect")
        if reasons:
            # One reason is enough to look again; the most specific one is given.
            found.append((i, Message(f"outlier_{reasons[0]}", REASONS[reasons[0]])))
    return sorted(found, key=lambda outlier: -float(scores[outlier[0]]))


def _relative(values: np.ndarray) -> np.ndarray:
    relative: np.ndarray = values / max(float(np.median(values)), 1e-6)
    return relative


def _detail(image: np.ndarray) -> float:
    """Mean absolute second difference of the grey picture: what blur takes first."""
    grey = image.astype(np.float32).mean(2)
    across = np.abs(2 * grey[:, 1:-1] - grey[:, :-2] - grey[:, 2:]).mean()
    down = np.abs(2 * grey[1:-1] - grey[:-2] - grey[2:]).mean()
    return float(across + down) / max(float(grey.mean()), 1.0)
