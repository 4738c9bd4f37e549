"""Weights too large to be shipped: their headers stay in the bundle, the files go to the Hub."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

from defect.inspection import Message
from defect.weights.errors import NotAvailable
from defect.weights.files import Metadata, read_metadata
from defect.weights.index import (
    SCHEMA_VERSION,
    WEIGHTS_FOLDER,
    damaged,
    find_entry,
    replace_file,
    update_index,
)

UNBUNDLED_NAME = "unbundled.json"
UNBUNDLED_FOLDER = Path("runs/unbundled")
"""Where the files themselves go, with an index of their own, until they are published."""


def read(folder: Path = WEIGHTS_FOLDER) -> list[Metadata]:
    """The headers of the files that are not bundled.

    Raises:
        WeightsError: their list is damaged.
    """
    path = folder / UNBUNDLED_NAME
    if not path.is_file():
        return []
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["schema_version"] != SCHEMA_VERSION:
            raise ValueError("another schema version")
        return [Metadata.from_document(file) for file in document["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise damaged(UNBUNDLED_NAME) from error


def unbundle(folder: Path, model: str, category: str, keep: Path = UNBUNDLED_FOLDER) -> None:
    """Moves a weights file's header to `unbundled.json`, and the file and its index entry away.

    Args:
        keep: the weights folder the file is moved to.

    Raises:
        NotAvailable: the index does not list it.
        WeightsError: its header or the list of unbundled files is damaged.
    """
    entry = find_entry(folder, model, category)
    if entry is None:
        raise NotAvailable(
            Message(
                "not_in_bundle",
                "weights/{model}/{category}.safetensors is not in the bundle.",
                model=model,
                category=category,
            )
        )
    headers = {(header.model, header.category): header for header in read(folder)}
    headers[model, category] = read_metadata(folder / entry.file)
    documents = [dataclasses.asdict(headers[key]) for key in sorted(headers)]
    text = json.dumps({"schema_version": SCHEMA_VERSION, "files": documents}, sort_keys=True)
    replace_file(folder / UNBUNDLED_NAME, (text + "\n").encode())
    (keep / entry.file).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(folder / entry.file, keep / entry.file)
    update_index(keep, lambda entries: [e for e in entries if e.file != entry.file] + [entry])
    update_index(folder, lambda entries: [e for e in entries if e.file != entry.file])
    (folder / entry.file).unlink()
