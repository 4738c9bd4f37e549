"""Teaches a memory from good photos: no gradient, one pass of the network over the photos and one
over copies with synthetic anomalies.

Every number that decides something is taken leave-one-out: each photo is judged by the memory of
the others. Outliers among the photos are left out and named.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor, nn

from defect.detectors.memory.features import (
    DIRECTIONS,
    describe,
    fit_basis,
    normalise_brightness,
    to_pixels,
)
from defect.detectors.memory.memory import (
    MOST_SCORES,
    Level,
    Memory,
    View,
    register,
    to_maps,
)
from defect.detectors.memory.registration import (
    COARSE,
    FINE,
    Poses,
    Template,
    build_template,
    is_isolated,
    thumbnails,
    warp,
)
from defect.detectors.memory.working_size import working_size
from defect.detectors.scoring import scores
from defect.detectors.thresholds import robust_limit
from defect.imaging.photo import resize
from defect.inspection import Message
from defect.training.memory.gaussian_fit import Fit
from defect.training.memory.outliers import left_out
from defect.training.memory.synthetic_anomalies import KINDS, add_anomalies

MAX_PHOTOS = MOST_SCORES
BLOCK = 4
"""Cells a side of the coarse level's blocks; the fine level has as many blocks."""
LARGE = 1000
"""Photos of this many pixels a side (geometric mean) get a second, finer level."""
FINE_SCALE = 2
FINE_DIRECTIONS = 96, 64
"""Principal directions of the fine level's two descriptions: a file stays under 6 MB."""
SAMPLE = 32
"""Photos that the principal directions are fitted on; more do not change them."""
MOST_FINE = 100
"""Photos that the fine level is taught from: it has four times the cells."""
ANOMALIES = 4 * len(KINDS)
"""Synthetic anomalies at most: four of each kind."""
COPIES = 12
"""Turned and moved copies by which a single photo's limit is set."""
ALONE = 2.0
"""What a single photo's limit is multiplied by: its copies differ less than further photos do. Set
on held-out training photos, as `held_out_ratio` is."""
FLAT = 2.0
"""Grey levels of 255: a photo whose standard deviation is less shows nothing."""
ALIGNED_GAIN = 0.5
"""Registration must leave at most this part of the variance that photos do not share: of photos
that lie alike it removes a little, of parts at any angle nearly all."""
ALIGNED_ALREADY = 0.02
"""Unshared part of the variance below which photos are aligned as they are."""


@dataclass(frozen=True)
class FittedMemory:
    """A memory and what was noticed while it was taught."""

    memory: Memory
    scores: np.ndarray
    """N: each photo's score by the memory of the others, in multiples of the limit; of a single
    photo, 0. A photo that shows nothing has an infinite score."""
    left_out: np.ndarray
    """N bool: photos that were not learnt from: outliers, copies, photos that show nothing."""
    images: np.ndarray
    """N×h×w×3 uint8: the photos at the coarse level's size."""
    seconds: float


