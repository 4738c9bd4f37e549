"""Light and lens: turns a surface into a photograph, and finds what a defect changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from defect.datasets.rendered.noise import Array, clouds, grid, resize

SIZE = 320
SHAPE = (SIZE, SIZE)
# Smallest change of the noise-free picture, in grey levels of 255, that counts as a defect.
VISIBLE = 4.0
SMALLEST_SPOT = 12


@dataclass
class Surface:
    """A part ready to be lit; every array is float32 over the same HxW pixels.

    height is in pixels (towards the camera), albedo HxWx3 linear reflectance, gloss the
    strength of the highlight (None: matt). coverage is the part's silhouette (0-1) over background
    (HxWx3), or None where the part fills the picture.
    """

    height: Array
    albedo: Array
    gloss: Array | None = None
    coverage: Array | None = None
    background: Array | None = None
    shininess: float = 24.0
    ambient: float = 0.35
    occlusion: float = 0.06
    shadow_shift: tuple[float, float] = (7.0, 9.0)
    shadow: float = 0.6


# Makes the surface of one given part from a defect type ("good" for none) and its randomness.
Maker = Callable[[str, np.random.Generator], Surface]


@dataclass(frozen=True)
class Pose:
    """Where an object lies: its centre, and each pixel's offset, distance and bearing from it."""

    row: float
    column: float
    dy: Array
    dx: Array
    radius: Array
    theta: Array

    def polar(self, radius: float, angle: float) -> tuple[float, float]:
        """Return the (row, column) of a polar position on the part."""
        return (
            self.row + radius * float(np.sin(angle)),
            self.column + radius * float(np.cos(angle)),
        )


def pose(rng: np.random.Generator) -> Pose:
    """Return a pose up to 4 px off the middle of the picture."""
    y, x = grid(*SHAPE)
    row, column = ((SIZE - 1) / 2 + rng.uniform(-4, 4, 2)).tolist()
    dy, dx = y - row, x - column
    return Pose(row, column, dy, dx, np.hypot(dy, dx), np.arctan2(dy, dx))


def somewhere(rng: np.random.Generator, margin: float = 45.0) -> tuple[float, float]:
    """Return a random (row, column) at least `margin` pixels from the border."""
    row, column = rng.uniform(margin, SIZE - margin, 2).tolist()
    return row, column


def light_direction(rng: np.random.Generator) -> Array:
    """Return a unit vector (x, y, z) to a lamp at the upper left, with a small jitter."""
    azimuth = np.radians(225.0 + rng.uniform(-6, 6))
    elevation = np.radians(52.0 + rng.uniform(-3, 3))
    flat = np.cos(elevation)
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], np.float32)


def shade(surface: Surface, light: Array) -> Array:
    """Return the HxWx3 linear radiance of `surface` under `light`; a flat white one is 1."""
    slope_y, slope_x = np.gradient(surface.height)
    norm = 1.0 / np.sqrt(1.0 + slope_x**2 + slope_y**2)
    facing = (light[2] - slope_x * light[0] - slope_y * light[1]) * norm
    diffuse = surface.ambient + (1 - surface.ambient) * np.maximum(facing, 0) / light[2]
    hollow = surface.height - ndimage.uniform_filter(surface.height, 9)
    diffuse *= np.clip(1.0 + surface.occlusion * hollow, 0.25, 1.25)
    part = surface.albedo * diffuse[..., None]
    if surface.gloss is not None:
        half = light + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        mirror = np.maximum((half[2] - slope_x * half[0] - slope_y * half[1]) * norm, 0)
        part += (surface.gloss * mirror ** np.float32(surface.shininess))[..., None]
    if surface.coverage is None or surface.background is None:
        return part
    dark = _cast_shadow(surface)
    cover = surface.coverage[..., None]
    return surface.background * dark[..., None] * (1 - cover) + part * cover


def _cast_shadow(surface: Surface) -> Array:
    """Return the light (0 to 1) the part's shadow leaves on the table."""
    assert surface.coverage is not None
    rows, columns = surface.coverage.shape
    # Shadows are soft, so a quarter of the resolution is plenty.
    small = surface.coverage.reshape(rows // 4, 4, columns // 4, 4).mean(axis=(1, 3))
    cast = ndimage.gaussian_filter(small, 2.3, mode="nearest", truncate=2.5)
    cast = ndimage.shift(cast, np.divide(surface.shadow_shift, 4), order=1, mode="nearest")
    contact = ndimage.gaussian_filter(small, 0.8, mode="nearest", truncate=2.5)
    dark = (1 - surface.shadow * cast) * (1 - 0.5 * surface.shadow * contact)
    return resize(dark, (rows, columns))


def lens(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[Array, float]:
    """Return one exposure: HxWx3 gains (vignette, falloff, white balance) and the blur's sigma."""
    y, x = grid(*shape)
    off_y, off_x = rng.uniform(-0.15, 0.15, 2).tolist()
    ry, rx = y / shape[0] - (0.5 + off_y), x / shape[1] - (0.5 + off_x)
    vignette = 1.0 - rng.uniform(0.25, 0.4) * (ry * ry + rx * rx)
    falloff = 1.0 - rng.uniform(0.05, 0.16) * (rx + ry)
    lit = vignette * falloff * (1 + 0.015 * clouds(rng, shape, shape[0] / 2))
    balance = 2.0 ** rng.uniform(-0.09, 0.09) * (1 + rng.normal(0, 0.008, 3))
    return lit[..., None] * balance.astype(np.float32), rng.uniform(0.6, 0.8)


def expose(radiance: Array, gains: Array, sigma: float) -> Array:
    """Return the noise-free photograph of linear `radiance`: HxWx3 float32, 0 to 255."""
    picture = 1.7 * ndimage.gaussian_filter(radiance * gains, (sigma, sigma, 0), truncate=3.0)
    picture = np.maximum(picture, 0)
    # A film-like curve: a shoulder that spares the highlights, and some contrast.
    tone = np.sqrt(picture * (1 + 0.28 * picture) / (1 + picture))
    return 255.0 * tone * (0.6 + 0.4 * tone * (3 - 2 * tone))


def add_noise(clean: Array, rng: np.random.Generator) -> Array:
    """Return `clean` (0 to 255) with sensor noise and quantisation, as uint8."""
    rows, columns = clean.shape[:2]
    luma = rng.standard_normal((rows, columns, 1), dtype=np.float32)
    # Colour noise is coarser than grey noise: a sensor sees each colour at every other pixel.
    chroma = rng.standard_normal((rows // 2, columns // 2, 3), dtype=np.float32)
    chroma = chroma.repeat(2, axis=0).repeat(2, axis=1)
    level = rng.uniform(1.2, 1.9) * (0.7 + clean * np.float32(0.45 / 255))
    noisy = clean + level * (0.85 * luma + 0.45 * chroma)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def changed(good: Array, bad: Array) -> Array:
    """Return the HxW bool mask where two noise-free photographs visibly differ, less specks."""
    mask = np.abs(good - bad).max(axis=2) > VISIBLE
    mask = ndimage.binary_closing(np.pad(mask, 3), iterations=1)[3:-3, 3:-3]
    spots, count = ndimage.label(mask, np.ones((3, 3), int))
    if count:
        sizes = np.bincount(spots.ravel())
        keep = sizes >= SMALLEST_SPOT
        keep[0] = False
        mask = keep[spots]
    return mask
