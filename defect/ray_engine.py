"""A folder or an object store's prefix through one model, by several workers of Ray Data.

The photos are cut into parts. A worker holds the model, takes a part at a time through the same
`look_through` as a single process, and writes the part as one Parquet file; a part that has its
file is not looked at again. The report is then made from the files, photo by photo and in order,
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
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defect import load
from defect.batch import CHUNK, Unread, look_through
from defect.given import TAKEN, Given, photos_of
from defect.images import MAX_BYTES, ImageError, Prepared, prepare
from defect.inspector import Inspection, check_limit
from defect.report import Row, row_of_error
from defect.report_files import About, Entry, ReportWriter, entry_of
from defect.weights import WEIGHTS_FOLDER

if TYPE_CHECKING:
    import pyarrow as pa

PART = 8 * CHUNK
"""Photos in one Parquet file; whole chunks, so the network's batches are a single process's."""
PARTS_FOLDER = "parts"
_JOB = "_job.json"
"""The underscore keeps it out of the table that readers of Parquet make of the folder."""
_OBJECT_STORE = 100 * 1024**2
"""Bytes of memory shared between workers: only the photos' names pass through it."""
_MOST_BLOCKS = 1000


class EngineError(ValueError):
    """Ray cannot be used, or stopped; the text says why and what to do."""


@dataclass(frozen=True)
class Stored:
    """One photo of an object store, not yet fetched."""

    root: str
    """The address it was listed under, such as `s3://bucket/line-3`."""
    path: str
    """Its path, as the file system of the address calls it."""
    name: str

    def prepare(self) -> Prepared:
        """Fetches it and reads it through the one gate for pictures.

        Raises:
            ImageError: it cannot be used; the text says why.
        """
        try:
            with _open_root(self.root)[0].open_input_stream(self.path) as stream:
                # One byte more than is taken: the gate then says that it is too large.
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise ImageError(
                f'"{self.name}" could not be fetched from the object store. Is it still there, and '
                f"may you read it?"
            ) from error
        return prepare(data, self.name)


@dataclass(frozen=True)
class Job:
    """What every worker needs to know."""

    model: str
    category: str
    threshold: float
    weights: Path
    folder: Path
    """Where the parts go."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, in photos."""

    done: int
    total: int
    resumed: int
    """Those of them that an earlier run had looked at."""


def require_ray() -> None:
    """Raises `EngineError` with what to install where Ray Data is not."""
    if importlib.util.find_spec("ray") is None or importlib.util.find_spec("pyarrow") is None:
        raise EngineError(
            "Ray is not installed. Install the version of requirements-dev.txt, or leave "
            "`--engine ray` out."
        )


def find(places: Sequence[Path | str]) -> tuple[list[Given | Stored], int]:
    """The photos of files, folders and archives (paths) and of object stores (addresses).

    Returns:
        The photos, and how many files are no pictures by their name.

    Raises:
        EngineError: an address cannot be listed.
        ArchiveError: as `given.photos_of`.
    """
    found: list[Given | Stored] = []
    skipped = 0
    for place in places:
        if isinstance(place, Path):
            photos, others = photos_of([place])
            found += photos
            skipped += others
        else:
            listed = _listed(place)
            pictures = [s for s in listed if Path(s.name).suffix.lower() in TAKEN]
            found += pictures
            skipped += len(listed) - len(pictures)
    return found, skipped


