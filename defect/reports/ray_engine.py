"""A folder or an object store's prefix through one detector, by several workers of Ray Data.

The photos are cut into parts. A worker holds the detector, takes a part at a time through the same
`inspect_stream` as a single process, and writes the part as one Parquet file; a part that has its
file is not inspected again. The report is then made from the files, photo by photo and in order,
so nothing grows with the number of photos but their list.

Ray is an optional extra and imported only here, when it is used.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from defect.detectors.registry import is_file_name, load
from defect.detectors.stream import CHUNK, inspect_stream
from defect.imaging.archives import PhotoFile
from defect.imaging.bit_depth import check_bit_depth
from defect.imaging.buckets import BucketPhoto
from defect.inspection import Message, check_threshold
from defect.reports.parquet import is_whole, part_path, read_entries, write_entries
from defect.reports.writer import About, Entry, ReportWriter, entry_of
from defect.weights.index import WEIGHTS_FOLDER

PART = 8 * CHUNK
"""Photos in one Parquet file; whole chunks, so the network's batches are a single process's."""
PARTS_FOLDER = "parts"
_JOB = "_job.json"
"""The underscore keeps it out of the table that readers of Parquet make of the folder."""
_OBJECT_STORE = 100 * 1024**2
"""Bytes of memory shared between workers: only the photos' names pass through it."""
_MOST_BLOCKS = 1000
_RESUME = "Parts already written are kept; run it again to go on."


class EngineError(ValueError):
    """Ray cannot be used, or stopped; the text says why and what to do."""


@dataclass(frozen=True)
class Job:
    """What every worker needs to know."""

    detector: str
    """A model, or the path of a detector's file."""
    category: str | None
    threshold: float
    weights: Path
    about: About
    bit_depth: int | None = None


@dataclass(frozen=True)
class RayProgress:
    """How far a run is, in photos."""

    done: int
    total: int
    resumed: int
    """Those of them that an earlier run had looked at."""


def require_ray() -> None:
    """Raises `EngineError` with what to install where Ray Data is not."""
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("pyarrow") is None:
        raise EngineError(
            Message(
                "ray_not_installed_install",
                "Ray is not installed. Install the version of requirements-dev.txt, or "
                "leave `--engine ray` out.",
            )
        )


def inspect_parts(
    photos: Sequence[PhotoFile | BucketPhoto],
    detector: str,
    category: str | None,
    out: Path,
    *,
    threshold: float = 1.0,
    bit_depth: int | None = None,
    workers: int = 1,
    weights: Path | None = None,
) -> Iterator[RayProgress | Counter[str]]:
    """Looks at every photo there is no part of yet, then writes the report.

    Gives a `RayProgress` after every part, and at the end the verdicts counted.

    Args:
        out: a folder; gets `parts/*.parquet` and the files of `report_files`.
        threshold: in multiples of the normal limit.
        bit_depth: of the camera (8 to 16); by default the detector's own, where it has one.
        workers: processes of Ray, each with the detector and one thread.

    Raises:
        EngineError: Ray is not installed or stopped.
        ValueError: the folder holds a whole report, or parts of another run.
        NotAvailable, WeightsError: as `load`.
    """
    require_ray()
    check_threshold(threshold)
    check_bit_depth(bit_depth)
    if workers < 1:
        raise ValueError(
            Message(
                "workers_cannot_look_photos",
                "{workers} workers cannot look at photos; give 1 or more.",
                workers=workers,
            )
        )
    folder = weights or WEIGHTS_FOLDER
    loaded = load(detector, category, folder=folder)
    depth = loaded.metadata.bit_depth if bit_depth is None else bit_depth
    metadata = loaded.metadata
    about = About(metadata.model, loaded.category, threshold, loaded.source, bit_depth=depth)
    _make_room(out, about, photos)
    where = str(Path(detector).expanduser().resolve()) if is_file_name(detector) else detector
    job = Job(where, category, threshold, folder.resolve(), about, depth)
    starts = range(0, len(photos), PART)
    parts = [
        (part_path((out / PARTS_FOLDER).resolve(), i), photos[s : s + PART])
        for i, s in enumerate(starts)
    ]
    left = [(path, part) for path, part in parts if not is_whole(path, len(part))]
    resumed = done = len(photos) - sum(len(part) for _, part in left)
    yield RayProgress(done, len(photos), resumed)
    if left:
        for size in _run(left, job, min(workers, len(left))):
            done += size
            yield RayProgress(done, len(photos), resumed)
    verdicts: Counter[str] = Counter()
    with ReportWriter(out, about) as report:
        for path, _ in parts:
            for entry in read_entries(path):
                verdicts[report.add(entry).verdict] += 1
    yield verdicts


