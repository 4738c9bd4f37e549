"""Synthetic anomalies rendered onto good photos: what leave-one-out choices are made on, and what a
detector is said to be known to find.

Seven kinds, small and often faint, at places where the photo shows something: a stain, a scratch, a
spot, a patch from elsewhere (cut-and-paste: Li et al. 2021), a missing piece, a bent structure and
a smear. None is modelled on a known data set.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

KINDS = ("stain", "scratch", "spot", "patch", "missing", "bent", "smear")
SMALLEST, LARGEST = 0.012, 0.075
"""Radius of a blob in parts of the photo's mean side, drawn evenly on a log scale."""
VISIBLE = 6.0
"""Grey levels of 255 by which an anomaly must change the pixels of its mask on average."""
_TRIES = 12


def add_anomalies(
    images: np.ndarray, seed: int, sources: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Renders one anomaly onto each photo; kinds take turns.

    Args:
        images: N×H×W×3 uint8; not changed.
        seed: decides everything.
        sources: photos that patches may come from, of the same size; the photos themselves if None.

    Returns:
        the changed photos, the masks (N×H×W bool, never empty) and the kind of each.
    """
    draw = np.random.default_rng(seed)
    out, masks, kinds = images.copy(), np.zeros(images.shape[:3], bool), []
    pool = images if sources is None else sources
    start = int(draw.integers(len(KINDS)))
    for i, image in enumerate(images):
        kind = KINDS[(start + i) % len(KINDS)]
        where = _saliency(image)
        for attempt in range(_TRIES):
            # A kind that changes too little at its place (a smear on an even surface) is drawn
            # again elsewhere; at last it becomes a stain, which shows everywhere.
            tried = kind if attempt < _TRIES - 2 else "stain"
            changed, mask = _render(image, tried, pool, where, draw)
            difference = np.abs(changed.astype(np.int16) - image).mean(2)
            mask &= difference > 2
            if mask.sum() >= 4 and difference[mask].mean() >= VISIBLE:
                break
        if not mask.any():
            mask[difference >= difference.max()] = True
        out[i], masks[i] = changed, mask
        kinds.append(tried)
    return out, masks, kinds


def _saliency(image: np.ndarray) -> np.ndarray:
    """Flat cumulative weights for drawing a place: where the photo shows detail nearby."""
    grey = image.mean(2)
    reach = max(2.0, 0.02 * math.sqrt(grey.size))
    detail = ndimage.gaussian_filter(ndimage.gaussian_gradient_magnitude(grey, 1.5), reach)
    margin = np.zeros_like(detail)
    m = max(2, round(0.03 * min(grey.shape)))
    margin[m:-m, m:-m] = 1
    weights: np.ndarray = np.cumsum(margin * (detail + 0.15 * detail.mean() + 1e-6))
    return weights / weights[-1]


def _render(
    image: np.ndarray, kind: str, pool: np.ndarray, where: np.ndarray, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """(changed photo, H×W bool mask)."""
    h, w = image.shape[:2]
    scale = math.sqrt(h * w)
    at = int(np.searchsorted(where, draw.random()))
    cy, cx = divmod(min(at, h * w - 1), w)
    radius = scale * math.exp(draw.uniform(math.log(SMALLEST), math.log(LARGEST)))
    if kind == "scratch":
        blend = _stroke(h, w, cy, cx, radius, scale, draw)
    else:
        if kind == "spot":
            radius = min(radius, 0.03 * scale)
        if kind in ("bent", "smear", "missing"):
            radius = max(radius, 0.03 * scale)
        blend = _blob(h, w, cy, cx, radius, draw)
    photo = image.astype(np.float32)
    rows, columns = np.nonzero(blend > 0.02)
    if not len(rows):
        return image.copy(), np.zeros((h, w), bool)
    pad = int(radius) + 2
    box = (
        slice(max(rows.min() - pad, 0), rows.max() + pad + 1),
        slice(max(columns.min() - pad, 0), columns.max() + pad + 1),
    )
    crop, soft = photo[box], blend[box][..., None]
    sign = 1 if draw.random() < 0.5 else -1
    new: np.ndarray
    if kind == "stain":
        tint = 1 + 0.4 * draw.standard_normal(3)
        new = crop + sign * draw.uniform(12, 60) * tint
    elif kind == "scratch":
        new = crop + sign * draw.uniform(20, 90)
    elif kind == "spot":
        new = np.broadcast_to(draw.uniform(0, 255, 3).astype(np.float32), crop.shape)
        soft = soft * draw.uniform(0.35, 1)
    elif kind == "patch":
        source = pool[int(draw.integers(len(pool)))].astype(np.float32)
        new = _window(source, crop.shape, draw)
        if draw.random() < 0.5:
            new = new[:, ::-1]
    elif kind == "missing":
        # What lies a little further away takes the place of what was there.
        angle, far = draw.uniform(0, 2 * math.pi), radius * draw.uniform(2.0, 4.0)
        dy, dx = round(far * math.sin(angle)), round(far * math.cos(angle))
        ys = np.clip(np.arange(h)[box[0]] + dy, 0, h - 1)
        xs = np.clip(np.arange(w)[box[1]] + dx, 0, w - 1)
        new = photo[ys[:, None], xs[None]]
    elif kind == "bent":
        angle, push = draw.uniform(0, 2 * math.pi), radius * draw.uniform(0.3, 0.7)
        ys, xs = np.mgrid[: crop.shape[0], : crop.shape[1]].astype(np.float32)
        weight = ndimage.gaussian_filter(soft[..., 0], radius / 4)
        ys, xs = ys + weight * push * math.sin(angle), xs + weight * push * math.cos(angle)
        new = np.stack(
            [
                ndimage.map_coordinates(crop[..., c], [ys, xs], order=1, mode="nearest")
                for c in (0, 1, 2)
            ],
            2,
        )
        soft = (weight > 0.1).astype(np.float32)[..., None]
    else:
        sigma = radius * draw.uniform(0.15, 0.4)
        new = ndimage.gaussian_filter(crop, (sigma, sigma * draw.uniform(0.1, 1), 0))
    photo[box] = crop * (1 - soft) + np.clip(new, 0, 255) * soft
    mask = np.zeros((h, w), bool)
    mask[box] = soft[..., 0] > 0.15
    return np.clip(np.rint(photo), 0, 255).astype(np.uint8), mask


def _blob(h: int, w: int, cy: int, cx: int, radius: float, draw: np.random.Generator) -> np.ndarray:
    """H×W soft irregular ellipse, 0..1."""
    stretch = math.exp(draw.uniform(-0.6, 0.6))
    angle = draw.uniform(0, math.pi)
    reach = int(radius * max(stretch, 1 / stretch) * 1.8) + 2
    ys = np.arange(max(cy - reach, 0), min(cy + reach + 1, h))
    xs = np.arange(max(cx - reach, 0), min(cx + reach + 1, w))
    dy, dx = (ys - cy)[:, None], (xs - cx)[None]
    along = (dx * math.cos(angle) + dy * math.sin(angle)) / (radius * stretch)
    across = (dy * math.cos(angle) - dx * math.sin(angle)) / (radius / stretch)
    noise = ndimage.gaussian_filter(draw.standard_normal(along.shape), max(1.0, radius / 3))
    noise /= noise.std() + 1e-6
    level = 1 - along**2 - across**2 + 0.35 * noise
    sharp = draw.uniform(2, 10)
    out = np.zeros((h, w), np.float32)
    soft = 1 / (1 + np.exp(-np.clip(sharp * (level - 0.1), -30, 30)))
    soft[along**2 + across**2 > 3] = 0
    out[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1] = soft
    return out


def _stroke(
    h: int,
    w: int,
    cy: int,
    cx: int,
    radius: float,
    scale: float,
    draw: np.random.Generator,
) -> np.ndarray:
    """H×W soft curved line, 0..1."""
    length = 3 * radius
    angle, bend = draw.uniform(0, 2 * math.pi), draw.uniform(-1, 1) / max(length, 1)
    steps = np.arange(-length / 2, length / 2, 0.5)
    heading = angle + bend * steps
    ys = cy + np.cumsum(np.sin(heading)) * 0.5
    xs = cx + np.cumsum(np.cos(heading)) * 0.5
    ys, xs = ys - ys[len(ys) // 2] + cy, xs - xs[len(xs) // 2] + cx
    inside = (ys >= 0) & (ys < h - 0.5) & (xs >= 0) & (xs < w - 0.5)
    line = np.zeros((h, w), np.float32)
    line[ys[inside].astype(int), xs[inside].astype(int)] = 1
    sigma = scale / 384 * draw.uniform(0.5, 1.3)
    soft = ndimage.gaussian_filter(line, sigma)
    return np.clip(soft / max(float(soft.max()), 1e-6) * 1.3, 0, 1)


def _window(source: np.ndarray, shape: tuple[int, ...], draw: np.random.Generator) -> np.ndarray:
    """A window of `shape` from anywhere in the source."""
    y = int(draw.integers(max(source.shape[0] - shape[0], 0) + 1))
    x = int(draw.integers(max(source.shape[1] - shape[1], 0) + 1))
    return source[y : y + shape[0], x : x + shape[1]]
