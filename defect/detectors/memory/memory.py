"""What is normal for one product, and how far a photo lies from it.

A memory holds a Gaussian at every place (`positional_gaussian`), at one or two scales of the
photo. For parts that lie at any angle it also holds a template: the photo is judged in the
template's frame and the map warped back to the photo's own (`registration`). The map is in
multiples of the normal limit; the score is its highest value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, TypeGuard

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.detectors.memory.features import (
    CELL,
    Basis,
    brightness_gains,
    describe,
    normalise_brightness,
    to_pixels,
)
from defect.detectors.memory.positional_gaussian import PositionalGaussian, deviation
from defect.detectors.memory.registration import (
    COARSE,
    FINE,
    Poses,
    Template,
    inverse,
    thumbnails,
    warp,
)
from defect.detectors.memory.working_size import MULTIPLE
from defect.detectors.scoring import blur, fold_triangles, is_number, unfold_triangles
from defect.imaging.photo import resize

MAP_STEP = 2
"""Working pixels a side of a map's pixel."""
SMOOTHING = 3.0
"""σ in map pixels: three quarters of a cell."""
MOST_SCORES = 1_000
"""Kept in a file, hence photos a memory is taught from."""
MOST_SIDE = 4_096
"""Of a level, in pixels."""
_MOST_CELLS = 20_000
VIEWS = 2
_VIEW_TENSORS = (
    "channel_centre",
    "directions",
    "centre",
    "projection",
    "mean",
    "whitening",
)


@dataclass(frozen=True)
class View:
    """One description of a photo's cells (`features.describe`) and what of it is normal."""

    basis: Basis
    gaussian: PositionalGaussian
    """Of the features reduced to the basis."""
    limit: float
    """Normal limit of this view's distances: it puts the views on one scale."""

    def distance(self, features: Tensor) -> Tensor:
        """N×h×w×256 features → N×h×w in multiples of this view's limit."""
        matrix, bias = self._both_projections
        residual = F.linear(features.float() - self.basis.centre, matrix, bias)
        residual -= self.gaussian.mean
        return deviation(residual, self.gaussian.whitening, self.gaussian.block) / self.limit

    @cached_property
    def _both_projections(self) -> tuple[Tensor, Tensor]:
        """The basis's and the Gaussian's projection as one, for `linear`."""
        projection = self.gaussian.projection
        matrix = (self.basis.directions @ projection).T.contiguous()
        return matrix, -(self.gaussian.centre @ projection)


@dataclass(frozen=True)
class Level:
    """One scale at which photos are judged."""

    size: tuple[int, int]
    """Height and width photos are brought to."""
    views: tuple[View, ...]
    limit: float
    """Normal limit of the views' mean: it puts the levels on one scale."""

    def distance(self, descriptions: Sequence[Tensor]) -> Tensor:
        """For each view N×h×w×256 → N×h×w in multiples of this level's limit."""
        distances = [
            view.distance(features) for view, features in zip(self.views, descriptions, strict=True)
        ]
        return torch.stack(distances).mean(0) / self.limit


@dataclass(frozen=True)
class Memory:
    """What is normal for one product."""

    levels: tuple[Level, ...]
    """Coarse first."""
    brightness: float
    """Median mean grey of the taught photos, 0..1."""
    limit: float
    """Normal limit of the levels' maximum; dividing by it gives the map's unit."""
    normal_scores: list[float]
    """Each taught photo's score by the memory of the others, in multiples of the limit; of a
    single photo, its copies'."""
    photos: int
    extractor: str
    """SHA-256 of the extractor's weights file: with another one, nothing fits."""
    template: Tensor | None = None
    """h×w grey thumbnail that photos are registered to; None where parts lie alike or are a
    texture."""
    known_sensitivity: dict[str, list[int]] = field(default_factory=dict)
    """For each kind of synthetic anomaly: how many were found at the threshold, of how many."""

    @cached_property
    def registration(self) -> Template | None:
        """Registers photos to the template, where there is one."""
        return None if self.template is None else Template(self.template)

    def tensors(self) -> dict[str, Tensor]:
        """For a weights file."""
        tensors = {}
        for i, level in enumerate(self.levels):
            for j, view in enumerate(level.views):
                parts = (
                    view.basis.centre,
                    view.basis.directions,
                    view.gaussian.centre,
                    view.gaussian.projection,
                    view.gaussian.mean.flatten(0, 1),
                    fold_triangles(view.gaussian.whitening),
                )
                for name, part in zip(_VIEW_TENSORS, parts, strict=True):
                    tensors[f"level{i}.view{j}.{name}"] = part
        if self.template is not None:
            tensors["template"] = self.template
        return tensors

    def numbers(self) -> dict[str, Any]:
        """For a weights file's header."""
        return {
            "levels": [
                {
                    "size": list(level.size),
                    "block": level.views[0].gaussian.block,
                    "limit": level.limit,
                    "view_limits": [view.limit for view in level.views],
                }
                for level in self.levels
            ],
            "brightness": self.brightness,
            "limit": self.limit,
            "normal_scores": self.normal_scores,
            "photos": self.photos,
            "extractor": self.extractor,
            "known_sensitivity": self.known_sensitivity,
        }


