"""Weights files: strict safetensors with a typed metadata header, one file a model and category.

A file holds the network (`network.*`), the calibration (`calibration.*`) and one JSON document in
its header. Floats are stored in half precision; the VAE's three dense layers, 97 % of its size, in
8 bits with one scale a row. `index.json` beside the files lists each with its sha256 and size, and
nothing is used before its checksum was compared.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from defect.inspection import WeightsSource
from defect.weights.quantisation import SCALE_SUFFIX, Packed, pack, unpack

SCHEMA_VERSION = 1
WEIGHTS_FOLDER = Path(__file__).resolve().parents[2] / "weights"
INDEX_NAME = "index.json"
MAX_FILE_BYTES = 200 * 1024**2
_HEADER_KEY = "defect"
_LFS_MAGIC = b"version https://git-lfs"


class WeightsError(RuntimeError):
    """A weights file that must not be used; the text says which and what to do."""


class NotAvailable(WeightsError):
    """There are no weights for that model and category here."""


@dataclass(frozen=True)
class Training:
    """How a network was trained, as run."""

    images_fit: int
    seed: int
    device: str
    precision: str
    seconds: float
    images_held_out: int | None = None
    epochs_planned: int | None = None
    """None, as the fields below, where a detector is taught in one pass."""
    epochs_run: int | None = None
    best_epoch: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    corruption: str = ""
    loss_curve: list[float] = field(default_factory=list)
    held_out_curve: list[float] = field(default_factory=list)
    start: str = ""
    """What the network was before, where it was not random."""


@dataclass(frozen=True)
class Metadata:
    """The JSON document in a weights file's header."""

    model: str
    category: str
    dataset: str
    licence: str
    training: Training
    calibration: dict[str, Any] = field(default_factory=dict)
    """Numbers of `scoring.Calibration` or of the classifier; the tensors lie in the file."""
    test: dict[str, Any] = field(default_factory=dict)
    """Metrics on the test split with their counts, as the evaluation room wrote them."""
    note: str = ""
    """What a reader of the numbers must know, such as an incomplete test set."""
    transfer: dict[str, Any] = field(default_factory=dict)
    """Metrics on data sets of other products, by their names, such as `kolektor_sdd`."""
    schema_version: int = SCHEMA_VERSION

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Metadata:
        """The header's JSON as `Metadata`.

        Raises:
            KeyError, TypeError: a field is missing or unknown.
        """
        # Written by older versions, read by nothing.
        fields = {key: value for key, value in document.items() if key != "image_side"}
        return cls(**{**fields, "training": Training(**fields["training"])})


@dataclass(frozen=True)
class Weights:
    """A file's verified content."""

    network: dict[str, Tensor]
    calibration: dict[str, Tensor]
    metadata: Metadata
    source: WeightsSource
    packed: dict[str, Packed] = field(default_factory=dict)
    """Those of the calibration that the file keeps in 8 bits, as it keeps them."""


@dataclass(frozen=True)
class IndexEntry:
    """One line of `index.json`."""

    file: str
    model: str
    category: str
    sha256: str
    size: int


def relative_path(model: str, category: str) -> str:
    """`<model>/<category>.safetensors`."""
    return f"{model}/{category}.safetensors"


def save(
    folder: Path,
    network: Mapping[str, Tensor],
    calibration: Mapping[str, Tensor],
    metadata: Metadata,
) -> IndexEntry:
    """Writes `<folder>/<model>/<category>.safetensors` in one step and lists it in the index."""
    data = to_bytes(network, calibration, metadata)
    relative = relative_path(metadata.model, metadata.category)
    _replace_file(folder / relative, data)
    entry = IndexEntry(
        relative, metadata.model, metadata.category, hashlib.sha256(data).hexdigest(), len(data)
    )
    entries = [e for e in read_index(folder) if e.file != relative] + [entry]
    write_index(folder, entries)
    return entry


