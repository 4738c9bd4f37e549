"""Teaches a memory of normal from good photos: no gradient, one pass over the photos and a few more
over copies of them, so it takes seconds.

Every number that decides something is taken *leave-one-out*: each photo is judged by the memory of
the others. For the Gaussians its part is taken from the sums and they are solved again (of up to
16 photos: fitted afresh), for the bank it is leaving out the photo's own patches; no photo is
looked at twice for it.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defect.detectors import memory as normal
from defect.detectors.memory import DIRECTIONS, MOST_SCORES, Memory
from defect.detectors.scoring import scores, to_tensor
from defect.detectors.thresholds import normal_limit
from defect.training.corruption import paste_anomalies
from defect.training.positional_gaussian import PositionalGaussian
from defect.weights.quantisation import as_stored

MAX_PHOTOS = MOST_SCORES
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Tried as the place view's part of the map."""
PLACE_FIRST = 0.02
"""How much better of 1 the bank must rank planted defects to take the place view's whole part."""
PATCHES = 8_192
_COPIES_UP_TO, _MOST_COPIES = 40, 8
_FEW = 8
"""Below this many photos their copies are judged too: a handful of scores is no distribution."""
ALONE = 4.5
"""What a single photo's limit is multiplied by: its copies hardly differ. Of eleven products' other
good training photos 17 % are then false alarms, where `product.one_in` promises 31 %; without it
nearly all are."""
_LEAST_PLANTED, _MOST_PLANTED = 24, 40
_SAMPLE = 32
"""Photos the projection is fitted on."""
_WHITENING_FLOOR = 0.003
_LARGEST = 3e4
"""Of the projection's numbers."""
_BATCH = 16


@dataclass(frozen=True)
class FittedMemory:
    """A memory and what was noticed while it was taught."""

    memory: Memory
    scores: np.ndarray
    """N: each photo's score by the memory of the others, in multiples of the limit."""
    seconds: float
    passes: float
    """Extractor passes over the photos it took."""