def restore_memory(tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Memory:
    """The memory of a weights file, which may come from anywhere: everything is checked.

    Raises:
        ValueError: a tensor or number is missing, unknown, of another shape or kind, or senseless.
    """
    described = numbers.get("levels")
    if not isinstance(described, list) or not 1 <= len(described) <= 2:
        raise ValueError("its levels are not a list of one or two")
    wanted = {
        f"level{i}.view{j}.{name}"
        for i in range(len(described))
        for j in range(VIEWS)
        for name in _VIEW_TENSORS
    }
    unknown = (tensors.keys() ^ wanted) - {"template"}
    if unknown:
        raise ValueError(f"its memory does not fit ({', '.join(sorted(unknown))[:80]})")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"its {name} does not hold finite numbers")
    levels = tuple(_restore_level(tensors, f"level{i}", each) for i, each in enumerate(described))
    template = tensors.get("template")
    if template is not None:
        if template.ndim != 2 or not all(8 <= side <= 4 * FINE for side in template.shape):
            raise ValueError("its template has another shape")
        if float(template.float().std()) < 1e-4 or float(template.abs().max()) > 2:
            raise ValueError("its template shows nothing")
    for name, most in (("brightness", 1.0), ("limit", 1e6)):
        if not is_number(numbers.get(name)) or not 1e-6 < numbers[name] <= most:
            raise ValueError(f"its {name} is out of range")
    scores = numbers.get("normal_scores")
    if not isinstance(scores, list) or not 0 < len(scores) <= MOST_SCORES:
        raise ValueError("its normal_scores are not a list")
    if not all(is_number(score) and 0 <= score < 1e6 for score in scores):
        raise ValueError("its normal_scores are not numbers of 0 or more")
    photos, extractor = numbers.get("photos"), numbers.get("extractor")
    if not _is_count(photos) or not 0 < photos <= 1_000_000:
        raise ValueError("its number of photos is none")
    if not isinstance(extractor, str) or len(extractor) > 128:
        raise ValueError("it does not name its extractor")
    known = numbers.get("known_sensitivity")
    if not isinstance(known, dict) or len(known) > 64 or not all(map(_is_share, known.values())):
        raise ValueError("its known_sensitivity is not a table of counts")
    return Memory(
        levels=levels,
        brightness=float(numbers["brightness"]),
        limit=float(numbers["limit"]),
        normal_scores=[float(score) for score in scores],
        photos=photos,
        extractor=extractor,
        template=None if template is None else template.float(),
        known_sensitivity={str(kind)[:40]: list(pair) for kind, pair in known.items()},
    )


def _restore_level(tensors: Mapping[str, Tensor], name: str, described: object) -> Level:
    if not isinstance(described, dict):
        raise ValueError(f"its {name} is not described")
    size, block, limit = described.get("size"), described.get("block"), described.get("limit")
    if not (isinstance(size, list) and len(size) == 2 and all(map(_is_count, size))):
        raise ValueError(f"its {name} has no size")
    if not all(0 < side <= MOST_SIDE and side % MULTIPLE == 0 for side in size):
        raise ValueError(f"its {name} has a senseless size")
    height, width = size[0] // CELL, size[1] // CELL
    if not _is_count(block) or block < 1 or height % block or width % block:
        raise ValueError(f"its {name} has blocks that do not fit")
    limits = described.get("view_limits")
    if not isinstance(limits, list) or len(limits) != VIEWS:
        raise ValueError(f"its {name} has no limits of its views")
    if not is_number(limit) or not all(map(is_number, limits)):
        raise ValueError(f"its {name} has no limit")
    if not all(1e-6 < each < 1e6 for each in (limit, *limits)):
        raise ValueError(f"a limit of its {name} is out of range")
    views = tuple(
        _restore_view(tensors, f"{name}.view{j}", height, width, block, float(each))
        for j, each in enumerate(limits)
    )
    return Level((size[0], size[1]), views, float(limit))