def inspect_parts(
    photos: Sequence[Given | Stored],
    model: str,
    category: str,
    out: Path,
    *,
    threshold: float = 1.0,
    workers: int = 1,
    weights: Path | None = None,
) -> Iterator[Progress | Counter[str]]:
    """Looks at every photo there is no part of yet, then writes the report.

    Gives a `Progress` after every part, and at the end the verdicts counted.

    Args:
        out: a folder; gets `parts/*.parquet` and the files of `report_files`.
        threshold: in multiples of the normal limit.
        workers: processes of Ray, each with the model and one thread.

    Raises:
        EngineError: Ray is not installed or stopped.
        ValueError: the folder holds a whole report, or parts of another run.
        NotAvailable, WeightsError: as `load`.
    """
    require_ray()
    check_limit(threshold)
    if workers < 1:
        raise ValueError(f"{workers} workers cannot look at photos; give 1 or more.")
    folder = weights or WEIGHTS_FOLDER
    source = load(model, category, folder=folder).source  # type: ignore[call-overload]
    about = About(model, category, threshold, source)
    _make_room(out, about, photos)
    job = Job(model, category, threshold, folder.resolve(), (out / PARTS_FOLDER).resolve())
    starts = range(0, len(photos), PART)
    parts = [(_part_path(job.folder, i), photos[s : s + PART]) for i, s in enumerate(starts)]
    left = [(path, part) for path, part in parts if not _is_whole(path, len(part))]
    resumed = done = len(photos) - sum(len(part) for _, part in left)
    yield Progress(done, len(photos), resumed)
    if left:
        for size in _run(left, job, min(workers, len(left))):
            done += size
            yield Progress(done, len(photos), resumed)
    verdicts: Counter[str] = Counter()
    with ReportWriter(out, about) as report:
        for path, _ in parts:
            for entry in _entries(path):
                verdicts[report.add(entry).verdict] += 1
    yield verdicts


class Worker:
    """One process of Ray: holds the model and turns parts into files."""

    def __init__(self, job: Job) -> None:
        import torch

        torch.set_num_threads(1)
        self.job = job
        self.model = load(job.model, job.category, folder=job.weights)  # type: ignore[call-overload]

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Parts as JSON (columns `path`, `photos`) → how many photos each has (column `size`)."""
        sizes = []
        for path, text in zip(batch["path"], batch["photos"], strict=True):
            photos = [_unpacked(values) for values in json.loads(text)]
            # Ray repeats a whole block after a worker died.
            if not _is_whole(Path(path), len(photos)):
                self._write(Path(path), photos)
            sizes.append(len(photos))
        return {"size": sizes}

    def _write(self, path: Path, photos: list[Given | Stored]) -> None:
        import pyarrow.parquet as pq

        # A name of its own until it is whole: a kill leaves no half part that passes for one.
        unfinished = path.with_suffix(".unfinished")
        with pq.ParquetWriter(unfinished, _schema()) as file:
            entries: list[Entry] = []
            for given, result in look_through(self.model, photos):
                entries.append(self._entry(given.name, result))
                if len(entries) == CHUNK:
                    file.write_table(_table(entries))
                    entries = []
            if entries:
                file.write_table(_table(entries))
        os.replace(unfinished, path)

    def _entry(self, name: str, result: Inspection | Unread) -> Entry:
        if isinstance(result, Unread):
            return Entry(row_of_error(name, result.error, self.job.model, self.job.category), name)
        return entry_of(result.at(self.job.threshold))


def _run(
    left: list[tuple[Path, Sequence[Given | Stored]]], job: Job, workers: int
) -> Iterator[int]:
    """Has the workers write these parts; gives each part's number of photos when it is written."""
    # Both are read when Ray is imported and started.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    import ray
    import ray.data
    import ray.exceptions

    logging.getLogger("ray.data").setLevel(logging.ERROR)

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
            yield int(row["size"])
    except ray.exceptions.RayError as error:
        cause = getattr(error, "cause", None) or error
        why = (str(cause).strip().splitlines() or [type(cause).__name__])[-1]
        raise EngineError(
            f"A worker of Ray stopped: {why} Parts already written are kept; run it again to go on."
        ) from error
    finally:
        ray.shutdown()


