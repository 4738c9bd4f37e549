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
from defect.datasets.samples import Sample, load_masks
from defect.detectors.feature_extractors import teaching_extractor
from defect.detectors.memory.memory import Memory, anomaly_map
from defect.evaluation.protocol import at_mask_size
from defect.evaluation.scorecard.averages import MASKED
from defect.imaging.photo import read_photo
from defect.networks.autoencoders import build_autoencoder, fold_batch_norm
from defect.training.memory.fit import fit_memory
from defect.training.memory.outliers import find_outliers
from defect.weights.index import WEIGHTS_FOLDER

STEP = 4
"""Every so many pixels a side count for the pixel AUROC here; the protocol takes all."""
OUTLIER_AMONG = 20


@dataclass(frozen=True)
class Test:
    """A category's photos, each H×W×3 uint8."""

    train: list[np.ndarray]
    photos: list[np.ndarray]
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
        [read_photo(sample.path).pixels for sample in mvtec.train_samples(data, name)],
        [read_photo(sample.path).pixels for sample in samples],
        masks,
        known,
        np.array([sample.defective for sample in samples], bool),
    )


def _once(extractor: nn.Module, sha256: str, test: Test, count: str, draw: int) -> dict[str, float]:
    chosen: np.ndarray = np.arange(len(test.train))
    if count != "all":
        chosen = np.random.default_rng(draw).permutation(len(test.train))[: int(count)]
    fitted = fit_memory(extractor, [test.train[i] for i in chosen], sha256, seed=draw)
    found, maps = _judge(fitted.memory, extractor, test.photos)
    kept = maps[:, STEP // 2 :: STEP, STEP // 2 :: STEP][test.known]
    masks = test.masks[test.known][:, STEP // 2 :: STEP, STEP // 2 :: STEP]
    return {
        "image_auroc": auroc(found, test.defective),
        "pixel_auroc": auroc(kept.ravel(), masks.ravel()),
        "false_alarms": float((found[~test.defective] >= 1).mean()),
        "caught": float((found[test.defective] >= 1).mean()),
    }


def _outlier(extractor: nn.Module, test: Test, draws: int) -> dict[str, float]:
    """One defective photo among twenty: how often it is named, and how often a good one is."""
    caught, wrong = 0, 0
    bad = [photo for photo, defective in zip(test.photos, test.defective, strict=True) if defective]
    for draw in range(draws):
        pick = np.random.default_rng(1000 + draw)
        good = pick.permutation(len(test.train))[: OUTLIER_AMONG - 1]
        photos = [test.train[i] for i in good] + [bad[pick.integers(len(bad))]]
        fitted = fit_memory(extractor, photos, "", seed=draw)
        named = {index for index, _ in find_outliers(fitted.images, fitted.scores)}
        caught += OUTLIER_AMONG - 1 in named
        wrong += len(named - {OUTLIER_AMONG - 1})
    return {"flagged": caught / draws, "false_flags": wrong / (draws * (OUTLIER_AMONG - 1))}


def _judge(
    memory: Memory, extractor: nn.Module, photos: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """N photos → N scores and N×256×256 maps."""
    maps = [anomaly_map(memory, extractor, photo)[0].numpy() for photo in photos]
    scores = np.array([float(found.max()) for found in maps])
    return scores, np.stack([at_mask_size(found) for found in maps])


def auroc(values: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve by ranks; nan where one kind is missing."""
    n, p = int((~positive).sum()), int(positive.sum())
    if not n or not p:
        return float("nan")
    return float((rankdata(values)[positive].sum() - p * (p + 1) / 2) / (n * p))


@torch.inference_mode()
def speed(extractor: nn.Module) -> dict[str, float]:
    """CPU time, one thread: inspecting a 900² photo, in CAE forwards, and teaching 20, in s."""
    network = fold_batch_norm(build_autoencoder("cae").eval())
    draw = np.random.default_rng(0)
    photos = [draw.integers(0, 255, (900, 900, 3), np.uint8) for _ in range(20)]
    pixels = torch.rand(1, 3, 256, 256).contiguous(memory_format=torch.channels_last)
    memory = fit_memory(extractor, photos, "").memory
    forward = _seconds(lambda: network(pixels), 20)
    inspection = _seconds(lambda: anomaly_map(memory, extractor, photos[0]), 20)
    return {
        "inspection_in_cae_forwards": round(inspection / forward, 2),
        "teaching_20_seconds": round(_seconds(lambda: fit_memory(extractor, photos, ""), 2), 1),
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