def _restore_view(
    tensors: Mapping[str, Tensor], name: str, height: int, width: int, block: int, limit: float
) -> View:
    parts = {part: tensors[f"{name}.{part}"].float() for part in _VIEW_TENSORS}
    channels, inputs = parts["centre"].numel(), parts["channel_centre"].numel()
    folded = parts["whitening"].shape[-1] if parts["whitening"].ndim == 2 else 0
    directions = (math.isqrt(8 * folded + 1) - 1) // 2
    shapes = {
        "channel_centre": (inputs,),
        "directions": (inputs, channels),
        "centre": (channels,),
        "projection": (channels, channels),
        "mean": (height * width, channels),
        "whitening": (height * width // block**2, directions * (directions + 1) // 2),
    }
    found = {part: tuple(tensor.shape) for part, tensor in parts.items()}
    fits = found == shapes and 0 < directions <= channels <= inputs <= 4096
    if not fits or height * width > _MOST_CELLS:
        raise ValueError(f"its {name} does not fit its size")
    gaussian = PositionalGaussian(
        parts["centre"].contiguous(),
        parts["projection"].contiguous(),
        parts["mean"].view(height, width, channels),
        unfold_triangles(parts["whitening"], directions),
        block,
    )
    basis = Basis(parts["channel_centre"].contiguous(), parts["directions"].contiguous())
    return View(basis, gaussian, limit)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_share(pair: object) -> bool:
    if not (isinstance(pair, list) and len(pair) == 2 and all(map(_is_count, pair))):
        return False
    return bool(0 <= pair[0] <= pair[1] <= 1_000_000)


@torch.inference_mode()
def anomaly_map(
    memory: Memory, extractor: nn.Module, photo: np.ndarray, device: torch.device | str = "cpu"
) -> tuple[Tensor, float]:
    """One photo's map, and the factor by which its brightness was normalised.

    Args:
        extractor: the folded network the memory was taught with.
        photo: H×W×3 uint8, of any size.
        device: where the extractor is.

    Returns:
        h×w float32 ≥ 0 in multiples of the normal limit, over the whole photo; h and w are half
        the finest level's size.
    """
    levels = [to_pixels(resize(photo, level.size)[None]) for level in memory.levels]
    found, gain = map_of_levels(memory, extractor, levels, device)
    return found[0], float(gain[0])


def map_of_levels(
    memory: Memory,
    extractor: nn.Module,
    levels: Sequence[Tensor],
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor]:
    """N photos, for each level N×3×h×w in 0..1 → N maps, and N brightness factors."""
    template = memory.registration
    gain = brightness_gains(levels[0], memory.brightness)
    poses: Poses | None = None
    highest: Tensor | None = None
    for level, pixels in zip(memory.levels, levels, strict=True):
        pixels = normalise_brightness(pixels, memory.brightness)
        if template is not None:
            poses = poses or register(template, pixels)
            pixels = warp(pixels, poses)
        described = [view.cpu() for view in describe(extractor, pixels.to(device))]
        found = to_maps(level.distance(described), poses)
        if highest is not None:
            # The levels' maximum, on the finer one's pixels.
            coarse = F.interpolate(highest[:, None], size=found.shape[1:], mode="bilinear")
            found = torch.maximum(found, coarse[:, 0])
        highest = found
    assert highest is not None
    return highest / memory.limit, gain


def register(template: Template, pixels: Tensor) -> Poses:
    """Poses of N×3×h×w photos of normalised brightness."""
    return template.register(thumbnails(pixels, COARSE), thumbnails(pixels, FINE))


def to_maps(distance: Tensor, poses: Poses | None) -> Tensor:
    """N×h×w distances at cells → N×4h×4w smoothed maps in the photos' own frames; what the aligned
    photo does not show, background in the corners, is 0."""
    rows, columns = (_cells_to_map(side) for side in distance.shape[1:])
    maps = rows @ distance @ columns.T
    if poses is not None:
        maps = warp(maps.unsqueeze(1), inverse(poses), padding="zeros")[:, 0]
    return maps


@lru_cache(maxsize=8)
def _cells_to_map(cells: int) -> Tensor:
    """M×cells: a row of cells stretched to the map's pixels bilinearly, then blurred."""
    size = cells * CELL // MAP_STEP
    stretched = F.interpolate(torch.eye(cells).unsqueeze(1), size=size, mode="linear").squeeze(1)
    return blur(size, SMOOTHING) @ stretched.T
