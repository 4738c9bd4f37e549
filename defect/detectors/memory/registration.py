"""Registration of parts that lie at any angle: rotation and translation of a photo onto a template.

A pose says where an aligned photo takes its pixels from: aligned(u) = photo(R(angle)·u + shift),
u in pixels from the centre. It is found on grey thumbnails: a correlation over all angles and
shifts, then the best two refined by Gauss-Newton (inverse compositional, Baker & Matthews 2004).
Everything is written in operations that ONNX has; hence Fourier transforms as matrix products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE, FINE = 48, 96
"""Sides (geometric mean of height and width) of thumbnails, for the search and the refinement."""
LEAST_SIDE = 8
"""Pixels of a thumbnail of an elongated photo."""
ANGLES = 72
"""Tried by the search, 5° apart; Gauss-Newton converges from half of that."""
LEAST_APART = 4
"""Steps of the search between the two angles that are refined: a part and its half turn look alike
on the coarse thumbnail."""
STEPS = 8
"""Of Gauss-Newton; the match rarely improves after six."""
MOST_TURN, MOST_SHIFT = 0.1, 0.05
"""A Gauss-Newton step at most, in radians and in parts of the mean side."""
ROUNDS = 3
"""Of registering and averaging, by which a template is built."""
MOST_FOR_TEMPLATE = 48
"""Photos a template is averaged from."""


@dataclass(frozen=True)
class Poses:
    """N poses."""

    angle: Tensor
    """N radians."""
    shift: Tensor
    """N×2 (y, x) in parts of the geometric mean of height and width."""
    match: Tensor
    """N correlations of the aligned thumbnail with the template, -1..1."""

    def __getitem__(self, index: Tensor | slice) -> Poses:
        return Poses(self.angle[index], self.shift[index], self.match[index])


def thumbnails(pixels: Tensor, side: int) -> Tensor:
    """N×3×H×W in 0..1 → N×h×w: grey, less its border's median, of area `side`²."""
    height, width = _thumbnail_size(pixels.shape[-2], pixels.shape[-1], side)
    rows = _averaging(pixels.shape[-2], height)
    columns = _averaging(pixels.shape[-1], width)
    grey = rows @ pixels.mean(1) @ columns.T
    border = torch.cat([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], 1)
    median = border.sort(1).values[:, (border.shape[1] - 1) // 2]
    return grey - median.view(-1, 1, 1)


def _thumbnail_size(height: int, width: int, side: int) -> tuple[int, int]:
    scale = side / math.sqrt(height * width)
    return max(LEAST_SIDE, round(height * scale)), max(LEAST_SIDE, round(width * scale))


@lru_cache(maxsize=16)
def _averaging(size: int, smaller: int) -> Tensor:
    """smaller×size: each row averages the pixels that one pixel of the smaller image covers."""
    return F.interpolate(torch.eye(size).unsqueeze(1), size=smaller, mode="area").squeeze(1).T


def warp(images: Tensor, poses: Poses, padding: str = "border") -> Tensor:
    """N×C×H×W → the aligned photos, N×C×H×W; outside pixels repeat the border (or are 0)."""
    grid = _sampling_grid(poses.angle, poses.shift, *images.shape[-2:])
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)


