"""The memory of normal against its floors: by number of photos, its promises, its outlier check
and its speed. Nothing is chosen here; test labels only count. `DEFECT_BACKBONE` is respected.

Run it: python -m benchmarks.teaching --data DIR [--counts 1 5 10 20 all] [--draws 5]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import rankdata
from torch import nn

from defect.datasets import mvtec
from defect.datasets.samples import Sample, load_images, load_masks
from defect.detectors import memory as normal
from defect.detectors.feature_extractors import teaching_extractor
from defect.detectors.scoring import scores, to_tensor
from defect.evaluation.scorecard.averages import MASKED
from defect.networks.autoencoders import build_autoencoder
from defect.training.memory_fit import FittedMemory, fit_memory
from defect.training.outliers import find_outliers
from defect.weights.index import WEIGHTS_FOLDER

BATCH = 16
STEP = 4
"""Every so many pixels a side count for the pixel AUROC here; the protocol takes all."""
OUTLIER_AMONG = 20


@dataclass(frozen=True)
class Test:
    """A category's photos, as the networks see them."""

    train: np.ndarray
    photos: np.ndarray
    masks: np.ndarray
    known: np.ndarray
    defective: np.ndarray


def main() -> None:
    """Prints a line a measurement and a mean a number of photos; the last line is JSON."""
    parser = argparse.ArgumentParser(description="Measures the memory of normal.")
    parser.add_argument("--data", type=Path, required=True, help="categories in MVTec AD layout")
    parser.add_argument("--weights", type=Path, default=WEIGHTS_FOLDER)
    parser.add_argument("--categories", nargs="+", default=list(MASKED))
    parser.add_argument("--counts", nargs="+", default=["1", "5", "10", "20", "all"])
    parser.add_argument("--draws", type=int, default=5, help="of the photos (all: one)")
    parser.add_argument("--outliers", type=int, default=50, help="draws of the outlier check")
    parser.add_argument("--step", type=int, default=1, help="take every so many-th test photo")
    options = parser.parse_args()
    torch.set_num_threads(1)
    extractor, sha256, backbone = teaching_extractor(options.weights)
    if backbone:
        print(f"through {backbone}", flush=True)
    found = []
    for name in options.categories:
        test = load_test(options.data, name, options.step)
        for count in options.counts:
            draws = 1 if count == "all" else options.draws
            runs = [_once(extractor, sha256, test, count, draw) for draw in range(draws)]
            line = {key: round(float(np.mean([run[key] for run in runs])), 4) for key in runs[0]}
            found.append({"category": name, "photos": count, **line})
            print(json.dumps(found[-1]), flush=True)
        if options.outliers:
            found.append(
                {
                    "category": name,
                    "photos": "outlier",
                    **_outlier(extractor, test, options.outliers),
                }
            )
            print(json.dumps(found[-1]), flush=True)
    for count in [*options.counts, *(["outlier"] if options.outliers else [])]:
        rows = [row for row in found if row["photos"] == count]
        means = {
            key: round(float(np.mean([row[key] for row in rows])), 4)
            for key in rows[0]
            if key not in ("category", "photos")
        }
        print(json.dumps({"mean of": len(rows), "photos": count, **means}), flush=True)
    print(json.dumps(speed(extractor)))


def load_test(data: Path, name: str, step: int) -> Test:
    """A category's photos, taking every so many-th of the test split."""
    samples: list[Sample] = mvtec.test_samples(data, name)[::step]
    masks, known = load_masks(samples)
    return Test(
        load_images(mvtec.train_samples(data, name)),
        load_images(samples),
        masks,
        known,
        np.array([sample.defective for sample in samples], bool),
    )


