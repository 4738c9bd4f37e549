"""A Gaussian at every place of a product's photos (PaDiM, Defard et al. 2021), as a hierarchy that
suits one photo as well as hundreds.

Features x at place p of a photo are modelled as x ~ N(mean_p, W) with mean_p ~ N(centre, B). The
variance within a place, W, and between places, B, are common to all places and estimated from the
photos (empirical Bayes). Means of places shrink towards the common mean as far as the number of
photos demands: a texture that lies differently in every photo ends with one mean, an aligned part
with one for each place. In the directions in which blocks of places differ most, every block has a
covariance of its own, shrunk towards W.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PositionalGaussian:
    """What good photos show at each of h×w cells, in B blocks of b×b cells, by C channels."""

    centre: Tensor
    """C: mean of all features."""
    projection: Tensor
    """C×C: after it, features vary alike in all directions at a place; the first `DIRECTIONS`
    columns are those in which blocks differ."""
    mean: Tensor
    """h×w×C, projected."""
    whitening: Tensor
    """B×D×D lower triangles: make the first D projected directions uncorrelated in each block."""
    block: int
    """b, which divides h and w."""

    def project(self, features: Tensor) -> Tensor:
        """…×C → …×C."""
        return (features.float() - self.centre) @ self.projection

    def distance(self, features: Tensor) -> Tensor:
        """N×h×w×C features → N×h×w root mean square deviations; about 1 where all is normal."""
        return deviation(self.project(features) - self.mean, self.whitening, self.block)


def deviation(residual: Tensor, whitening: Tensor, block: int) -> Tensor:
    """N×h×w×C projected residuals, B×D×D → N×h×w."""
    directions = whitening.shape[-1]
    rest = residual[..., directions:].square().sum(-1)
    white = to_blocks(residual[..., :directions], block) @ whitening.transpose(1, 2)
    own = from_blocks(white.square().sum(2), block, *residual.shape[:3])
    return ((own + rest) / residual.shape[-1]).sqrt()


def to_blocks(cells: Tensor, block: int) -> Tensor:
    """N×h×w×D → B×N·b²×D; h and w are multiples of the block's side b."""
    n, h, w, d = cells.shape
    parts = cells.reshape(n, h // block, block, w // block, block, d)
    return parts.permute(1, 3, 0, 2, 4, 5).reshape(-1, n * block * block, d)


def from_blocks(values: Tensor, block: int, n: int, h: int, w: int) -> Tensor:
    """B×N·b² → N×h×w: the inverse of `to_blocks`."""
    parts = values.reshape(h // block, w // block, n, block, block)
    return parts.permute(2, 0, 3, 1, 4).reshape(n, h, w)
