"""Takes a file out of the bundle and keeps its figures: for weights too large to be shipped."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from defect.results.headers import UNBUNDLED_NAME, read_results
from defect.weights import (
    SCHEMA_VERSION,
    Metadata,
    NotAvailable,
    read_index,
    read_metadata,
    relative_path,
    write_index,
)


def unbundle(folder: Path, model: str, category: str) -> None:
    """Moves a weights file's header to `unbundled.json`, and removes the file and its index entry.

    Raises:
        NotAvailable: the index does not list it.
        WeightsError: its header or the list of unbundled files is damaged.
    """
    entries, relative = read_index(folder), relative_path(model, category)
    if relative not in {entry.file for entry in entries}:
        raise NotAvailable(f"weights/{relative} is not in the bundle.")
    own = [field.name for field in dataclasses.fields(Metadata)]
    headers = {
        (result.model, result.category): Metadata(**{name: getattr(result, name) for name in own})
        for result in read_results(folder)
        if not result.bundled
    }
    headers[model, category] = read_metadata(folder / relative)
    documents = [dataclasses.asdict(headers[key]) for key in sorted(headers)]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "files": documents}, sort_keys=True)
    (folder / UNBUNDLED_NAME).write_text(text + "\n", encoding="utf-8")
    write_index(folder, [entry for entry in entries if entry.file != relative])
    (folder / relative).unlink()