def _once(extractor: nn.Module, sha256: str, test: Test, count: str, draw: int) -> dict[str, float]:
    chosen: np.ndarray = np.arange(len(test.train))
    if count != "all":
        chosen = np.random.default_rng(draw).permutation(len(test.train))[: int(count)]
    fitted = fit_memory(extractor, test.train[chosen], sha256, seed=draw)
    maps = _maps(extractor, fitted, test.photos)
    found = scores(maps).numpy()
    kept = maps[:, STEP // 2 :: STEP, STEP // 2 :: STEP].numpy()[test.known]
    masks = test.masks[test.known][:, STEP // 2 :: STEP, STEP // 2 :: STEP]
    return {
        "image_auroc": auroc(found, test.defective),
        "pixel_auroc": auroc(kept.ravel(), masks.ravel()),
        "false_alarms": float((found[~test.defective] >= 1).mean()),
        "caught": float((found[test.defective] >= 1).mean()),
        "place_share": fitted.memory.place_share,
        "passes": fitted.passes,
    }


def _outlier(extractor: nn.Module, test: Test, draws: int) -> dict[str, float]:
    """One defective photo among twenty: how often it is named, and how often a good one is."""
    caught, wrong = 0, 0
    bad = test.photos[test.defective]
    for draw in range(draws):
        pick = np.random.default_rng(1000 + draw)
        good = test.train[pick.permutation(len(test.train))[: OUTLIER_AMONG - 1]]
        images = np.concatenate([good, bad[pick.integers(len(bad))][None]])
        fitted = fit_memory(extractor, images, "", seed=draw)
        named = {index for index, _ in find_outliers(images, fitted.scores)}
        caught += OUTLIER_AMONG - 1 in named
        wrong += len(named - {OUTLIER_AMONG - 1})
    return {"flagged": caught / draws, "false_flags": wrong / (draws * (OUTLIER_AMONG - 1))}


@torch.inference_mode()
def _maps(extractor: nn.Module, fitted: FittedMemory, photos: np.ndarray) -> torch.Tensor:
    parts = []
    for start in range(0, len(photos), BATCH):
        pixels = to_tensor(photos[start : start + BATCH])
        normalised, _ = normal.normalise_brightness(pixels, fitted.memory.light)
        parts.append(
            normal.anomaly_maps(fitted.memory, normal.extract_features(extractor, normalised))
        )
    return torch.cat(parts)


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve by ranks; nan where one kind is missing."""
    n, p = int((~positive).sum()), int(positive.sum())
    if not n or not p:
        return float("nan")
    return float((rankdata(values)[positive].sum() - p * (p + 1) / 2) / (n * p))


@torch.inference_mode()
def speed(extractor: nn.Module) -> dict[str, float]:
    """CPU seconds, as multiples: an inspection in CAE forwards, teaching in extractor passes."""
    network = build_autoencoder("cae").eval()
    photos = np.random.default_rng(0).integers(0, 255, (20, 256, 256, 3), np.uint8)
    pixels = to_tensor(photos[:1])
    fitted = fit_memory(extractor, photos, "")

    def inspect() -> None:
        normalised, _ = normal.normalise_brightness(pixels, fitted.memory.light)
        scores(normal.anomaly_maps(fitted.memory, normal.extract_features(extractor, normalised)))

    def over_twenty() -> None:
        for start in range(0, 20, BATCH):
            normal.extract_features(extractor, to_tensor(photos[start : start + BATCH]))

    forward = _seconds(lambda: network(pixels), 20)
    return {
        "inspection_in_cae_forwards": round(_seconds(inspect, 20) / forward, 2),
        "teaching_20_in_extractor_passes": round(
            _seconds(lambda: fit_memory(extractor, photos, ""), 3) / _seconds(over_twenty, 3), 2
        ),
        "place_share": fitted.memory.place_share,
    }


def _seconds(task: Callable[[], object], rounds: int) -> float:
    """Least CPU seconds of several runs: what others do on the machine counts little."""
    task()
    times = []
    for _ in range(rounds):
        started = time.process_time()
        task()
        times.append(time.process_time() - started)
    return min(times)


if __name__ == "__main__":
    main()
