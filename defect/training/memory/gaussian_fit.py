"""Fits the Gaussian at every cell of N photos, and what it would be without one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from defect.detectors.memory.positional_gaussian import PositionalGaussian, from_blocks, to_blocks
from defect.detectors.scoring import fold_triangles, unfold_triangles
from defect.weights.quantisation import as_stored

DIRECTIONS = 96
"""Directions in which a block has a covariance of its own; in all others it shares W."""
SHRINKAGE_SAMPLES = 100
"""A block's own covariance and the common one weigh alike when it was estimated from so many
cells."""
LEAST_COMMON = 0.1
"""Part of the common covariance in a block's, at least."""
WITHIN_PRIOR = 0.4
"""Part of the total covariance expected within a place before photos are compared; it counts as
much as one pair of photos. Chosen on held-out good photos of 8 products, for 1, 2 and 4 photos."""
FLOOR = 0.02
"""Of the usual variance, added to every direction of a block."""
FLOOR_WITHIN = 0.02
"""Of the total variance, added to that within a place."""
LARGEST = 3e4
"""Of the projection's numbers: a file keeps half precision."""
REFIT_UP_TO = 8
"""Photos up to which leave-one-out fits the others afresh; beyond, one is taken from the sums."""


class Fit:
    """The Gaussian of N photos, and of all but one of them.

    Args:
        features: N×h×w×C, half precision will do.
        block: cells a side that share one covariance; divides h and w.
        changes: M×h×w×C, how features change where nothing is wrong, such as by compression: these
            directions count as if photos varied so much in them.
    """

    def __init__(self, features: Tensor, block: int, changes: Tensor | None = None) -> None:
        self.features, self.block = features, block
        self.changes = features[:0] if changes is None else changes
        n, h, w, _ = features.shape
        self.n = n
        self._gaussian: PositionalGaussian | None = None
        plain_mean = _mean(features)
        centre = plain_mean.mean((0, 1))
        within_sum = _within(features, plain_mean)
        between = (plain_mean - centre).flatten(0, 1)
        between = between.T @ between / (h * w)
        total = between + within_sum / (n * h * w)
        prior = WITHIN_PRIOR * total
        within = (within_sum / (h * w) + prior) / n
        for change in self.changes.float().flatten(1, 2):
            within += change.T @ change / (len(self.changes) * h * w)
        within = _floored(within, total)
        # Directions in which the within-place covariance is the identity and that of place means
        # is diagonal.
        lower = torch.linalg.cholesky(within)
        inverse = torch.linalg.inv(lower)
        values, turn = torch.linalg.eigh(inverse @ between @ inverse.T)
        # Means of n photos scatter by 1/n even where places do not differ.
        spread = (values - 1 / n).clamp_min(0)
        self.kept = spread / (spread + 1 / n)
        uncertainty = spread / (n * spread + 1)
        self.projection = inverse.T @ turn
        self.centre = centre
        self._choose_directions(plain_mean, uncertainty)

    def _choose_directions(self, plain_mean: Tensor, uncertainty: Tensor) -> None:
        """Turns the projection so that its first directions are those in which blocks differ."""
        n, h, w, channels = self.features.shape
        block, samples = self.block, self.block**2
        blocks = (h // block) * (w // block)
        directions = min(DIRECTIONS, channels)
        scatter = torch.zeros(blocks, channels, channels)
        own_mean = self._project(plain_mean)
        if n > 1:
            for photo in self.features:
                z = to_blocks((self._project(photo) - own_mean).unsqueeze(0), block)
                scatter.baddbmm_(z.transpose(1, 2), z)
            scatter /= samples * (n - 1)
            excess = scatter - torch.eye(channels)
            differing = torch.einsum("bij,bjk->ik", excess, excess)
            turn = torch.linalg.eigh(differing).eigenvectors.flip(1)
        else:
            turn = torch.eye(channels)
        posterior = turn.T @ (uncertainty.unsqueeze(1) * turn)
        shrink = turn.T @ (self.kept.unsqueeze(1) * turn)
        # The uncertainty of a mean adds to the variance; in the common directions it is folded
        # into the projection.
        scale = torch.ones(channels)
        scale[directions:] = (1 + posterior.diagonal()[directions:]).rsqrt()
        projection = self.projection @ turn * scale
        if float(projection.abs().max()) > LARGEST:
            raise ValueError("the photos hardly differ from each other and from a flat surface")
        # As a file keeps it, so that means and limits fit what will be loaded.
        stored = as_stored({"centre": self.centre, "projection": projection})
        self.centre, self.projection = stored["centre"], stored["projection"]
        self.shrink = shrink * scale / scale.unsqueeze(1)
        self.own_mean = self._project(plain_mean)
        self.mean = self.own_mean @ self.shrink
        # Again, with the projection as it is kept: leave-one-out takes photos from these sums.
        first = self.projection[:, :directions]
        own = torch.zeros(blocks, directions, directions)
        for photo in self.features if n > 1 else ():
            z = ((photo.float() - self.centre) @ first - self.own_mean[..., :directions])[None]
            z = to_blocks(z, block)
            own.baddbmm_(z.transpose(1, 2), z, alpha=1 / (samples * (n - 1)))
        self.changed = torch.zeros(blocks, directions, directions)
        for change in self.changes:
            z = to_blocks((change.float() @ first)[None], block)
            self.changed.baddbmm_(z.transpose(1, 2), z, alpha=1 / (samples * len(self.changes)))
        self.own = own
        self.posterior = posterior[:directions, :directions]
        self.directions = directions

    def _factors(self, own: Tensor, n: int) -> Tensor:
        """B×D×D covariances of blocks in n photos → Cholesky factors of the shrunk ones."""
        identity = torch.eye(self.directions)
        common = self._common(n)
        covariance = (1 - common) * own + common * identity
        covariance += self.changed + self.posterior + FLOOR * identity
        lower: Tensor = torch.linalg.cholesky(covariance)
        return lower

    def _common(self, n: int) -> float:
        """Part of the common covariance in a block's that was seen in n photos."""
        if n == 1:
            return 1.0
        return max(LEAST_COMMON, SHRINKAGE_SAMPLES / (SHRINKAGE_SAMPLES + self.block**2 * n))

    def gaussian(self) -> PositionalGaussian:
        """Fitted on all photos, and rounded as a file keeps it."""
        if self._gaussian is None:
            self._gaussian = self._solve()
        return self._gaussian

    def _solve(self) -> PositionalGaussian:
        lower = self._factors(self.own, self.n)
        identity = torch.eye(self.directions).expand(len(lower), -1, -1)
        whitening = torch.linalg.solve_triangular(lower, identity, upper=False)
        folded = fold_triangles(whitening)
        stored = as_stored({"mean": self.mean.flatten(0, 1), "whitening": folded})
        return PositionalGaussian(
            self.centre,
            self.projection,
            stored["mean"].view_as(self.mean),
            unfold_triangles(stored["whitening"], self.directions),
            self.block,
        )

    def without(self, judged: Sequence[tuple[Tensor, np.ndarray]]) -> list[Tensor]:
        """For each (M×h×w×C features, their M photos): M×h×w distances, each item judged without
        the photo it is or was made from; of a single photo, with it."""
        found = [torch.empty(items.shape[:3]) for items, _ in judged]
        for photo in range(self.n):
            rows = [np.flatnonzero(owner == photo) for _, owner in judged]
            mine = [items[at] for (items, _), at in zip(judged, rows, strict=True)]
            if not sum(map(len, mine)):
                continue
            distance = self._distance_without(photo, torch.cat(mine))
            for out, at, part in zip(found, rows, distance.split([*map(len, mine)]), strict=True):
                out[at] = part
        return found

    def _distance_without(self, photo: int, items: Tensor) -> Tensor:
        if self.n == 1:
            return self.gaussian().distance(items)
        if self.n <= REFIT_UP_TO:
            others = torch.cat([self.features[:photo], self.features[photo + 1 :]])
            return Fit(others, self.block, self.changes).gaussian().distance(items)
        n, block = self.n, self.block
        whole = self.gaussian()
        residual = self._project(self.features[photo : photo + 1]) - self.own_mean
        own_mean = self.own_mean - residual[0] / (n - 1)
        difference = self._project(items) - own_mean @ self.shrink
        rest = difference[..., self.directions :].square().sum(-1)
        turned = whole.whitening.transpose(1, 2)
        white = to_blocks(difference[..., : self.directions], block) @ turned
        # A block's covariance without this photo is the whole one less the photo's b² outer
        # products; its inverse follows by the Woodbury identity from b²×b² systems.
        part = to_blocks(residual[..., : self.directions], block) @ turned
        weight = (1 - self._common(n)) * n / ((n - 1) * block) ** 2
        system = torch.eye(block**2) / weight - part @ part.transpose(1, 2)
        inner = torch.linalg.solve_triangular(
            _cholesky(system), part @ white.transpose(1, 2), upper=False
        )
        own = white.square().sum(2) + inner.square().sum(1)
        own = from_blocks(own, block, *difference.shape[:3])
        # The covariance common to all places still holds the photo, one of n.
        return ((own + rest) / difference.shape[-1] * (n / (n - 1))).sqrt()

    def _project(self, features: Tensor) -> Tensor:
        return (features.float() - self.centre) @ self.projection


def _mean(features: Tensor) -> Tensor:
    """N×h×w×C → h×w×C, in single precision."""
    total = torch.zeros(features.shape[1:])
    for photo in features:
        total += photo.float()
    return total / len(features)


def _within(features: Tensor, mean: Tensor) -> Tensor:
    """C×C: squares about the place means, summed over photos and places."""
    channels = features.shape[-1]
    total = torch.zeros(channels, channels)
    if len(features) > 1:
        for photo in features:
            residual = (photo.float() - mean).flatten(0, 1)
            total.addmm_(residual.T, residual)
    return total


def _floored(within: Tensor, total: Tensor) -> Tensor:
    """C×C: no direction varies less within a place than a part of its total variance."""
    tiny = 1e-4 * total.diagonal().mean() + 1e-8
    floored: Tensor = within + FLOOR_WITHIN * total + tiny * torch.eye(len(within))
    return floored


def _cholesky(systems: Tensor) -> Tensor:
    """Factors of B symmetric matrices that rounding may have left slightly indefinite."""
    factors, failed = torch.linalg.cholesky_ex(systems)
    if bool(failed.any()):
        values, vectors = torch.linalg.eigh(systems)
        least = 1e-3 * values.amax(1, keepdim=True)
        mended = vectors * values.clamp_min(least).unsqueeze(1) @ vectors.transpose(1, 2)
        factors = torch.linalg.cholesky(mended)
    return factors