@torch.inference_mode()
def fit_memory(
    extractor: nn.Module,
    photos: Sequence[np.ndarray],
    extractor_sha: str,
    *,
    shapes: Sequence[tuple[int, ...]] | None = None,
    seed: int = 0,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> FittedMemory:
    """Learns what is normal from good photos of one product.

    Args:
        extractor: the folded network, in evaluation mode.
        photos: N of H×W×3 uint8, of any size, 1 ≤ N ≤ 1,000; may read them from files when
            asked for one.
        extractor_sha: of the extractor's weights file, noted in the memory.
        shapes: of the photos, where they are known.
        seed: of the synthetic anomalies and the copies.
        report_progress: called with (photos seen by the network, to see in all).

    Raises:
        ValueError: no photo, too many, or none that shows anything; all are the same.
    """
    if not 1 <= len(photos) <= MAX_PHOTOS:
        raise ValueError(
            Message(
                "memory_photo_count",
                "{count} photos; a memory is taught from 1 to {most}.",
                count=len(photos),
                most=MAX_PHOTOS,
            )
        )
    started = time.perf_counter()
    shapes = shapes or [photo.shape for photo in photos]
    size = working_size(shapes)
    images = np.stack([resize(photo, size) for photo in photos])
    useful = _useful(images)
    kept = np.flatnonzero(useful)
    brightness = max(0.01, round(float(np.median(images[kept].mean((1, 2, 3))) / 255), 2))
    sides = [math.sqrt(shape[0] * shape[1]) for shape in shapes]
    scales = [1] if np.median(sides) < LARGE else [1, FINE_SCALE]

    template = _template(images[kept], brightness)
    passes = _Passes([len(kept), min(len(kept), MOST_FINE)][: len(scales)], report_progress)
    fits = []
    for scale in scales:
        level_size = size[0] * scale, size[1] * scale
        chosen = kept if scale == 1 else _spread(kept, MOST_FINE)
        level_images = images[chosen]
        if level_size != size:
            level_images = np.stack([resize(photos[i], level_size) for i in chosen])
        fits.append(
            _LevelFit(extractor, level_images, chosen, brightness, template, scale, seed, passes)
        )

    outliers = np.zeros(len(photos), bool)
    if len(kept) > 1:
        outliers[kept] = left_out(fits[0].good)
    if outliers.any():
        for fit in fits:
            fit.judge(outliers[fit.photos])
    found, anomalous, kinds = _joined(fits)
    limit = robust_limit(found[~outliers[fits[-1].owner_of_good]])
    if len(kept) == 1:
        limit *= ALONE
    relative = np.full(len(photos), np.inf)
    relative[kept] = 0 if len(kept) == 1 else fits[0].good / fits[0].limit / limit
    if len(fits) > 1 and len(kept) > 1:
        relative[fits[1].photos] = found / limit
    # Exact copies of a photo score as it does.
    for i in np.flatnonzero(~useful):
        same = next((k for k in kept if np.array_equal(images[i], images[k])), None)
        if same is not None:
            relative[i] = relative[same]
    known = {
        kind: [
            int(sum(a >= limit for a, k in zip(anomalous, kinds, strict=True) if k == kind)),
            kinds.count(kind),
        ]
        for kind in KINDS
    }
    memory = Memory(
        levels=tuple(fit.level for fit in fits),
        brightness=brightness,
        limit=limit * held_out_ratio(len(kept)),
        normal_scores=[round(float(v), 4) for v in (found / limit)[:MOST_SCORES]],
        photos=int(len(kept) - outliers.sum()),
        extractor=extractor_sha,
        template=None if template is None else template.fine,
        known_sensitivity=known,
    )
    return FittedMemory(memory, relative, outliers | ~useful, images, time.perf_counter() - started)


def held_out_ratio(photos: int) -> float:
    """How far from a memory further good photos lie, in parts of what leaving one out says.

    A photo left out is judged by one photo less, which matters while they are few. Set so that the
    highest of 30 held-out training photos stays just under the limit for 2, 4 and 10 photos.
    """
    return 1.0 if photos == 1 else min(1.0, 1.05 * photos / (photos + 2))


def _useful(images: np.ndarray) -> np.ndarray:
    """N bool: photos that show something and are no exact copy of an earlier one.

    Raises:
        ValueError: there is none, or all of several are the same photo.
    """
    shows = np.array([float(image.mean(2).std()) >= FLAT for image in images])
    if not shows.any():
        raise ValueError(
            Message(
                "photos_show_nothing",
                "The photos show nothing: they are black, white or of one colour. Use photos of "
                "the product.",
            )
        )
    first: dict[bytes, int] = {}
    useful = np.array(
        [shows[i] and first.setdefault(image.tobytes(), i) == i for i, image in enumerate(images)]
    )
    if len(images) > 1 and useful.sum() == 1 and shows.all():
        raise ValueError(
            Message(
                "photos_all_equal",
                "All photos are the same. Teach from one of them, or add different ones.",
            )
        )
    return useful


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the values, evenly spread."""
    at = np.unique(np.linspace(0, len(values) - 1, min(len(values), most)).round().astype(int))
    chosen: np.ndarray = values[at]
    return chosen


def _template(images: np.ndarray, brightness: float) -> Template | None:
    """What to register photos to, if the photos show that it helps.

    Registration turns a photo in its frame, so what is cut off at the corners must be background:
    the part must be isolated. One photo has none to compare with; isolated parts are registered.
    """
    pixels = [normalise_brightness(to_pixels(image[None]), brightness) for image in images]
    coarse = torch.cat([thumbnails(each, COARSE) for each in pixels])
    fine = torch.cat([thumbnails(each, FINE) for each in pixels])
    if not is_isolated(fine):
        return None
    template, poses = build_template(coarse, fine)
    if len(images) > 1:
        as_is = _unshared(fine)
        aligned = _unshared(warp(fine.unsqueeze(1), poses)[:, 0])
        if as_is < ALIGNED_ALREADY or aligned > ALIGNED_GAIN * as_is:
            return None
    # As a file keeps it.
    return Template(template.fine.half().float())


def _unshared(thumbs: Tensor) -> float:
    """N×h×w → median over photos of the variance that the mean of the others does not explain."""
    flat = (thumbs - thumbs.mean((1, 2), keepdim=True)).flatten(1)
    others = flat.sum(0) - flat
    match = (flat * others).sum(1) / (flat.norm(dim=1) * others.norm(dim=1)).clamp_min(1e-9)
    return float(1 - match.clamp_min(0).square().median())


def _anomaly_count(photos: int) -> int:
    """Few photos get several synthetic anomalies each, of many not every one gets one."""
    return max(len(KINDS), min(ANOMALIES, 4 * photos))


class _Passes:
    """Counts passes of the network, for the progress bar."""

    def __init__(self, photos: Sequence[int], progress: Callable[[int, int], None]) -> None:
        """`photos`: how many each level is taught from."""
        self.done, self.progress = 0, progress
        self.total = sum(n + _anomaly_count(n) + (COPIES if n == 1 else 0) for n in photos)

    def one(self) -> None:
        self.done += 1
        self.progress(self.done, self.total)


@dataclass
class _Described:
    """Features of M photos, at one level."""

    features: list[Tensor]
    """For each view M×h×w×D, reduced, in half precision."""
    poses: list[Poses | None]
    owner: np.ndarray
    """M: which of the level's photos each is or was made from."""


class _LevelFit:
    """One level being taught."""

    def __init__(
        self,
        extractor: nn.Module,
        images: np.ndarray,
        photos: np.ndarray,
        brightness: float,
        template: Template | None,
        scale: int,
        seed: int,
        passes: _Passes,
    ) -> None:
        self.extractor, self.brightness, self.template = extractor, brightness, template
        self.passes, self.size, self.photos = passes, images.shape[1:3], photos
        self.block, self.n = BLOCK * scale, len(images)
        described = {int(i): self._describe(images[i]) for i in _spread(np.arange(self.n), SAMPLE)}
        self.bases = [
            fit_basis(torch.cat([features[view] for features, _ in described.values()]), most)
            for view, most in enumerate(DIRECTIONS if scale == 1 else FINE_DIRECTIONS)
        ]
        own = self._describe_all(images, np.arange(self.n), described)
        count = _anomaly_count(self.n)
        owner = np.resize(_spread(np.arange(self.n), count), count)
        anomalies, _, self.kinds = add_anomalies(images[owner], seed, images)
        anomalous = self._describe_all(anomalies, owner)
        good = own
        if self.n == 1:
            copies = jittered(images.repeat(COPIES, 0), np.random.default_rng(seed))
            good = self._describe_all(copies, np.zeros(COPIES, int))
        self.own, self.judged = own, (good, anomalous)
        self.judge(np.zeros(self.n, bool))

    def judge(self, outliers: np.ndarray) -> None:
        """Fits the photos without the outliers and judges each photo by the others.

        Args:
            outliers: N bool.
        """
        kept = ~outliers[self.judged[0].owner]
        owners = [described.owner for described in self.judged]
        self.views, distances = [], []
        for basis, features, *judged in zip(
            self.bases, self.own.features, *(each.features for each in self.judged), strict=True
        ):
            fit = Fit(features[torch.from_numpy(np.flatnonzero(~outliers))], self.block)
            found = _judged_by_others(fit, judged, owners, outliers)
            highest = scores(_maps(found[0], self.judged[0].poses)).numpy()
            limit = robust_limit(highest[kept])
            self.views.append(View(basis, fit.gaussian(), limit))
            distances.append([each / limit for each in found])
        mean = [torch.stack(each).mean(0) for each in zip(*distances, strict=True)]
        self.good, self.anomalous = (
            scores(_maps(each, described.poses)).numpy()
            for each, described in zip(mean, self.judged, strict=True)
        )
        self.limit = robust_limit(self.good[kept])

    @property
    def level(self) -> Level:
        return Level((self.size[0], self.size[1]), tuple(self.views), self.limit)

    @property
    def owner_of_good(self) -> np.ndarray:
        """For each good score the number of its photo."""
        owners: np.ndarray = self.photos[self.judged[0].owner]
        return owners

    def _describe(self, image: np.ndarray) -> tuple[list[Tensor], Poses | None]:
        """h×w×3 uint8 → for each view 1×h/8×w/8×256 features, and the pose."""
        pixels, pose = normalise_brightness(to_pixels(image[None]), self.brightness), None
        if self.template is not None:
            pose = register(self.template, pixels)
            pixels = warp(pixels, pose)
        self.passes.one()
        return describe(self.extractor, pixels), pose

    def _describe_all(
        self,
        images: np.ndarray,
        owner: np.ndarray,
        known: Mapping[int, tuple[list[Tensor], Poses | None]] = MappingProxyType({}),
    ) -> _Described:
        """Describes M×h×w×3 uint8 photos, except for those already known by their index."""
        features: list[list[Tensor]] = [[] for _ in self.bases]
        poses = []
        for i, image in enumerate(images):
            described, pose = known[i] if i in known else self._describe(image)
            poses.append(pose)
            for view, basis in enumerate(self.bases):
                features[view].append(basis.reduce(described[view]).half())
        return _Described([torch.cat(each) for each in features], poses, owner)


def _judged_by_others(
    fit: Fit, judged: Sequence[Tensor], owners: Sequence[np.ndarray], outliers: np.ndarray
) -> list[Tensor]:
    """For each M×h×w×D features and their M photos: M×h×w distances.

    A photo is judged by the fit without it; an outlier, which was not fitted, by the whole fit.
    """
    number = np.cumsum(~outliers) - 1
    fitted = [np.flatnonzero(~outliers[owner]) for owner in owners]
    found = [torch.empty(items.shape[:3]) for items in judged]
    without = fit.without(
        [
            (items[torch.from_numpy(at)], number[owner[at]])
            for items, owner, at in zip(judged, owners, fitted, strict=True)
        ]
    )
    for out, items, owner, at, distance in zip(found, judged, owners, fitted, without, strict=True):
        out[torch.from_numpy(at)] = distance
        for i in np.flatnonzero(outliers[owner]):
            out[i] = fit.gaussian().distance(items[i : i + 1])[0]
    return found


def _maps(distance: Tensor, poses: Sequence[Poses | None]) -> Tensor:
    parts = [to_maps(distance[i : i + 1], pose) for i, pose in enumerate(poses)]
    return torch.cat(parts)


def _joined(fits: list[_LevelFit]) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores of good and of anomalous photos over all levels, and the anomalies' kinds."""
    good = fits[0].good / fits[0].limit
    anomalous = fits[0].anomalous / fits[0].limit
    if len(fits) == 1:
        return good, anomalous, fits[0].kinds
    coarse, fine = fits
    row_of = {int(photo): i for i, photo in enumerate(coarse.photos)}
    rows = [row_of[int(photo)] for photo in fine.photos]
    if len(coarse.photos) > 1:
        good = good[rows]
    good = np.maximum(good, fine.good / fine.limit)
    # Each level has anomalies of its own: both are counted.
    anomalous = np.concatenate([anomalous, fine.anomalous / fine.limit])
    return good, anomalous, coarse.kinds + fine.kinds


def jittered(images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Copies turned by up to 3°, moved by up to 2 % and a little brighter or darker."""
    pixels = to_pixels(images)
    n = len(pixels)
    angle = torch.from_numpy(np.radians(draw.uniform(-3, 3, n))).float()
    shift = torch.from_numpy(draw.uniform(-0.02, 0.02, (n, 2))).float()
    moved = warp(pixels, Poses(angle, shift, angle), padding="reflection")
    light = torch.from_numpy(1 + draw.uniform(-0.05, 0.05, n)).float().view(-1, 1, 1, 1)
    out = (moved * light).clamp(0, 1).mul_(255).round_().byte()
    copies: np.ndarray = out.permute(0, 2, 3, 1).numpy()
    return copies