def _sampling_grid(angle: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """N×H×W×2 (x, y) in -1..1: where in the photo each pixel of the aligned photo lies."""
    scale = math.sqrt(height * width)
    cos, sin = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
    down, across = (2 * scale * one.view(-1, 1, 1) for one in shift.unbind(1))
    y = ((2 * torch.arange(height) + 1) / height - 1).view(1, -1, 1)
    x = ((2 * torch.arange(width) + 1) / width - 1).view(1, 1, -1)
    columns = cos * x - (sin * (height / width) * y - across / width)
    rows = sin * (width / height) * x + (cos * y + down / height)
    return torch.stack([columns, rows], -1)


@lru_cache(maxsize=4)
def _turns(height: int, width: int) -> Tensor:
    """ANGLES×H×W×2: sampling grids of all turns about the centre that the search tries."""
    angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
    return _sampling_grid(angles, torch.zeros(ANGLES, 2), height, width)


def inverse(poses: Poses) -> Poses:
    """The poses that take aligned maps back to the photos' frames."""
    cos, sin = poses.angle.cos(), poses.angle.sin()
    y, x = poses.shift.unbind(1)
    # R(-a)·(u - t), with R(a)·(x, y) = (cos·x - sin·y, sin·x + cos·y).
    shift = torch.stack([sin * x - cos * y, -(cos * x + sin * y)], 1)
    return Poses(-poses.angle, shift, poses.match)


class Template:
    """What photos are registered to: h×w grey thumbnails of one part in one pose."""

    def __init__(self, fine: Tensor) -> None:
        height, width = fine.shape
        self.fine = fine
        size = _thumbnail_size(height, width, COARSE)
        self.coarse = F.interpolate(fine[None, None], size=size, mode="area")[0, 0]
        centred = self.coarse - self.coarse.mean()
        self.real, self.imaginary = _spectrum(centred)
        ys, xs = _centred(height, width)
        gy, gx = torch.gradient(fine)
        self.jacobian = torch.stack([gx * -ys + gy * xs, gy, gx], -1).view(-1, 3)
        normal = self.jacobian.T @ self.jacobian
        # A little of the identity: an even template has no gradient.
        self.solver = torch.linalg.inv(
            normal + 1e-4 * normal.diagonal().mean() * torch.eye(3) + 1e-12 * torch.eye(3)
        )

    def register(self, coarse: Tensor, fine: Tensor) -> Poses:
        """Thumbnails of N photos, N×h×w of either size → their poses.

        The result is the best of the identity and what was refined from the search's two angles and
        from the identity.
        """
        found_angle, found_shift = self._search(coarse)
        angle = torch.cat([torch.zeros(len(fine), 1), found_angle], 1)
        shift = torch.cat([torch.zeros(len(fine), 1, 2), found_shift], 1)
        n, starts = angle.shape
        photos = fine.repeat_interleave(starts, 0)
        angle, shift, match = self._refine(photos, angle.flatten(), shift.flatten(0, 1))
        best = torch.arange(n) * starts + match.view(n, starts).argmax(1)
        return Poses(angle[best], shift[best], match[best])

    def match(self, aligned: Tensor) -> Tensor:
        """N×h×w → N correlations with the template."""
        a = (aligned - aligned.mean((1, 2), keepdim=True)).flatten(1)
        t = (self.fine - self.fine.mean()).flatten()
        return a @ t / (a.norm(dim=1) * t.norm()).clamp_min(1e-9)

    def _search(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """N×h×w → N×2 angles and N×2×2 shifts (y, x) that correlate best with the template."""
        height, width = coarse.shape[1:]
        scale = math.sqrt(height * width)
        number = torch.arange(ANGLES)
        angles = number * (2 * math.pi / ANGLES)
        grid = _turns(height, width)
        found_angles, found_shifts = [], []
        for photo in coarse:
            copies = photo.expand(ANGLES, 1, -1, -1)
            turned = F.grid_sample(copies, grid, align_corners=False)[:, 0]
            turned = turned - turned.mean((1, 2), keepdim=True)
            norm = turned.square().sum((1, 2)).sqrt().clamp_min(1e-9)
            value, at = (self._correlation(turned).flatten(1) / norm.unsqueeze(1)).max(1)
            # The best angle, then the best that is not its neighbour.
            first = value.argmax()
            apart = torch.minimum((number - first) % ANGLES, (first - number) % ANGLES)
            second = torch.where(apart < LEAST_APART, -1e9, value).argmax()
            chosen = torch.stack([first, second])
            at, a = at[chosen], angles[chosen]
            # The transform is periodic: shifts beyond half a side are negative ones.
            y, x = torch.div(at, width, rounding_mode="floor"), at % width
            y = torch.where(y > height // 2, y - height, y).float() / scale
            x = torch.where(x > width // 2, x - width, x).float() / scale
            # Shifting the turned photo by s is taking the photo at R·s.
            shift = torch.stack([a.sin() * x + a.cos() * y, a.cos() * x - a.sin() * y], 1)
            found_angles.append(a)
            found_shifts.append(shift)
        return torch.stack(found_angles), torch.stack(found_shifts)

    def _correlation(self, images: Tensor) -> Tensor:
        """N×h×w → N×h×w: periodic cross-correlation with the template at every shift."""
        real, imaginary = _spectrum(images)
        # Times the template's complex conjugate.
        product = (
            real * self.real + imaginary * self.imaginary,
            imaginary * self.real - real * self.imaginary,
        )
        return _from_spectrum(*product, images.shape[-1])

    def _refine(
        self, photos: Tensor, angle: Tensor, shift: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """M×h×w, M angles, M×2 shifts → the same to parts of a pixel, and M correlations."""
        scale = math.sqrt(photos.shape[1] * photos.shape[2])
        best = torch.full((len(photos),), -2.0)
        best_angle, best_shift = angle, shift
        for step in range(STEPS + 1):
            aligned = warp(photos.unsqueeze(1), Poses(angle, shift, angle))[:, 0]
            match = self.match(aligned)
            better = match > best
            best = torch.where(better, match, best)
            best_angle = torch.where(better, angle, best_angle)
            best_shift = torch.where(better.unsqueeze(1), shift, best_shift)
            if step == STEPS:
                break
            update = (aligned - self.fine).flatten(1) @ self.jacobian @ self.solver
            turn = update[:, 0].clamp(-MOST_TURN, MOST_TURN)
            move = (update[:, 1:] / scale).clamp(-MOST_SHIFT, MOST_SHIFT)
            # W(p) after the inverse of W(update).
            angle = angle - turn
            cos, sin = angle.cos(), angle.sin()
            y, x = move.unbind(1)
            shift = shift - torch.stack([sin * x + cos * y, cos * x - sin * y], 1)
        return best_angle, best_shift, best


@lru_cache(maxsize=16)
def _fourier(size: int, kept: int) -> tuple[Tensor, Tensor]:
    """size×kept: real and imaginary parts of the discrete Fourier transform's first frequencies."""
    phase = torch.outer(torch.arange(size), torch.arange(kept)) % size * (-2 * math.pi / size)
    return phase.double().cos().float(), phase.double().sin().float()


def _spectrum(images: Tensor) -> tuple[Tensor, Tensor]:
    """…×h×w → …×h×(w//2+1): real and imaginary parts of the discrete Fourier transform."""
    height, width = images.shape[-2:]
    across, across_i = _fourier(width, width // 2 + 1)
    down, down_i = _fourier(height, height)
    real, imaginary = images @ across, images @ across_i
    return down @ real - down_i @ imaginary, down @ imaginary + down_i @ real


def _from_spectrum(real: Tensor, imaginary: Tensor, width: int) -> Tensor:
    """The inverse of `_spectrum`: …×h×(width//2+1) → …×h×width."""
    height, kept = real.shape[-2:]
    across, across_i = _fourier(width, kept)
    down, down_i = _fourier(height, height)
    # The conjugate transform of rows, then that of columns, whose other half mirrors this one.
    rows, rows_i = down @ real + down_i @ imaginary, down @ imaginary - down_i @ real
    twice = torch.full((kept,), 2.0)
    twice[0] = 1
    if width % 2 == 0:
        twice[-1] = 1
    scale = twice / (height * width)
    return (rows * scale) @ across.T + (rows_i * scale) @ across_i.T


def _centred(height: int, width: int) -> tuple[Tensor, Tensor]:
    ys = torch.arange(height) - (height - 1) / 2
    xs = torch.arange(width) - (width - 1) / 2
    return ys.unsqueeze(1).expand(height, width), xs.expand(height, width)


def build_template(coarse: Tensor, fine: Tensor) -> tuple[Template, Poses]:
    """Mean aligned thumbnail of N photos, as in Procrustes analysis, and the photos' poses.

    Starts from that of three photos which the others match best.
    """
    chosen = _evenly(len(fine), MOST_FOR_TEMPLATE)
    c, f = coarse[chosen], fine[chosen]
    probe = _evenly(len(f), 8)
    first, best = f[0], -2.0
    for start in _evenly(len(f), 3):
        match = float(Template(f[start]).register(c[probe], f[probe]).match.median())
        if match > best:
            first, best = f[start], match
    template = Template(first)
    for _ in range(ROUNDS if len(f) > 1 else 0):
        poses = template.register(c, f)
        aligned = warp(f.unsqueeze(1), poses)[:, 0]
        # Photos that match badly hardly count.
        weight = poses.match.clamp_min(0) ** 4 + 1e-6
        template = Template((aligned * weight.view(-1, 1, 1)).sum(0) / weight.sum())
    return template, template.register(coarse, fine)


def _evenly(count: int, most: int) -> Tensor:
    """At most so many of the indices below `count`, evenly spread."""
    return torch.linspace(0, count - 1, min(count, most)).round().long().unique()


ISOLATED = 0.3
"""Contrast along the border, in parts of the whole photo's, below which a part stands alone."""


def is_isolated(fine: Tensor) -> bool:
    """N×h×w thumbnails: whether most show a part on an even background all around."""
    edge = torch.cat(
        [
            fine[:, :2].flatten(1),
            fine[:, -2:].flatten(1),
            fine[:, :, :2].flatten(1),
            fine[:, :, -2:].flatten(1),
        ],
        1,
    )
    contrast = edge.square().mean(1).sqrt() / fine.square().mean((1, 2)).sqrt().clamp_min(1e-6)
    return bool(contrast.median() < ISOLATED)
