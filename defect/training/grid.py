"""The whole grid: every model on every category of a data folder, one after the other.

What is finished lies in the weights' index, what is half done in `runs/`: a run that was killed
goes on when it is started again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from defect.datasets import mvtec
from defect.datasets.samples import DataError, load_images
from defect.evaluation.protocol import evaluate, has_test
from defect.evaluation.scorecard import summary
from defect.networks.autoencoders import MEMORY
from defect.training import autoencoder_run as run
from defect.training import memory as memories
from defect.training.autoencoder import HELD_OUT_LEAST, Recipe, split
from defect.weights.files import read_metadata
from defect.weights.index import read_index, relative_path


@dataclass(frozen=True)
class Job:
    """One model and category, and what is to be done for it."""

    model: str
    category: str
    photos: int
    """Training photos."""
    fitted: int
    """Those that go through the network in an epoch; the others are held out."""
    action: Literal["train", "measure", "nothing", "too few"]
    """`measure`: trained, but the file has no figures although there are test photos."""


def plan(
    data: Path,
    weights: Path,
    models: Sequence[str],
    categories: Sequence[str] = (),
    *,
    again: bool = False,
) -> list[Job]:
    """Every category with training photos, or the named ones, times every model.

    Args:
        again: also train what the weights' index lists already.

    Raises:
        DataError: a named category has no training photos, or there are none at all.
        WeightsError: the index is damaged.
    """
    listed = {entry.file for entry in read_index(weights)}
    jobs = []
    chosen = categories or mvtec.list_categories(data)
    if not chosen:
        raise DataError(
            "There is no category in the data folder: expected <category>/train/good/ with png, "
            "jpg or bmp files."
        )
    for category in chosen:
        photos = len(mvtec.train_samples(data, category))
        enough = photos >= 2 * HELD_OUT_LEAST
        fitted = len(split(np.arange(photos), 0)[0]) if enough else 0
        for model in models:
            file = relative_path(model, category)
            action: Literal["train", "measure", "nothing", "too few"] = "train"
            if file in listed and not again:
                unmeasured = not _test_of(weights / file) and has_test(data, category)
                action = "measure" if unmeasured else "nothing"
            elif not enough and model != MEMORY:
                action = "too few"
            jobs.append(Job(model, category, photos, fitted, action))
    return jobs


def describe(jobs: Sequence[Job], epochs: int) -> str:
    """The plan as lines, one a category, and the sum of what is to train."""
    lines = []
    for category in dict.fromkeys(job.category for job in jobs):
        own = [job for job in jobs if job.category == category]
        described = []
        for action, words in (
            ("train", f"to train ({own[0].fitted} photos × {epochs} epochs)"),
            ("measure", "trained, to measure"),
            ("nothing", "done"),
            ("too few", f"skipped: {own[0].photos} photos, {2 * HELD_OUT_LEAST} are needed"),
        ):
            chosen = [job.model for job in own if job.action == action]
            if action == "train" and MEMORY in chosen:
                chosen.remove(MEMORY)
                described.append(f"memory to teach ({own[0].photos} photos, once)")
            described += [f"{' '.join(chosen)} {words}"] if chosen else []
        lines.append(f"{category:18}{'; '.join(described)}")
    training = [job for job in jobs if job.action == "train"]
    views = sum(job.fitted for job in training if job.model != MEMORY) * epochs
    done = sum(job.action == "nothing" for job in jobs)
    lines.append(f"{len(training)} to train, {done} done: at most {views:,} photo views")
    return "\n".join(lines)


def run_grid(jobs: Sequence[Job], data: Path, weights: Path, recipe: Recipe) -> bool:
    """Does the jobs in order, each measured right after its training; prints as it goes.

    A category that cannot be trained is told and left out.

    Returns:
        whether every job could be done.

    Raises:
        WeightsError: a weights file or the index is damaged.
    """
    complete = True
    images, images_of = None, ""
    pace = _Pace(recipe.epochs)
    for number, job in enumerate(jobs):
        if job.action == "nothing":
            continue
        name = f"{job.model.upper()} {job.category}"
        if job.action == "too few":
            print(f"{name}: skipped, {job.photos} training photos are too few.")
            complete = False
            continue
        try:
            if job.action == "train":
                if job.model != MEMORY:
                    print(f"{name}: {pace.time_left(jobs[number:])}", flush=True)
                if images_of != job.category:
                    images = load_images(mvtec.train_samples(data, job.category))
                    images_of = job.category
                if job.model == MEMORY:
                    memories.teach_and_save(job.category, data, weights, recipe.seed, images)
                else:
                    entry = run.train_and_save(
                        job.model,  # type: ignore[arg-type]  # an autoencoder here
                        job.category,
                        data,
                        weights,
                        recipe,
                        images=images,
                    )
                    pace.note(job.model, weights / entry.file)
            if has_test(data, job.category):
                print(summary(evaluate(job.model, job.category, data, weights)), flush=True)
            else:
                print(f"{name}: no test photos of both kinds, so no figures.")
        except ValueError as error:  # too few photos, or one that cannot be read
            print(f"{name}: skipped. {error}")
            complete = False
    return complete


class _Pace:
    """Photos a second by model, as measured in this run."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.seen: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def note(self, model: str, file: Path) -> None:
        training = read_metadata(file).training
        views = training.images_fit * training.epochs_run
        self.seen[model] = self.seen.get(model, 0) + views
        self.seconds[model] = self.seconds.get(model, 0) + training.seconds

    def rate(self, model: str) -> float | None:
        """Of the model, else of all together; None before anything was measured."""
        chosen: Iterable[str] = [model] if model in self.seen else list(self.seen)
        seconds = sum(self.seconds[name] for name in chosen)
        return sum(self.seen[name] for name in chosen) / seconds if seconds else None

    def time_left(self, jobs: Sequence[Job]) -> str:
        training = [job for job in jobs if job.action == "train" and job.model != MEMORY]
        which = f"{len(training)} left to train"
        seconds = 0.0
        for job in training:
            rate = self.rate(job.model)
            if rate is None:
                return f"{which}; the time is known after the first"
            seconds += job.fitted * self.epochs / rate
        own = self.rate(training[0].model)
        return f"{which}, at most {duration(seconds)} at {own:.0f} img/s"


def duration(seconds: float) -> str:
    """Such as `3 h 05 min`, `12 min` or `40 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _test_of(file: Path) -> bool:
    return bool(read_metadata(file).test)
