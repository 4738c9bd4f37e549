"""A batch's report as files: overlays, masks, `report.csv` and `manifest.json`.

It is written entry by entry into a folder or a ZIP and holds no more than one entry, so a batch of
any size can be reported. An `Entry` is plain values: it can be made anywhere and added here.
"""

from __future__ import annotations

import io
import json
import platform
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from PIL import Image

from defect import __version__
from defect.detectors.stream import Unreadable
from defect.imaging.overlay import draw_overlay
from defect.inspection import Inspection, Message, WeightsSource
from defect.reports.rows import COLUMNS, csv_line, row_of, row_of_error

JPEG_QUALITY = 90
_LIBRARIES = ("torch", "numpy", "pillow", "safetensors", "scipy")


class Line(Protocol):
    """A row of any report: a frozen dataclass with at least these fields."""

    @property
    def verdict(self) -> str: ...
    @property
    def overlay(self) -> str: ...


@dataclass(frozen=True)
class Entry:
    """What a report says of one photo."""

    row: Any
    """A `report.Row` or another `Line`."""
    name: str
    """The photo's name; the pictures' names are made from it."""
    overlay: bytes | None = None
    """A JPEG file."""
    mask: bytes | None = None
    """A PNG file, 256×256, white where over the threshold."""


@dataclass(frozen=True)
class About:
    """What all photos of a report have in common."""

    model: str
    category: str
    threshold: float | None
    """In multiples of the normal limit; none for a classifier."""
    weights: WeightsSource
    columns: Sequence[str] = COLUMNS


def entry_of(result: Inspection | Unreadable, about: About) -> Entry:
    """The entry of one photo, its pictures drawn and encoded."""
    if isinstance(result, Unreadable):
        row = row_of_error(result.name, result.error, about.model, about.category)
        return Entry(row, result.name)
    inspection = result
    drawn = draw_overlay(inspection.photo, inspection.anomaly_map, inspection.threshold)
    return Entry(row_of(inspection), inspection.name, to_jpeg(drawn), mask_png(inspection.mask))


def to_jpeg(picture: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """H×W×3 uint8 → a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def mask_png(mask: np.ndarray) -> bytes:
    """H×W bool → a PNG file of one bit a pixel."""
    stream = io.BytesIO()
    Image.fromarray(mask).save(stream, "PNG")
    return stream.getvalue()


class ReportWriter:
    """Writes one report. Use it in a `with`: leaving it writes the manifest, also after an error,
    then with `"complete": false`."""

    def __init__(self, target: Path, about: About) -> None:
        """
        Args:
            target: a ZIP to write if its name ends in `.zip`, otherwise a folder.

        Raises:
            OSError: it cannot be written.
            ValueError: the folder already holds a report.
        """
        self._about = about
        self._files: _Folder | _Zip
        self._files = _Zip(target) if target.suffix.lower() == ".zip" else _Folder(target)
        self._counts: Counter[str] = Counter()
        self._files.add_line(csv_line(about.columns))

    def add(self, entry: Entry) -> Any:
        """Writes one entry; returns its row, which now names the overlay's file."""
        number = sum(self._counts.values()) + 1
        row = entry.row
        if entry.overlay is not None:
            stem = f"{number:04d}_{_safe_stem(entry.name)}"
            row = replace(row, overlay=f"overlays/{stem}.jpg")
            self._files.add_file(f"overlays/{stem}.jpg", entry.overlay)
            if entry.mask is not None:
                self._files.add_file(f"masks/{stem}.png", entry.mask)
        self._counts[row.verdict] += 1
        self._files.add_line(csv_line([getattr(row, name) for name in self._about.columns]))
        return row

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        manifest = {**self._manifest(), "complete": kind is None}
        self._files.close(json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n")

    def _manifest(self) -> dict[str, Any]:
        about = self._about
        return {
            "program": {"name": "defect", "version": __version__},
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "model": about.model,
            "category": about.category,
            "threshold": about.threshold,
            "weights": asdict(about.weights),
            "counts": {
                "photos": sum(self._counts.values()),
                **{verdict.replace(" ", "_"): n for verdict, n in self._counts.items()},
            },
            "columns": list(about.columns),
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _LIBRARIES},
            },
        }


class _Folder:
    """Files in a folder; the table grows as the photos come."""

    def __init__(self, folder: Path) -> None:
        if (folder / "manifest.json").exists() or (folder / "report.csv").exists():
            raise ValueError(
                Message(
                    "already_holds_report_give",
                    '"{folder}" already holds a report. Give another folder.',
                    folder=folder,
                )
            )
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._table = (folder / "report.csv").open("w", encoding="utf-8", newline="")

    def add_file(self, name: str, data: bytes) -> None:
        target = self._folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)

    def add_line(self, line: str) -> None:
        self._table.write(line)
        self._table.flush()

    def close(self, manifest: bytes) -> None:
        self._table.close()
        (self._folder / "manifest.json").write_bytes(manifest)


class _Zip:
    """Files in a ZIP. An archive takes one file at a time, so the table waits on the disk."""

    def __init__(self, target: Path) -> None:
        if target.exists():
            raise ValueError(
                Message(
                    "already_give_another_name",
                    '"{target}" is already there. Give another name.',
                    target=target,
                )
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        self._archive = zipfile.ZipFile(target, "w")
        self._table = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`

    def add_file(self, name: str, data: bytes) -> None:
        # JPEG and PNG do not get smaller.
        self._archive.writestr(name, data, zipfile.ZIP_STORED)

    def add_line(self, line: str) -> None:
        self._table.write(line.encode())

    def close(self, manifest: bytes) -> None:
        self._table.seek(0)
        info = zipfile.ZipInfo("report.csv", datetime.now().timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._archive.open(info, "w") as table:
            shutil.copyfileobj(self._table, table)
        self._table.close()
        self._archive.writestr("manifest.json", manifest, zipfile.ZIP_DEFLATED)
        self._archive.close()


def _safe_stem(name: str) -> str:
    """A file name's stem that every system takes and that leads nowhere."""
    stem = Path(name.replace("\\", "/")).stem
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in stem)
    return kept[:60] or "photo"
