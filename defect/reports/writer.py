"""A batch's report as files: overlays, masks, `report.csv`, `regions.json` and `manifest.json`.

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
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image

from defect import __version__
from defect.detectors.stream import Unreadable
from defect.imaging.overlay import draw_overlay
from defect.inspection import Inspection, Message, WeightsSource
from defect.reports.rows import BYTE_ORDER_MARK, COLUMNS, csv_line, row_of, row_of_error

JPEG_QUALITY = 90
MASK_SIDE = 4096
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
    """A PNG file of the photo's own size (at most `MASK_SIDE`), white where over the threshold."""
    regions: str | None = None
    """JSON of the photo's size and regions in its own pixels; None where there can be none."""


@dataclass(frozen=True)
class About:
    """What all photos of a report have in common."""

    model: str
    category: str
    threshold: float | None
    """In multiples of the normal limit; none for a classifier."""
    weights: WeightsSource
    columns: Sequence[str] = COLUMNS
    bit_depth: int | None = None
    """That photos are read with, where their files do not say it."""


def entry_of(result: Inspection | Unreadable, about: About) -> Entry:
    """The entry of one photo, its pictures drawn and encoded."""
    if isinstance(result, Unreadable):
        row = row_of_error(result.name, result.error, about.model, about.category)
        return Entry(row, result.name)
    inspection = result
    drawn = draw_overlay(inspection.photo, inspection.anomaly_map, inspection.threshold)
    return Entry(
        row_of(inspection),
        inspection.name,
        to_jpeg(drawn),
        mask_png(photo_mask(inspection)),
        regions_json(inspection),
    )


def photo_mask(inspection: Inspection) -> np.ndarray:
    """The mask in the photo's own size, H×W bool, at most `MASK_SIDE` pixels a side."""
    mask = inspection.mask
    height, width = inspection.size
    if not (height and width):
        return mask
    scale = min(1.0, MASK_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


def regions_json(inspection: Inspection) -> str:
    """A photo's line of `regions.json`: name, size and regions, the largest first."""
    height, width = inspection.size
    found = zip(inspection.regions, inspection.pixel_regions, strict=True)
    regions = [
        {
            "box": list(pixels.box),
            "centre": list(pixels.centre),
            "area": pixels.area,
            "peak": round(region.peak, 4),
            "where": region.where,
        }
        for region, pixels in found
    ]
    line = {"file": inspection.name, "width": width, "height": height, "regions": regions}
    return json.dumps(line, ensure_ascii=False)


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
        self._with_regions = False
        self._files.add_text("report.csv", BYTE_ORDER_MARK + csv_line(about.columns))

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
        if entry.regions is not None:
            self._files.add_text("regions.json", (",\n" if self._with_regions else "[\n"))
            self._files.add_text("regions.json", entry.regions)
            self._with_regions = True
        values = [getattr(row, name) for name in self._about.columns]
        self._files.add_text("report.csv", csv_line(values))
        # Counted last, so that the manifest counts the table's lines whatever fails before.
        self._counts[row.verdict] += 1
        return row

    def __enter__(self) -> ReportWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._with_regions:
            self._files.add_text("regions.json", "\n]\n")
        manifest = {**self._manifest(), "complete": kind is None}
        self._files.close(_encoded(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"))

    def _manifest(self) -> dict[str, Any]:
        about = self._about
        return {
            "program": {"name": "defect", "version": __version__},
            "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "model": about.model,
            "category": about.category,
            "threshold": about.threshold,
            "bit_depth": about.bit_depth,
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
    """Files in a folder; the texts grow as the photos come."""

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
        self._texts: dict[str, BinaryIO] = {}

    def add_file(self, name: str, data: bytes) -> None:
        target = self._folder / name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(data)

    def add_text(self, name: str, text: str) -> None:
        if name not in self._texts:
            self._texts[name] = (self._folder / name).open("wb")
        self._texts[name].write(_encoded(text))
        self._texts[name].flush()

    def close(self, manifest: bytes) -> None:
        for file in self._texts.values():
            file.close()
        (self._folder / "manifest.json").write_bytes(manifest)


class _Zip:
    """Files in a ZIP. An archive takes one file at a time, so the texts wait on the disk."""

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
        self._texts: dict[str, BinaryIO] = {}

    def add_file(self, name: str, data: bytes) -> None:
        # JPEG and PNG do not get smaller.
        self._archive.writestr(name, data, zipfile.ZIP_STORED)

    def add_text(self, name: str, text: str) -> None:
        if name not in self._texts:
            self._texts[name] = tempfile.TemporaryFile()  # noqa: SIM115  # closed in `close`
        self._texts[name].write(_encoded(text))

    def close(self, manifest: bytes) -> None:
        for name, text in self._texts.items():
            text.seek(0)
            info = zipfile.ZipInfo(name, datetime.now().timetuple()[:6])
            info.compress_type = zipfile.ZIP_DEFLATED
            with self._archive.open(info, "w") as file:
                shutil.copyfileobj(text, file)
            text.close()
        self._archive.writestr("manifest.json", manifest, zipfile.ZIP_DEFLATED)
        self._archive.close()


def _encoded(text: str) -> bytes:
    # A name that is no Unicode must not end a batch.
    return text.encode("utf-8", "backslashreplace")


def _safe_stem(name: str) -> str:
    """A file name's stem that every system takes and that leads nowhere."""
    stem = Path(name.replace("\\", "/")).stem
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in stem)
    return kept[:60] or "photo"
