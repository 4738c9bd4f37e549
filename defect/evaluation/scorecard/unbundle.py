"""Takes a file out of the bundle and keeps its figures: for weights too large to be shipped."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from defect.evaluation.scorecard.headers import UNBUNDLED_NAME, read_results
from defect.weights.errors import NotAvailable
from defect.weights.files import Metadata, read_metadata
from defect.weights.index import SCHEMA_VERSION, read_index, relative_path, write_index

UNBUNDLED_FOLDER = Path("runs/unbundled")
"""Where the files themselves go, with an index of their own, until they are published."""


def unbundle(folder: Path, model: str, category: str, keep: Path = UNBUNDLED_FOLDER) -> None:
    """Moves a weights file's header to `unbundled.json`, and the file and its index entry away.

    Args:
        keep: the weights folder the file is moved to.

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
    (keep / relative).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / relative, keep / relative)
    moved = [entry for entry in entries if entry.file == relative]
    write_index(keep, [*(e for e in read_index(keep) if e.file != relative), *moved])
    write_index(folder, [entry for entry in entries if entry.file != relative])
    (folder / relative).unlink()
