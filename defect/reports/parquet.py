"""Parts of a long report as Parquet files: rows and pictures, one file written by one worker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from defect.detectors.stream import CHUNK
from defect.reports.rows import Row
from defect.reports.writer import Entry

if TYPE_CHECKING:
    import pyarrow as pa


def part_path(folder: Path, number: int) -> Path:
    """Where a part's file lies."""
    return folder / f"part-{number:06d}.parquet"


def is_whole(path: Path, photos: int) -> bool:
    """Whether the file is there, readable to its end, and has so many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows) == photos
    except (OSError, pa.ArrowInvalid):
        return False


_COLUMNS = tuple(field.name for field in fields(Row) if field.name != "overlay")
_WHOLE, _FRACTION = ("regions",), ("score", "threshold", "thesis_score", "area_percent")


def _schema() -> pa.Schema:
    import pyarrow as pa

    kinds = {
        **dict.fromkeys(_COLUMNS, pa.string()),
        **dict.fromkeys((*_FRACTION, "largest_percent"), pa.float64()),
        **dict.fromkeys(_WHOLE, pa.int64()),
        **{"overlay_jpeg": pa.binary(), "mask_png": pa.binary(), "regions_json": pa.string()},
    }
    return pa.schema(list(kinds.items()))


def _table(entries: list[Entry]) -> pa.Table:
    import pyarrow as pa

    lines = [
        {
            **asdict(entry.row),
            "overlay_jpeg": entry.overlay,
            "mask_png": entry.mask,
            "regions_json": entry.regions,
        }
        for entry in entries
    ]
    return pa.Table.from_pylist(lines, schema=_schema())


def read_entries(path: Path) -> Iterator[Entry]:
    """A part's entries in order, a few in memory at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=CHUNK):
            for line in batch.to_pylist():
                row = Row(**{name: line[name] for name in _COLUMNS})
                pictures = line["overlay_jpeg"], line["mask_png"]
                yield Entry(row, row.file, *pictures, line["regions_json"])


def write_entries(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a part, a few entries in memory at a time; it has its name only once it is whole."""
    import pyarrow.parquet as pq

    unfinished = path.with_suffix(".unfinished")
    coming = iter(entries)
    with pq.ParquetWriter(unfinished, _schema()) as file:
        while chunk := list(islice(coming, CHUNK)):
            file.write_table(_table(chunk))
    os.replace(unfinished, path)