def to_bytes(
    network: Mapping[str, Tensor], calibration: Mapping[str, Tensor], metadata: Metadata
) -> bytes:
    """A weights file's content."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in network.items():
        tensors.update(pack(f"network.{name}", tensor))
    for name, tensor in calibration.items():
        tensors.update(pack(f"calibration.{name}", tensor))
    header = {_HEADER_KEY: json.dumps(dataclasses.asdict(metadata), sort_keys=True)}
    data: bytes = safetensors.torch.save(tensors, header)
    return data


def read_index(folder: Path = WEIGHTS_FOLDER) -> list[IndexEntry]:
    """The files listed in the folder's `index.json`, sorted; none if there is no index.

    Raises:
        WeightsError: the index is damaged or of another schema version.
    """
    path = folder / INDEX_NAME
    if not path.is_file():
        return []
    try:
        document = json.loads(path.read_text("utf-8"))
        _check_version(document["schema_version"], f"weights/{INDEX_NAME}")
        entries = [IndexEntry(**entry) for entry in document["files"]]
        for entry in entries:
            texts = (entry.file, entry.model, entry.category, entry.sha256)
            if not (all(isinstance(t, str) for t in texts) and isinstance(entry.size, int)):
                raise TypeError("an entry of another type")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"weights/{INDEX_NAME} is damaged. Restore it from the repository."
        ) from error
    return sorted(entries, key=lambda e: e.file)


def write_index(
    folder: Path, entries: list[IndexEntry], hub: Mapping[str, Any] | None = None
) -> None:
    """Writes `index.json`; without `hub` it keeps what it says about the Hub."""
    path = folder / INDEX_NAME
    if hub is None and path.is_file():
        hub = json.loads(path.read_text("utf-8")).get("hub")
    document = {
        "schema_version": SCHEMA_VERSION,
        "hub": hub or {"repo": None, "revision": None},
        "files": [dataclasses.asdict(e) for e in sorted(entries, key=lambda e: e.file)],
    }
    _replace_file(path, (json.dumps(document, indent=1) + "\n").encode())


def read(folder: Path, model: str, category: str) -> Weights:
    """Reads and verifies the bundled weights of one model and category.

    Raises:
        NotAvailable: the index does not list them.
        WeightsError: absent, an LFS pointer, a wrong checksum, damaged, or another schema.
    """
    index = read_index(folder)
    relative = relative_path(model, category)
    entry = next((e for e in index if e.file == relative), None)
    if entry is None:
        have = ", ".join(e.category for e in index if e.model == model) or "none"
        raise NotAvailable(
            f'No {model.upper()} weights for "{category}" are available here '
            f"(available for {model.upper()}: {have}). Train them with "
            f"`python -m defect train {model} {category} --data DIR`."
        )
    data = _read_bounded(folder / relative, entry)
    found = hashlib.sha256(data).hexdigest()
    if found != entry.sha256:
        raise WeightsError(
            f"weights/{relative} does not have the checksum listed in {INDEX_NAME} "
            f"(expected {entry.sha256[:12]}…, found {found[:12]}…). Fetch the file again."
        )
    return parse(data, WeightsSource("bundled", relative, found, len(data)))


def parse(data: bytes, source: WeightsSource) -> Weights:
    """Takes a weights file's bytes apart.

    Raises:
        WeightsError: not a safetensors file, or not one of this project's schema.
    """
    try:
        metadata = _metadata_from_header(data, source.file)
        tensors = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise WeightsError(
            f"weights/{source.file} is not a valid safetensors file. Fetch it again."
        ) from error
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "calibration": {}}
    small: dict[str, Packed] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        packed = name.removesuffix(SCALE_SUFFIX)
        if group not in groups or packed not in tensors:
            raise WeightsError(f'weights/{source.file} holds an unknown tensor "{name}".')
        if name == packed:
            scale = tensors.get(name + SCALE_SUFFIX)
            try:
                groups[group][rest] = unpack(tensor, scale)
            except ValueError as error:
                raise WeightsError(
                    f'weights/{source.file} holds a damaged tensor "{name}": {error}. '
                    f"Fetch it again."
                ) from error
            if scale is not None and group == "calibration":
                small[rest] = Packed(tensor, scale)
    return Weights(groups["network"], groups["calibration"], metadata, source, small)


def read_metadata(path: Path) -> Metadata:
    """Reads only the header of a weights file (no tensor, no checksum).

    Raises:
        WeightsError: not a weights file of this project.
    """
    if not path.is_file():
        raise WeightsError(
            f"weights/{path.parent.name}/{path.name} is listed in {INDEX_NAME} but absent. "
            f"Fetch the file again."
        )
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or start == _LFS_MAGIC[:8] or length > 16 * 1024**2:
            raise WeightsError(f"weights/{path.parent.name}/{path.name} is not a weights file.")
        return _metadata_from_header(start + file.read(length), f"{path.parent.name}/{path.name}")


def load_into(network: nn.Module, weights: Weights) -> None:
    """Strictly loads the tensors: any missing, extra or mis-shaped one is an error.

    Raises:
        WeightsError: naming the file and the first tensors that do not fit.
    """
    expected = network.state_dict()
    problems = [f"missing {name}" for name in expected.keys() - weights.network.keys()]
    problems += [f"unexpected {name}" for name in weights.network.keys() - expected.keys()]
    problems += [
        f"{name} has shape {tuple(weights.network[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in weights.network and weights.network[name].shape != tensor.shape
    ]
    if problems:
        raise WeightsError(
            f"weights/{weights.source.file} does not fit the {weights.metadata.model.upper()} "
            f"network: {'; '.join(sorted(problems)[:3])}. Train or fetch it again."
        )
    network.load_state_dict(weights.network, strict=True)


def _metadata_from_header(data: bytes, file: str) -> Metadata:
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        document = json.loads(header["__metadata__"][_HEADER_KEY])
        _check_version(document["schema_version"], f"weights/{file}")
        return Metadata.from_document(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            f"weights/{file} has no readable metadata of this project. Fetch it again."
        ) from error


def _check_version(version: object, name: str) -> None:
    if version != SCHEMA_VERSION:
        raise WeightsError(
            f"{name} has schema version {version}; this program reads version {SCHEMA_VERSION}. "
            f"Update the program or the weights."
        )


def _read_bounded(path: Path, entry: IndexEntry) -> bytes:
    name = f"weights/{entry.file}"
    if not path.is_file():
        raise WeightsError(f"{name} is listed in {INDEX_NAME} but absent. Fetch the file again.")
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(f"{name} is {size} bytes, more than a weights file can have.")
    data = path.read_bytes()
    if data.startswith(_LFS_MAGIC):
        raise WeightsError(
            f"{name} is a Git LFS pointer, not the weights. Run `git lfs pull` and start again."
        )
    return data


def _replace_file(path: Path, data: bytes) -> None:
    """Writes beside the target and renames, so that a reader never sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
