"""What defects are made of: strokes, blobs, grooves and rust."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from defect.datasets.rendered.camera import Surface
from defect.datasets.rendered.noise import Array, clouds, grid, smoothstep


def wander(
    rng: np.random.Generator,
    start: tuple[float, float],
    angle: float,
    length: float,
    *,
    turn: float = 0.08,
    step: float = 6.0,
) -> Array:
    """Return an Nx2 path of (y, x) points that starts at `start` and slowly changes heading.

    `angle` is in radians from the x axis, `turn` the deviation of the heading per step.
    """
    count = max(int(length / step), 2)
    headings = angle + np.cumsum(rng.normal(0, turn, count))
    moves = step * np.stack([np.sin(headings), np.cos(headings)], axis=1)
    return np.concatenate([[start], np.asarray(start) + np.cumsum(moves, axis=0)])


def distance(shape: tuple[int, int], path: Array, reach: float = 9.0) -> tuple[Array, Array]:
    """Return how far each pixel lies from `path`, and where along it (0 to 1) it is nearest.

    Distances beyond `reach` pixels are reported as a large number.
    """
    far = np.full(shape, 1e3, np.float32)
    along = np.zeros(shape, np.float32)
    y, x = grid(*shape)
    segments = len(path) - 1
    for k in range(segments):
        (y0, x0), (y1, x1) = path[k], path[k + 1]
        top, bottom = int(min(y0, y1) - reach), int(max(y0, y1) + reach) + 2
        left, right = int(min(x0, x1) - reach), int(max(x0, x1) + reach) + 2
        window = np.s_[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        dy, dx = y1 - y0, x1 - x0
        squared = max(dy * dy + dx * dx, 1e-6)
        t = np.clip(((y[window] - y0) * dy + (x[window] - x0) * dx) / squared, 0, 1)
        gap = np.hypot(y[window] - y0 - t * dy, x[window] - x0 - t * dx)
        nearer = gap < far[window]
        far[window] = np.where(nearer, gap, far[window])
        along[window] = np.where(nearer, (k + t) / segments, along[window])
    return far, along


def profile(
    rng: np.random.Generator,
    along: Array,
    *,
    knots: int = 14,
    roughness: float = 0.3,
    taper: float = 0.12,
) -> Array:
    """Return the strength (about 0 to 1) along a stroke: tapered ends, uneven between."""
    places = np.sort(np.concatenate([[0, 1], rng.random(knots - 2)]))
    levels = np.clip(1.0 - roughness * np.abs(rng.normal(0, 1, knots)), 0.15, 1)
    uneven = np.interp(along, places, levels).astype(np.float32)
    return uneven * smoothstep(0, taper, along) * smoothstep(1, 1 - taper, along)


def groove(far: Array, strength: Array, width: float, depth: float) -> Array:
    """Return the height change (pixels) of a scratch: a furrow with burrs thrown up beside it."""
    furrow = np.exp(-((far / width) ** 2))
    burr = np.exp(-(((far - 2.0 * width) / width) ** 2))
    return depth * strength * (0.45 * burr - furrow)


def bared(albedo: Array, far: Array, strength: Array, width: float) -> Array:
    """Return steel's `albedo` with a scratch in it: a dark furrow between bright edges."""
    furrow = strength * np.exp(-((far / width) ** 2))
    burr = strength * np.exp(-(((far - 1.6 * width) / width) ** 2))
    return albedo * (1 - 0.45 * furrow + 0.30 * burr)[..., None] + (0.06 * burr)[..., None]


def rusted(part: Surface, spread: Array, rng: np.random.Generator) -> Surface:
    """Return `part` with rust where `spread` (0 to 1) lets it grow: crust, pits and a stain."""
    shape = (spread.shape[0], spread.shape[1])
    crust = clouds(rng, shape, 10, octaves=4, gain=0.7)
    eaten = spread * smoothstep(-0.3, 1.5, 0.9 * crust + 2.1 * spread - 0.8)
    rough = clouds(rng, shape, 2.6, octaves=2)
    mix = np.clip(0.45 + 0.45 * clouds(rng, shape, 7, octaves=2), 0, 1)[..., None]
    rust = mix * np.array([0.17, 0.072, 0.028], np.float32) + (1 - mix) * np.array(
        [0.060, 0.032, 0.018], np.float32
    )
    rust = rust * (1 + 0.22 * rough)[..., None]
    # Thin brown film around the crust.
    film = (0.6 * spread * smoothstep(-1.2, 1.0, crust))[..., None]
    albedo = part.albedo * (1 - film * np.array([0.25, 0.50, 0.70], np.float32))
    albedo = albedo + (0.92 * eaten)[..., None] * (rust - albedo)
    return replace(part, albedo=albedo, height=part.height + eaten * (0.4 * rough - 0.2))


def blob(
    rng: np.random.Generator,
    shape: tuple[int, int],
    centre: tuple[float, float],
    radius: float,
    *,
    ragged: float = 0.25,
    edge: float = 0.15,
    stretch: float = 1.0,
    angle: float = 0.0,
) -> Array:
    """Return a soft-edged irregular spot (1 inside, 0 outside) of about `radius` pixels.

    `ragged` is the unevenness of the outline, `edge` the width of its ramp (both relative to
    the radius), `stretch` the aspect ratio along `angle` (radians).
    """
    y, x = grid(*shape)
    dy, dx = y - centre[0], x - centre[1]
    cos, sin, long = float(np.cos(angle)), float(np.sin(angle)), float(np.sqrt(stretch))
    reach = np.hypot((dx * cos + dy * sin) / long, (dy * cos - dx * sin) * long) / radius
    reach = reach + ragged * clouds(rng, shape, max(radius * 0.9, 3.0), octaves=3, gain=0.55)
    return smoothstep(1 + edge, 1 - edge, reach)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Return a random size whose logarithm is uniform, so small ones are not rare."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
