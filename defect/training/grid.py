"""The whole grid: every model on every category of a data folder, one after the other.

Finished files are listed in the weights' index and unfinished trainings have a checkpoint in
`runs/`, so an interrupted run continues when it is started again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np

from defect.datasets import mvtec
from defect.datasets.samples import DataError, load_images
from defect.inspection import Message
from defect.networks.autoencoders import AUTOENCODERS, AutoencoderName
from defect.training import autoencoder, memory
from defect.training.loop import HELD_OUT_LEAST, Recipe, split
from defect.weights.files import read_metadata
from defect.weights.index import IndexEntry, read_index, relative_path

Action = Literal["train", "evaluate", "done", "too few photos"]
"""`evaluate`: trained, but the file has no figures although there are test photos."""


@dataclass(frozen=True)
class Trainer:
    """How a model is trained on a category."""

    train: Callable[[str, str, Path, Path, Recipe, np.ndarray], IndexEntry]
    """(model, category, data, weights, recipe, images) → the saved file."""
    least_photos: int
    has_epochs: bool = True
    """Whether it trains for a recipe's epochs; if not, every photo is used once."""


def _train_autoencoder(
    model: str, category: str, data: Path, weights: Path, recipe: Recipe, images: np.ndarray
) -> IndexEntry:
    name = cast(AutoencoderName, model)
    return autoencoder.train_and_save(name, category, data, weights, recipe, images)


def _teach_memory(
    model: str, category: str, data: Path, weights: Path, recipe: Recipe, images: np.ndarray
) -> IndexEntry:
    # Memories are taught at the detail the photos have, so they are read again.
    return memory.teach_and_save(category, data, weights, recipe.seed)


TRAINERS: dict[str, Trainer] = {
    **dict.fromkeys(AUTOENCODERS, Trainer(_train_autoencoder, 2 * HELD_OUT_LEAST)),
    memory.MODEL: Trainer(_teach_memory, 1, has_epochs=False),
}
"""Model → its trainer: a new model is one line here."""


@dataclass(frozen=True)
class Job:
    """One model and category, and what is to be done for it."""

    model: str
    category: str
    photos: int
    """Training photos."""
    fitted: int
    """Those the model is fitted on; the others are held out."""
    action: Action


def plan(
    data: Path,
    weights: Path,
    models: Sequence[str],
    categories: Sequence[str] = (),
    *,
    again: bool = False,
) -> list[Job]:
    """Every model on every category with training photos, or on the named ones.

    Args:
        models: keys of `TRAINERS`.
        again: also train what the weights' index lists already.

    Raises:
        DataError: a named category has no training photos, or there are none at all.
        WeightsError: the index is damaged.
    """
    listed = {entry.file for entry in read_index(weights)}
    chosen = categories or mvtec.list_categories(data)
    if not chosen:
        raise DataError(
            Message(
                "no_category",
                "There is no category in the data folder: expected <category>/train/good/ with "
                "png, jpg or bmp files.",
            )
        )
    jobs = []
    for category in chosen:
        photos = len(mvtec.train_samples(data, category))
        for model in models:
            trainer, file = TRAINERS[model], relative_path(model, category)
            action: Action = "train" if photos >= trainer.least_photos else "too few photos"
            if file in listed and not again:
                unmeasured = not read_metadata(weights / file).test and _has_test(data, category)
                action = "evaluate" if unmeasured else "done"
            fitted = photos
            if trainer.has_epochs and action != "too few photos":
                fitted = len(split(np.arange(photos), 0)[0])
            jobs.append(Job(model, category, photos, fitted, action))
    return jobs


def format_plan(jobs: Sequence[Job], epochs: int) -> str:
    """The plan as text: a line per category, and the sum of what is to be trained."""
    lines = []
    for category in dict.fromkeys(job.category for job in jobs):
        phrases: dict[str, list[str]] = {}
        for action in get_args(Action):
            for job in jobs:
                if (job.category, job.action) == (category, action):
                    phrases.setdefault(_phrase(job, epochs), []).append(job.model)
        described = [f"{' '.join(models)} {phrase}" for phrase, models in phrases.items()]
        lines.append(f"{category:18}{'; '.join(described)}")
    training = [job for job in jobs if job.action == "train"]
    views = sum(job.fitted for job in training if TRAINERS[job.model].has_epochs) * epochs
    done = sum(job.action == "done" for job in jobs)
    lines.append(f"{len(training)} to train, {done} done: at most {views:,} photo views")
    return "\n".join(lines)