class Worker:
    """One process of Ray: holds the detector and turns parts into files."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(1)
        self.job = job
        self.detector = load(job.detector, job.category, folder=job.weights)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Parts as JSON (columns `path`, `photos`) → how many photos each has (column `size`) and
        why it could not be written (column `error`, mostly empty)."""
        sizes, errors = [], []
        for path, text in zip(batch["path"], batch["photos"], strict=True):
            photos = [_unpacked(values) for values in json.loads(text)]
            sizes.append(len(photos))
            errors.append(self._write(Path(path), photos))
        return {"size": sizes, "error": errors}

    def _write(self, path: Path, photos: list[PhotoFile | BucketPhoto]) -> str:
        try:
            # Ray repeats a whole block after a worker died.
            if not is_whole(path, len(photos)):
                write_entries(path, self._entries(photos))
        except OSError as error:
            return error.strerror or str(error)
        return ""

    def _entries(self, photos: list[PhotoFile | BucketPhoto]) -> Iterator[Entry]:
        for result in inspect_stream(self.detector, photos, self.job.threshold, self.job.bit_depth):
            yield entry_of(result, self.job.about)


def _run(
    left: list[tuple[Path, Sequence[PhotoFile | BucketPhoto]]], job: Job, workers: int
) -> Iterator[int]:
    """Has the workers write these parts; gives each part's number of photos when it is written."""
    # Both are read when Ray is imported and started.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data
    import ray.exceptions

    logging.getLogger("ray.data").setLevel(logging.CRITICAL)

    items = [
        {"path": str(path), "photos": json.dumps([_packed(photo) for photo in part])}
        for path, part in left
    ]
    try:
        ray.init(
            address="local",
            num_cpus=workers,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=_OBJECT_STORE,
            logging_level=logging.ERROR,
            log_to_driver=False,
        )
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        data = ray.data.from_items(items, override_num_blocks=min(len(items), _MOST_BLOCKS))
        written = data.map_batches(
            Worker,
            fn_constructor_args=(job,),
            batch_size=1,
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
        )
        for row in written.iter_rows():
            if row["error"]:
                raise EngineError(
                    Message(
                        "part_cannot_written",
                        "A part cannot be written: {value}. {go_on}",
                        value=row["error"],
                        go_on=_RESUME,
                    )
                )
            yield int(row["size"])
    except ray.exceptions.RayError as error:
        raise EngineError(
            Message(
                "ray_s_workers_stopped",
                "Ray's workers stopped, as they do where memory runs out: try fewer. {go_on}",
                go_on=_RESUME,
            )
        ) from error
    finally:
        ray.shutdown()


def _make_room(out: Path, about: About, photos: Sequence[PhotoFile | BucketPhoto]) -> None:
    """Prepares the folder; raises ValueError where it is taken by something else."""
    if out.suffix.lower() == ".zip":
        raise ValueError(
            Message(
                "ray_report_folder_give",
                '"{name}": with Ray the report is a folder. Give one that is new.',
                name=out.name,
            )
        )
    manifest, job = out / "manifest.json", out / PARTS_FOLDER / _JOB
    known = {
        **{"model": about.model, "category": about.category, "threshold": about.threshold},
        **{"bit_depth": about.bit_depth},
        **{"weights": about.weights.sha256, "photos": _digest(photos), "part": PART},
    }
    if job.is_file():
        if job.read_text("utf-8") != json.dumps(known):
            raise ValueError(
                Message(
                    "holds_parts_another_run",
                    '"{out}" holds parts of another run: other photos, model, threshold or '
                    "weights. Give another folder.",
                    out=out,
                )
            )
    else:
        if manifest.exists() or (out / "report.csv").exists():
            raise ValueError(
                Message(
                    "already_holds_report_give",
                    '"{out}" already holds a report. Give another folder.',
                    out=out,
                )
            )
        job.parent.mkdir(parents=True, exist_ok=True)
        job.write_text(json.dumps(known), encoding="utf-8")
    if manifest.is_file() and json.loads(manifest.read_text("utf-8")).get("complete"):
        raise ValueError(
            Message(
                "already_holds_whole_report",
                '"{out}" already holds the whole report of these photos.',
                out=out,
            )
        )
    # What a kill left of a report: it is made again from the parts.
    manifest.unlink(missing_ok=True)
    (out / "report.csv").unlink(missing_ok=True)
    (out / "regions.json").unlink(missing_ok=True)


def _digest(photos: Sequence[PhotoFile | BucketPhoto]) -> str:
    """Tells one list of photos from another, also where one was exchanged under its name."""
    digest = hashlib.sha256()
    for photo in photos:
        if isinstance(photo, BucketPhoto):
            seen: tuple[Any, ...] = (photo.path, photo.version)
        else:
            try:
                stat = photo.path.stat()
                seen = (photo.entry, photo.page, stat.st_size, stat.st_mtime_ns)
            except OSError:
                seen = (photo.entry, photo.page, None, None)
        digest.update(json.dumps([photo.name, *seen]).encode() + b"\n")
    return digest.hexdigest()


def _packed(photo: PhotoFile | BucketPhoto) -> list[Any]:
    if isinstance(photo, BucketPhoto):
        return [photo.root, photo.path, photo.name, photo.version]
    return [None, str(photo.path.absolute()), photo.name, photo.entry, photo.page]


def _unpacked(values: list[Any]) -> PhotoFile | BucketPhoto:
    if values[0] is not None:
        return BucketPhoto(*values)
    return PhotoFile(Path(values[1]), *values[2:])
