"""A memory of normal: what good photos of a product look like to the extractor, and how far a new
photo lies from it.

Two views, each a distance at every one of 32×32 places:

- *place*: from what good photos show at that very place (PaDiM, Defard et al. 2021, with a mean a
  place and a covariance a block of 4×4 places and what is around it); sharp for parts that always
  lie alike.
- *bank*: from the nearest of thousands of good patches anywhere (PatchCore, Roth et al. 2022); for
  textures and parts at any angle.

How much each counts was decided from the taught photos themselves, by defects planted on them
(`training.teach`). The map is in multiples of the normal limit, the score is its highest value, as
for the autoencoders. There is no reconstruction and no thesis score: a memory rebuilds nothing.

Every photo is brought to the taught photos' mean light first, so exposure alone is no defect.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.detectors.scoring import (
    GAIN_RANGE,
    LIMIT_RANGE,
    by_block,
    by_place,
    fold_triangles,
    grid_to_map,
    is_number,
    unfold_triangles,
)
from defect.networks.extractor import PLACES

DIRECTIONS = 64
"""Directions of the extractor's features kept; those in which the taught photos vary most."""
BLOCK = 4
"""Places a side that share one covariance: a few photos are too few for one a place."""
MOST_PATCHES = 10_000
MOST_SCORES = 1_000
GAIN_WORTH_A_NOTE = 0.1
_PIECE = 64
_POSITIONS = PLACES * PLACES
_BLOCKS = (PLACES // BLOCK) ** 2
_TRIANGLE = DIRECTIONS * (DIRECTIONS + 1) // 2
_NUMBERS = ("light", "place_limit", "bank_limit", "place_share", "limit")


@dataclass(frozen=True)
class Memory:
    """What is normal for one product."""

    centre: Tensor
    """C: the features' mean over all places."""
    projection: Tensor
    """C×64."""
    place_mean: Tensor
    """1024×64."""
    whitening: Tensor
    """64×64×64: in each block of places, the lower triangle that makes normal features
    uncorrelated."""
    bank: Tensor
    """P×64 projected features of good patches."""
    light: float
    """Mean grey of the taught photos, 0..1."""
    place_limit: float
    bank_limit: float
    """The limits that put both views on one scale."""
    place_share: float
    """Part of the place view in the map, 0..1."""
    limit: float
    """Normal limit of the combined map; dividing by it gives the map's unit."""
    normal_scores: list[float]
    """Each taught photo's score by the memory of the others, in multiples of the limit; of fewer
    than eight photos their copies' too."""
    photos: int
    extractor: str
    """SHA-256 of the extractor's weights file: with another one, nothing fits."""

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file; of the triangles only what is not zero."""
        tensors = {name: getattr(self, name) for name in _shapes(1, 1)}
        return tensors | {"whitening": fold_triangles(self.whitening)}

    def numbers(self) -> dict[str, Any]:
        """For a weights file's header."""
        names = (*_NUMBERS, "normal_scores", "photos", "extractor")
        return {name: getattr(self, name) for name in names}


def _shapes(channels: int, patches: int) -> dict[str, tuple[int, ...]]:
    return {
        "centre": (channels,),
        "projection": (channels, DIRECTIONS),
        "place_mean": (_POSITIONS, DIRECTIONS),
        "whitening": (_BLOCKS, _TRIANGLE),
        "bank": (patches, DIRECTIONS),
    }


def restore_memory(tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Memory:
    """The memory of a weights file, which may come from anywhere: everything is checked.

    Raises:
        ValueError: a tensor or number is missing, unknown, of another shape or kind, or senseless.
    """
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    channels = found.get("centre", (0,))[0] if found.get("centre") else 0
    patches = found.get("bank", (0,))[0] if found.get("bank") else 0
    wanted = _shapes(channels, patches)
    if found != wanted or not (0 < patches <= MOST_PATCHES and 0 < channels <= 4096):
        names = sorted(n for n in found.keys() | wanted.keys() if found.get(n) != wanted.get(n))
        raise ValueError(f"its memory does not fit ({', '.join(names)[:80] or 'bank'})")
    for name in _NUMBERS:
        if not is_number(numbers.get(name)) or numbers[name] < 0:
            raise ValueError(f"its {name} is not a number of 0 or more")
    for name in ("place_limit", "bank_limit", "limit"):
        if not LIMIT_RANGE[0] <= numbers[name] <= LIMIT_RANGE[1]:
            raise ValueError(
                "one of its limits is zero" if numbers[name] < 1 else f"its {name} is too large"
            )
    if numbers["place_share"] > 1 or not 0 < numbers["light"] <= 1:
        raise ValueError("its light or share is beyond 1")
    scores = numbers.get("normal_scores")
    if not isinstance(scores, list) or not 0 < len(scores) <= MOST_SCORES:
        raise ValueError("its normal_scores are not a list")
    if not all(is_number(score) and score >= 0 for score in scores):
        raise ValueError("its normal_scores are not numbers of 0 or more")
    photos, extractor = numbers.get("photos"), numbers.get("extractor")
    if not isinstance(photos, int) or isinstance(photos, bool) or not 0 < photos <= 1_000_000:
        raise ValueError("its number of photos is none")
    if not isinstance(extractor, str) or len(extractor) > 128:
        raise ValueError("it does not name its extractor")
    kept = {name: tensor.float().contiguous() for name, tensor in tensors.items()}
    fields: dict[str, Any] = {
        **kept,
        "whitening": unfold_triangles(kept["whitening"], DIRECTIONS),
        **{name: float(numbers[name]) for name in _NUMBERS},
    }
    return Memory(
        **fields,
        normal_scores=[float(score) for score in scores],
        photos=photos,
        extractor=extractor,
    )


def extract_features(extractor: nn.Module, pixels: Tensor) -> Tensor:
    """N×3×256×256 in 0..1 → N×1024×C: what stands at each place and right around it."""
    views = []
    for view in extractor(pixels):
        around = F.avg_pool2d(view, 3, 1, 1, count_include_pad=False)
        if around.shape[-2:] != (PLACES, PLACES):
            around = F.interpolate(around, size=(PLACES, PLACES), mode="bilinear")
        views.append(around)
    return torch.cat(views, 1).flatten(2).transpose(1, 2)


def normalise_brightness(pixels: Tensor, light: float) -> tuple[Tensor, Tensor]:
    """Brings N×3×256×256 photos in 0..1 to a mean grey; returns them and the N factors."""
    gains = (light / pixels.mean((1, 2, 3)).clamp_min(1e-3)).clamp(*GAIN_RANGE)
    return (pixels * gains.view(-1, 1, 1, 1)).clamp_(0, 1), gains


def project(memory: Memory, features: Tensor) -> Tensor:
    """N×1024×C → N×1024×64."""
    return (features - memory.centre) @ memory.projection


def place_distance(mean: Tensor, whitening: Tensor, projected: Tensor) -> Tensor:
    """N×1024×64 → N×1024 Mahalanobis distances (1.0 is usual). `whitening` is 64×64×64."""
    white = by_block(projected - mean, BLOCK) @ whitening.transpose(1, 2)
    return by_place(white.square().mean(2).sqrt(), BLOCK).flatten(1)


def bank_distance(bank: Tensor, projected: Tensor, barred: Tensor | None = None) -> Tensor:
    """N×1024×64 → N×1024 distances to the nearest patch; `barred`, P bool, leaves patches out."""
    lengths = bank.square().sum(1)
    if barred is not None:
        lengths = lengths.masked_fill(barred, 1e9)
    # |p|² − 2·x·p in one product, in pieces that stay in the processor's cache.
    patches = torch.cat([-2 * bank, lengths.unsqueeze(1)], 1).T.contiguous()
    rows = projected.reshape(-1, projected.shape[-1])
    rows = torch.cat([rows, rows.new_ones(len(rows), 1)], 1)
    nearest = torch.cat([(piece @ patches).amin(1) for piece in rows.split(_PIECE)])
    squared = nearest.view(projected.shape[:2]) + projected.square().sum(2)
    return squared.clamp_min_(0).sqrt_()


def combine(place: Tensor, bank: Tensor, share: float) -> Tensor:
    """Two N×1024 views in multiples of their limits → N×256×256, not yet divided by a limit."""
    rows = grid_to_map()
    both = share * place + (1 - share) * bank
    return rows @ both.view(-1, PLACES, PLACES) @ rows.T


def anomaly_maps(memory: Memory, features: Tensor) -> Tensor:
    """N×1024×C features → N×256×256 float32, ≥ 0, in multiples of the normal limit."""
    projected = project(memory, features)
    share = memory.place_share
    zero = projected.new_zeros(projected.shape[:2])
    place = bank = zero
    if share > 0:
        place = place_distance(memory.place_mean, memory.whitening, projected) / memory.place_limit
    if share < 1:
        bank = bank_distance(memory.bank, projected) / memory.bank_limit
    return combine(place, bank, share) / memory.limit
