"""Registration of parts that lie at any angle: rotation and translation of a photo onto a template.

A pose says where an aligned photo takes its pixels from: aligned(u) = photo(R(angle)·u + shift), u in
pixels from the centre. It is found on grey thumbnails: every angle by FFT correlation, the best few
refined by Gauss-Newton (inverse compositional, Baker & Matthews 2004).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

COARSE, FINE = 48, 96
"""Sides of thumbnails (geometric mean of height and width) for the search and for the refinement."""
ANGLES = 72
REFINED = 2
"""Best angles of the search that are refined; a part and its half turn are told apart so."""
STEPS = 8
ROUNDS = 3
MOST_FOR_TEMPLATE = 48


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
    height, width = pixels.shape[-2:]
    scale = side / math.sqrt(height * width)
    size = max(8, round(height * scale)), max(8, round(width * scale))
    grey = F.interpolate(pixels.mean(1, keepdim=True), size=size, mode="area")[:, 0]
    border = torch.cat([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], 1)
    return grey - border.median(1).values.view(-1, 1, 1)


def warp_matrix(angle: Tensor, shift: Tensor, height: int, width: int) -> Tensor:
    """N×2×3 for `affine_grid`: aligned to photo coordinates, both in -1..1."""
    scale = math.sqrt(height * width)
    cos, sin = angle.cos(), angle.sin()
    across = 2 * scale / width * shift[:, 1]
    down = 2 * scale / height * shift[:, 0]
    top = torch.stack([cos, -sin * (height / width), across], 1)
    return torch.stack([top, torch.stack([sin * (width / height), cos, down], 1)], 1)


def warp(images: Tensor, poses: Poses, padding: str = "border") -> Tensor:
    """N×C×H×W → the aligned photos, N×C×H×W; outside pixels repeat the border (or are 0)."""
    theta = warp_matrix(poses.angle, poses.shift, *images.shape[-2:])
    grid = F.affine_grid(theta.to(images.dtype), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)


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
        scale = COARSE / FINE
        size = max(8, round(height * scale)), max(8, round(width * scale))
        self.coarse = F.interpolate(fine[None, None], size=size, mode="area")[0, 0]
        centred = self.coarse - self.coarse.mean()
        self.spectrum = torch.fft.rfft2(centred).conj()
        ys, xs = _centred(height, width)
        gy, gx = torch.gradient(fine)
        self.jacobian = torch.stack([gx * -ys + gy * xs, gy, gx], -1).view(-1, 3)
        normal = self.jacobian.T @ self.jacobian
        self.solver = torch.linalg.inv(
            normal + 1e-4 * normal.diagonal().mean() * torch.eye(3) + 1e-12 * torch.eye(3)
        )

    def register(self, coarse: Tensor, fine: Tensor) -> Poses:
        """N thumbnails of both sizes → their poses; the identity where nothing matches better."""
        starts = self._search(coarse)
        identity = torch.zeros(len(fine), 1), torch.zeros(len(fine), 1, 2)
        angle = torch.cat([identity[0], starts[0]], 1)
        shift = torch.cat([identity[1], starts[1]], 1)
        n, k = angle.shape
        photos = fine.repeat_interleave(k, 0)
        angle, shift = self._refine(photos, angle.flatten(), shift.flatten(0, 1))
        poses = Poses(angle, shift, torch.zeros(n * k))
        match = self.match(warp(photos.unsqueeze(1), poses)[:, 0]).view(n, k)
        best = match.argmax(1)
        rows = torch.arange(n) * k + best
        return Poses(angle[rows], shift[rows], match.flatten()[rows])

    def match(self, aligned: Tensor) -> Tensor:
        """N×h×w → N correlations with the template."""
        a = (aligned - aligned.mean((1, 2), keepdim=True)).flatten(1)
        t = (self.fine - self.fine.mean()).flatten()
        return a @ t / (a.norm(dim=1) * t.norm()).clamp_min(1e-9)

    def _search(self, coarse: Tensor) -> tuple[Tensor, Tensor]:
        """N×h×w → N×REFINED angles and N×REFINED×2 shifts."""
        n, height, width = coarse.shape
        scale = math.sqrt(height * width)
        angles = torch.arange(ANGLES) * (2 * math.pi / ANGLES)
        found_angles, found_shifts = [], []
        still = torch.zeros(ANGLES, 2)
        for photo in coarse:
            turned = warp(
                photo.expand(ANGLES, 1, -1, -1), Poses(angles, still, angles), padding="zeros"
            )[:, 0]
            turned = turned - turned.mean((1, 2), keepdim=True)
            product = torch.fft.irfft2(
                torch.fft.rfft2(turned) * self.spectrum, s=(height, width)
            ).flatten(1) / turned.flatten(1).norm(dim=1, keepdim=True).clamp_min(1e-9)
            value, at = product.max(1)
            # The best angle, then the best that is not its neighbour.
            first = int(value.argmax())
            apart = torch.minimum(
                (torch.arange(ANGLES) - first) % ANGLES, (first - torch.arange(ANGLES)) % ANGLES
            )
            second = int(value.masked_fill(apart < 4, -1e9).argmax())
            chosen = torch.tensor([first, second])
            y = at[chosen] // width
            x = at[chosen] % width
            y = torch.where(y > height // 2, y - height, y).float() / scale
            x = torch.where(x > width // 2, x - width, x).float() / scale
            a = angles[chosen]
            # Shifting the turned photo by s is taking the photo at R·s.
            shift = torch.stack([a.sin() * x + a.cos() * y, a.cos() * x - a.sin() * y], 1)
            found_angles.append(a)
            found_shifts.append(shift)
        return torch.stack(found_angles), torch.stack(found_shifts)

    def _refine(self, photos: Tensor, angle: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
        """M×h×w, M angles, M×2 shifts → the same, to parts of a pixel."""
        scale = math.sqrt(photos.shape[1] * photos.shape[2])
        best = torch.full((len(photos),), -2.0)
        kept = angle.clone(), shift.clone()
        for step in range(STEPS + 1):
            aligned = warp(photos.unsqueeze(1), Poses(angle, shift, angle))[:, 0]
            match = self.match(aligned)
            better = match > best
            best = torch.where(better, match, best)
            kept = (
                torch.where(better, angle, kept[0]),
                torch.where(better.unsqueeze(1), shift, kept[1]),
            )
            if step == STEPS:
                break
            update = (aligned - self.fine).flatten(1) @ self.jacobian @ self.solver
            turn = update[:, 0].clamp(-0.1, 0.1)
            move = (update[:, 1:] / scale).clamp(-0.05, 0.05)
            # W(p) after the inverse of W(update).
            angle = angle - turn
            cos, sin = angle.cos(), angle.sin()
            y, x = move.unbind(1)
            shift = shift - torch.stack([sin * x + cos * y, cos * x - sin * y], 1)
        return kept


def _centred(height: int, width: int) -> tuple[Tensor, Tensor]:
    ys = torch.arange(height) - (height - 1) / 2
    xs = torch.arange(width) - (width - 1) / 2
    return ys.unsqueeze(1).expand(height, width), xs.expand(height, width)


def build_template(coarse: Tensor, fine: Tensor) -> tuple[Template, Poses]:
    """Mean aligned thumbnail of N photos, as in Procrustes analysis, and the photos' poses.

    Starts from the photo that the others match best among a few, and ends after some rounds.
    """
    chosen = torch.linspace(0, len(fine) - 1, min(len(fine), MOST_FOR_TEMPLATE)).round().long()
    c, f = coarse[chosen], fine[chosen]
    starts = torch.linspace(0, len(f) - 1, min(len(f), 3)).round().long().unique()
    probe = torch.linspace(0, len(f) - 1, min(len(f), 8)).round().long().unique()
    merits = [
        float(Template(f[int(s)]).register(c[probe], f[probe]).match.median()) for s in starts
    ]
    template = Template(f[int(starts[merits.index(max(merits))])])
    for _ in range(ROUNDS if len(f) > 1 else 0):
        poses = template.register(c, f)
        aligned = warp(f.unsqueeze(1), poses)[:, 0]
        weight = poses.match.clamp_min(0) ** 4 + 1e-6
        template = Template((aligned * weight.view(-1, 1, 1)).sum(0) / weight.sum())
    return template, template.register(coarse, fine)


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