def _phrase(job: Job, epochs: int) -> str:
    trainer = TRAINERS[job.model]
    if job.action == "train" and trainer.has_epochs:
        return f"to train ({job.fitted} photos × {epochs} epochs)"
    if job.action == "train":
        return f"to train ({job.photos} photos, one pass)"
    if job.action == "evaluate":
        return "trained, to evaluate"
    if job.action == "done":
        return "done"
    return f"skipped: {job.photos} photos, at least {trainer.least_photos} needed"


def run_grid(
    jobs: Sequence[Job],
    data: Path,
    weights: Path,
    recipe: Recipe,
    evaluate: Callable[[str, str], str],
) -> bool:
    """Does the jobs in order, each evaluated right after its training; prints as it goes.

    A category that cannot be trained is reported and skipped.

    Args:
        evaluate: (model, category) → measures the saved weights on the test photos and returns the
            line to print; only called where there are test photos of both kinds.

    Returns:
        whether every job could be done.

    Raises:
        WeightsError: a weights file or the index is damaged.
    """
    complete = True
    images, images_category = np.empty(0), ""
    pace = Pace(recipe.epochs)
    for number, job in enumerate(jobs):
        if job.action == "done":
            continue
        name, trainer = f"{job.model.upper()} {job.category}", TRAINERS[job.model]
        if job.action == "too few photos":
            print(f"{name}: skipped, {job.photos} training photos are too few.")
            complete = False
            continue
        try:
            if job.action == "train":
                if trainer.has_epochs:
                    print(f"{name}: {pace.time_left(jobs[number:])}", flush=True)
                if images_category != job.category:
                    images = load_images(mvtec.train_samples(data, job.category))
                    images_category = job.category
                entry = trainer.train(job.model, job.category, data, weights, recipe, images)
                pace.record(job.model, weights / entry.file)
            if _has_test(data, job.category):
                print(evaluate(job.model, job.category), flush=True)
            else:
                print(f"{name}: no test photos of both kinds, so no figures.")
        except ValueError as error:  # too few photos, or an unreadable one
            print(f"{name}: skipped. {error}")
            complete = False
    return complete


class Pace:
    """Photos per second of each model, as measured in this run."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.views: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def record(self, model: str, file: Path) -> None:
        """Adds a finished training; one without epochs tells nothing about the others."""
        training = read_metadata(file).training
        if training.epochs_run:
            views = training.images_fit * training.epochs_run
            self.views[model] = self.views.get(model, 0) + views
            self.seconds[model] = self.seconds.get(model, 0) + training.seconds

    def rate(self, model: str) -> float | None:
        """Of the model, or else of all together; None before anything was measured."""
        chosen: Iterable[str] = [model] if model in self.views else list(self.views)
        seconds = sum(self.seconds[name] for name in chosen)
        return sum(self.views[name] for name in chosen) / seconds if seconds else None

    def time_left(self, jobs: Sequence[Job]) -> str:
        """How many trainings are left, and at most how long they take."""
        training = [job for job in jobs if job.action == "train" and TRAINERS[job.model].has_epochs]
        count = f"{len(training)} left to train"
        seconds = 0.0
        for job in training:
            rate = self.rate(job.model)
            if rate is None:
                return f"{count}; time unknown until the first is done"
            seconds += job.fitted * self.epochs / rate
        own = self.rate(training[0].model)
        return f"{count}, at most {format_duration(seconds)} at {own:.0f} img/s"


def format_duration(seconds: float) -> str:
    """Such as `3 h 05 min`, `12 min` or `40 s`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"


def _has_test(data: Path, category: str) -> bool:
    """Whether the category has test photos of both kinds, good and defective."""
    return len({sample.defective for sample in mvtec.test_samples(data, category)}) == 2