def _make_room(out: Path, about: About, photos: Sequence[Given | Stored]) -> None:
    """Prepares the folder; raises ValueError where it is taken by something else."""
    if out.suffix.lower() == ".zip":
        raise ValueError(f'"{out.name}": with Ray the report is a folder. Give one that is new.')
    manifest, job = out / "manifest.json", out / PARTS_FOLDER / _JOB
    known = {
        **{"model": about.model, "category": about.category, "threshold": about.threshold},
        **{"weights": about.weights.sha256, "photos": _digest(photos), "part": PART},
    }
    if job.is_file():
        if json.loads(job.read_text("utf-8")) != known:
            raise ValueError(
                f'"{out}" holds parts of another run: other photos, model, threshold or weights. '
                f"Give another folder."
            )
    else:
        if manifest.exists() or (out / "report.csv").exists():
            raise ValueError(f'"{out}" already holds a report. Give another folder.')
        job.parent.mkdir(parents=True, exist_ok=True)
        job.write_text(json.dumps(known), encoding="utf-8")
    if manifest.is_file() and json.loads(manifest.read_text("utf-8")).get("complete"):
        raise ValueError(f'"{out}" already holds the whole report of these photos.')
    # What a kill left of a report: it is made again from the parts.
    manifest.unlink(missing_ok=True)
    (out / "report.csv").unlink(missing_ok=True)


def _digest(photos: Sequence[Given | Stored]) -> str:
    """Tells one list of photos from another, also where one was exchanged under its name."""
    digest = hashlib.sha256()
    for photo in photos:
        seen: tuple[Any, ...] = (photo.path,)
        if isinstance(photo, Given):
            try:
                stat = photo.path.stat()
                seen = (photo.entry, stat.st_size, stat.st_mtime_ns)
            except OSError:
                seen = (photo.entry, None, None)
        digest.update(json.dumps([photo.name, *seen]).encode() + b"\n")
    return digest.hexdigest()


def _part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06d}.parquet"


def _is_whole(path: Path, photos: int) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows) == photos
    except (OSError, pa.ArrowInvalid):
        return False


_COLUMNS = tuple(field.name for field in fields(Row) if field.name != "overlay")
_WHOLE, _FRACTION = ("regions",), ("score", "limit", "thesis_score", "area_percent")


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(_COLUMNS, pa.string()),
        **dict.fromkeys((*_FRACTION, "largest_percent"), pa.float64()),
        **dict.fromkeys(_WHOLE, pa.int64()),
        **{"overlay_jpeg": pa.binary(), "mask_png": pa.binary()},
    }
    return pa.schema(list(kinds.items()))


def _table(entries: list[Entry]) -> pa.Table:
    import pyarrow as pa

    lines = [
        {**asdict(entry.row), "overlay_jpeg": entry.overlay, "mask_png": entry.mask}
        for entry in entries
    ]
    return pa.Table.from_pylist(lines, schema=_schema())


def _entries(path: Path) -> Iterator[Entry]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=CHUNK):
            for line in batch.to_pylist():
                row = Row(**{name: line[name] for name in _COLUMNS})
                yield Entry(row, row.file, line["overlay_jpeg"], line["mask_png"])


def _packed(photo: Given | Stored) -> list[Any]:
    if isinstance(photo, Stored):
        return [photo.root, photo.path, photo.name]
    return [None, str(photo.path.absolute()), photo.name, photo.entry]


def _unpacked(values: list[Any]) -> Given | Stored:
    if values[0] is not None:
        return Stored(*values)
    return Given(Path(values[1]), values[2], values[3])


def _listed(address: str) -> list[Stored]:
    import pyarrow.fs as pafs

    try:
        system, base = _open_root(address)
        start = system.get_file_info(base)
        if start.type == pafs.FileType.File:
            return [Stored(address, base, start.base_name)]
        infos = system.get_file_info(pafs.FileSelector(base, recursive=True))
    except (OSError, ValueError) as error:
        raise EngineError(
            f'"{address}" cannot be listed. Is the address right, and may you read it?'
        ) from error
    files = sorted(info.path for info in infos if info.type == pafs.FileType.File)
    return [Stored(address, path, path.removeprefix(base).lstrip("/")) for path in files]


@lru_cache(maxsize=8)
def _open_root(address: str) -> tuple[Any, str]:
    """The file system behind an address, with credentials from where its store looks for them."""
    import pyarrow.fs as pafs

    system, base = pafs.FileSystem.from_uri(address)
    return system, base