@torch.inference_mode()
def fit_memory(
    extractor: nn.Module,
    images: np.ndarray,
    extractor_sha: str,
    *,
    seed: int = 0,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> FittedMemory:
    """Learns what is normal from good photos of one product.

    Args:
        extractor: in evaluation mode.
        images: N×256×256×3 uint8, 1 ≤ N ≤ 1,000.
        extractor_sha: of the extractor's weights file, noted in the memory.
        seed: of the copies, the planted defects and the patches kept.
        tell: called with (photos looked at, to look at in all).

    Raises:
        ValueError: no photo or too many.
    """
    if not 1 <= len(images) <= MAX_PHOTOS:
        raise ValueError(f"{len(images)} photos; a memory is taught from 1 to {MAX_PHOTOS}.")
    started = time.perf_counter()
    n = len(images)
    draw = torch.Generator().manual_seed(seed)
    light = float(np.median(images.mean((1, 2, 3))) / 255) or 1 / 255
    copies = min(_MOST_COPIES, math.ceil(_COPIES_UP_TO / n))
    copied = np.repeat(_spread(n, _COPIES_UP_TO), copies)
    planted = np.resize(_spread(n, _MOST_PLANTED), max(_LEAST_PLANTED, min(n, _MOST_PLANTED)))
    look = _FeatureReader(extractor, light, n + len(copied) + len(planted), report_progress)

    centre, projection = _projection(look, images[_spread(n, _SAMPLE)])
    own = look.all(images, centre, projection)
    jittered = look.all(images[copied], centre, projection, lambda x: _jitter(x, draw))
    corrupted = look.all(images[planted], centre, projection, lambda x: _plant(x, draw))

    place = PositionalGaussian(own, jittered, copied)
    bank, owners = _patches(own, jittered, copied, draw)
    bank = as_stored({"": bank})[""]

    judged: list[tuple[Tensor, np.ndarray]] = [(own, np.arange(n))] if n > 1 else []
    if n < _FEW:
        judged.append((jittered, copied))
    judged.append((corrupted, planted))
    placed = place.distances(judged)
    banked = [_bank(bank, owners, items, owner) for items, owner in judged]
    good = torch.cat(placed[:-1]), torch.cat(banked[:-1])
    bad = placed[-1], banked[-1]

    limits = [normal_limit(scores(_map(view)).tolist()) for view in good]
    good_scaled = [view / limit for view, limit in zip(good, limits, strict=True)]
    bad_scaled = [view / limit for view, limit in zip(bad, limits, strict=True)]
    share = _best_share(good_scaled, bad_scaled)
    found = scores(normal.combine(good_scaled[0], good_scaled[1], share))
    limit = normal_limit(found.tolist()) * (ALONE if n == 1 else 1)
    relative = (found / limit).numpy()
    memory = Memory(
        centre=centre,
        projection=projection,
        place_mean=place.mean,
        whitening=place.whitening,
        bank=bank,
        light=round(light, 4),
        place_limit=limits[0],
        bank_limit=limits[1],
        place_share=share,
        limit=limit,
        normal_scores=[round(float(v), 4) for v in relative[:MOST_SCORES]],
        photos=n,
        extractor=extractor_sha,
    )
    return FittedMemory(
        memory, relative[:n] if n > 1 else np.zeros(1), time.perf_counter() - started, look.seen / n
    )


class _FeatureReader:
    """Photos → projected features, counting what the extractor looked at."""

    def __init__(
        self,
        extractor: nn.Module,
        light: float,
        total: int,
        report_progress: Callable[[int, int], None],
    ) -> None:
        self.extractor, self.light, self.total, self.report_progress = (
            extractor,
            light,
            total,
            report_progress,
        )
        self.seen = 0

    def features(
        self, images: np.ndarray, change: Callable[[Tensor], Tensor] = lambda x: x
    ) -> Iterator[Tensor]:
        for start in range(0, len(images), _BATCH):
            pixels = change(to_tensor(images[start : start + _BATCH]))
            yield normal.extract_features(
                self.extractor, normal.normalise_brightness(pixels, self.light)[0]
            )
            self.seen += len(pixels)
            self.report_progress(min(self.seen, self.total), self.total)

    def all(
        self,
        images: np.ndarray,
        centre: Tensor,
        projection: Tensor,
        change: Callable[[Tensor], Tensor] = lambda x: x,
    ) -> Tensor:
        """N×1024×64, in half precision: a thousand photos are 130 MB."""
        parts = [((f - centre) @ projection).half() for f in self.features(images, change)]
        return torch.cat(parts)


def _spread(count: int, most: int) -> np.ndarray:
    """At most so many of the numbers below `count`, evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _projection(look: _FeatureReader, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """(centre, C×64): the directions in which the features vary most, brought to one size."""
    # Every other place is enough, and keeps 32 photos at 50 MB.
    sample = torch.cat([f[:, ::2] for f in look.features(images)]).flatten(0, 1)
    look.seen -= len(images)
    centre = sample.mean(0)
    sample -= centre
    spread = sample.square().mean(0).sqrt().clamp_min(1e-4)
    sample /= spread
    # In single precision the solver gives up on a backbone's dead channels.
    values, vectors = torch.linalg.eigh((sample.T @ sample / len(sample)).double())
    kept = vectors[:, -DIRECTIONS:] / (values[-DIRECTIONS:].clamp_min(0) + _WHITENING_FLOOR).sqrt()
    kept = kept.float() / spread.unsqueeze(1)
    # A common factor changes no distance's rank, and a file keeps half precision.
    kept *= min(1.0, _LARGEST / float(kept.abs().max()))
    stored = as_stored({"centre": centre, "projection": kept})
    return stored["centre"], stored["projection"]


def _jitter(pixels: Tensor, draw: torch.Generator) -> Tensor:
    """Copies turned by up to 4°, moved by up to 2 %, scaled and relit a little."""
    n = len(pixels)
    angle, zoom, light = (2 * torch.rand(3, n, generator=draw) - 1).unbind()
    angle, zoom = angle * math.radians(4), 1 + 0.03 * zoom
    shift = 0.04 * (2 * torch.rand(n, 2, generator=draw) - 1)
    sine, cosine = zoom * angle.sin(), zoom * angle.cos()
    top = torch.stack([cosine, -sine, shift[:, 0]], 1)
    moves = torch.stack([top, torch.stack([sine, cosine, shift[:, 1]], 1)], 1)
    grid = F.affine_grid(moves, list(pixels.shape), align_corners=False)
    moved = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)
    return (moved * (1 + 0.06 * light.view(-1, 1, 1, 1))).clamp_(0, 1)


def _plant(pixels: Tensor, draw: torch.Generator) -> Tensor:
    return paste_anomalies(pixels, draw)[0].clamp_(0, 1)


def _patches(
    own: Tensor, jittered: Tensor, copied: np.ndarray, draw: torch.Generator
) -> tuple[Tensor, np.ndarray]:
    """(P×64, owners): half of the patches at random, half those farthest from the first half."""
    photos = np.arange(len(own))
    if 1 < len(own) < _COPIES_UP_TO:
        own, photos = torch.cat([own, jittered]), np.concatenate([photos, copied])
    every = own.float().flatten(0, 1)
    owners = np.repeat(photos, own.shape[1])
    order = torch.randperm(len(every), generator=draw)
    if len(every) > PATCHES:
        first, rest = order[: PATCHES // 2], order[PATCHES // 2 : 5 * PATCHES]
        far = normal.bank_distance(every[first], every[rest].unsqueeze(0))[0]
        order = torch.cat([first, rest[far.argsort(descending=True)[: PATCHES // 2]]])
    return every[order].contiguous(), owners[order.numpy()]


def _bank(bank: Tensor, owners: np.ndarray, items: Tensor, owner: np.ndarray) -> Tensor:
    """M×1024×64 → M×1024: to the nearest patch of another photo; of a single photo, of its own."""
    alone = len(np.unique(owners)) == 1
    own, out = torch.from_numpy(owners), []
    for item, photo in zip(items, owner, strict=True):
        barred = None if alone else own == int(photo)
        out.append(normal.bank_distance(bank, item.float().unsqueeze(0), barred)[0])
    return torch.stack(out)


def _map(view: Tensor) -> Tensor:
    return normal.combine(view, view, 1.0)


def _best_share(good: list[Tensor], bad: list[Tensor]) -> float:
    """The place view's part at which planted defects stand out most from good photos."""
    merits = []
    for share in SHARES:
        calm = scores(normal.combine(good[0], good[1], share)).log()
        found = scores(normal.combine(bad[0], bad[1], share)).log()
        ranked = (found.unsqueeze(1) > calm).float().mean()
        # Where both shares rank alike, the wider gap decides, and some doubt is left for the place
        # view, which was the better one on most products' held-out photos.
        gap = (found.median() - calm.median()) / calm.std(unbiased=False).clamp_min(0.02)
        merits.append(float(ranked) + 0.02 * math.tanh(float(gap) / 10) + PLACE_FIRST * share)
    return SHARES[int(np.argmax(merits))]
