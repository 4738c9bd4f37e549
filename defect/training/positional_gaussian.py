"""The Gaussian at each place of a product, and what it would be without one of its photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from defect.detectors import memory as normal
from defect.detectors.memory import BLOCK, DIRECTIONS
from defect.detectors.scoring import by_block, by_place, fold_triangles, unfold_triangles
from defect.networks.extractor import PLACES
from defect.weights.quantisation import as_stored

NEAR = 8
"""Places a side, in and around a block, that share in its covariance."""
NEAR_SHARE, NEAR_UNTIL = 0.4, 80
"""Their part of it while photos are few, half of that at so many: then a block's own 4×4 do."""
OWN_SHARE_AT = 20
"""With so many places seen a block's covariance counts half, the common one the other half."""
JITTER_PHOTOS = 2
"""What turned and moved copies show of a block counts as so many photos more: a few photos show
little of how parts come to lie."""
FLOOR = 0.02
_BATCH = 16
_FEW = 16
"""Up to so many photos the others are fitted afresh: the sums would leave too much rounding."""
_SEEN = BLOCK * BLOCK
"""Places of a photo that tell of one covariance."""


class PositionalGaussian:
    """Means, covariances and their factors, fitted on N photos.

    Args:
        own: N×1024×64 projected features.
        jittered: M×1024×64 of turned and moved copies.
        copied: M numbers: which photo each copy was made from.
    """

    def __init__(self, own: Tensor, jittered: Tensor, copied: np.ndarray) -> None:
        self.own, self.n = own, len(own)
        self.exact_mean = own.mean(0, dtype=torch.float32)
        self.mean = as_stored({"": self.exact_mean})[""]
        self.moved = {}
        for photo in np.unique(copied):
            copies = jittered[torch.from_numpy(copied == photo)].float() - own[photo].float()
            self.moved[int(photo)] = _scatter(copies) / len(copies)
        self.all_moved = sum(self.moved.values(), torch.zeros(()))
        self.scatter = _scatter_about(self.exact_mean, own)
        lower = self._lower(self.scatter, self.n, self.all_moved / len(self.moved))
        identity = torch.eye(DIRECTIONS).expand(len(lower), -1, -1)
        whitening = torch.linalg.solve_triangular(lower, identity, upper=False)
        # As a file keeps it, so that limits fit what will be loaded.
        folded = as_stored({"": fold_triangles(whitening)})[""]
        self.whitening = unfold_triangles(folded, DIRECTIONS)

    def _lower(self, scatter: Tensor, n: int, moved: Tensor) -> Tensor:
        """2×64×64×64 sums of squares over n photos, and how their copies scatter about them → 64
        Cholesky factors of the covariances."""
        own, near = scatter / max(n - 1, 1) + JITTER_PHOTOS / (n + JITTER_PHOTOS) * moved
        near_share = NEAR_SHARE / (1 + (n / NEAR_UNTIL) ** 2)
        each = (1 - near_share) * own + near_share * near
        common = each.mean(0)
        own_share = _SEEN * n / (_SEEN * n + OWN_SHARE_AT)
        covariance = own_share * each + (1 - own_share) * common
        floor = FLOOR * common.diagonal().mean() + 1e-6
        lower: Tensor = torch.linalg.cholesky(covariance + floor * torch.eye(DIRECTIONS))
        return lower

    def distances(self, judged: Sequence[tuple[Tensor, np.ndarray]]) -> list[Tensor]:
        """For each (M×1024×64 items, their M photos): M×1024, each item judged without the photo
        it is or was made from; of a single photo, with it."""
        found = [torch.empty(items.shape[:2]) for items, _ in judged]
        for photo in range(self.n):
            rows = [np.flatnonzero(owner == photo) for _, owner in judged]
            mine = [items[at].float() for (items, _), at in zip(judged, rows, strict=True)]
            if not sum(map(len, mine)):
                continue
            distance = self._without(photo, torch.cat(mine))
            for out, at, part in zip(found, rows, distance.split([*map(len, mine)]), strict=True):
                out[at] = part
        return found

    def _without(self, photo: int, items: Tensor) -> Tensor:
        if self.n == 1:
            return normal.place_distance(self.mean, self.whitening, items)
        try:
            mean, lower = self._others(photo, afresh=self.n <= _FEW)
        except torch.linalg.LinAlgError:
            # Of photos that are nearly alike but for this one, the sums keep mostly rounding.
            mean, lower = self._others(photo, afresh=True)
        shifted = by_block(items - mean, BLOCK)
        white = torch.linalg.solve_triangular(lower, shifted.transpose(1, 2), upper=False)
        return by_place(white.square().mean(1).sqrt(), BLOCK).flatten(1)

    def _others(self, photo: int, *, afresh: bool) -> tuple[Tensor, Tensor]:
        """Mean and Cholesky factors without one photo: fitted afresh, or taken from the sums."""
        n = self.n
        if afresh:
            others = torch.cat([self.own[:photo], self.own[photo + 1 :]])
            mean = others.mean(0, dtype=torch.float32)
            scatter = _scatter_about(mean, others)
            moved = sum((m for p, m in self.moved.items() if p != photo), torch.zeros(()))
        else:
            residual = self.own[photo].float() - self.exact_mean
            mean = self.exact_mean - residual / (n - 1)
            scatter = self.scatter - n / (n - 1) * _scatter(residual.unsqueeze(0))
            moved = self.all_moved - self.moved.get(photo, torch.zeros(()))
        copied = len(self.moved) - (photo in self.moved)
        return mean, self._lower(scatter, n - 1, moved / copied)


def _scatter_about(mean: Tensor, photos: Tensor) -> Tensor:
    """`_scatter` of N×1024×64 photos about a mean, in parts that bound memory."""
    parts = (_scatter(some.float() - mean) for some in photos.split(_BATCH))
    return sum(parts, torch.zeros(()))


def _scatter(residuals: Tensor) -> Tensor:
    """M×1024×64 → 2×64×64×64: squares summed over photos, and averaged over the places of each
    block (first) or in and around it."""
    places, weights = _neighbourhood()
    near = residuals[:, places].transpose(0, 1)
    own = near[:, :, :_SEEN].flatten(1, 2)
    near = (near * weights.sqrt().view(len(weights), 1, -1, 1)).flatten(1, 2)
    return torch.stack([own.transpose(1, 2) @ own / _SEEN, near.transpose(1, 2) @ near])


@lru_cache(maxsize=1)
def _neighbourhood() -> tuple[Tensor, Tensor]:
    """64×64 each: the places in and around each block, its own 16 first, and their weights, which
    add up to 1. At the photo's edge there are fewer: others stand in, with weight 0."""
    row, column = torch.arange(PLACES * PLACES) // PLACES, torch.arange(PLACES * PLACES) % PLACES
    margin = (NEAR - BLOCK) // 2
    places, weights = [], []
    for top in range(0, PLACES, BLOCK):
        for left in range(0, PLACES, BLOCK):
            down, right = row - top, column - left
            away = torch.maximum(
                torch.maximum(-down, down - BLOCK + 1), torch.maximum(-right, right - BLOCK + 1)
            )
            chosen = away.clamp_min(0).argsort(stable=True)[: NEAR * NEAR]
            near = (away[chosen] <= margin).float()
            places.append(chosen)
            weights.append(near / near.sum())
    return torch.stack(places), torch.stack(weights)
