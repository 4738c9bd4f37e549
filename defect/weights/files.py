"""Weights files: strict safetensors with a typed metadata header, one file a model and category.

A file holds the network (`network.*`), the calibration (`calibration.*`) and one JSON document in
its header. Floats are stored in half precision; the VAE's three dense layers, 97 % of its size, in
8 bits with one scale a row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from defect.inspection import Message, WeightsSource
from defect.weights.errors import NotAvailable as NotAvailable
from defect.weights.errors import WeightsError as WeightsError
from defect.weights.index import (
    INDEX_NAME,
    SCHEMA_VERSION,
    IndexEntry,
    check_version,
    find_entry,
    read_index,
    relative_path,
    replace_file,
    update_index,
)
from defect.weights.index import WEIGHTS_FOLDER as WEIGHTS_FOLDER
from defect.weights.quantisation import SCALE_SUFFIX, STORED_DTYPES, Packed, pack, unpack

MAX_FILE_BYTES = 200 * 1024**2
_HEADER_KEY = "defect"
_CHECKSUM_KEY = "checksum"
_LFS_MAGIC = b"version https://git-lfs"


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

    @property
    def bit_depth(self) -> int | None:
        """Of the camera whose photos the detector expects, where their files do not say it.

        Raises:
            ValueError: the header holds something else.
        """
        depth = self.calibration.get("bit_depth")
        if depth is not None and (type(depth) is not int or not 8 <= depth <= 16):
            raise ValueError("its bit_depth is no number of bits")
        return depth

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
    path: Path | None = None
    """The file itself where somebody brought it; none where it lies in a weights folder."""


def save(
    folder: Path,
    network: Mapping[str, Tensor],
    calibration: Mapping[str, Tensor],
    metadata: Metadata,
) -> IndexEntry:
    """Writes `<folder>/<model>/<category>.safetensors` and lists it in the index.

    Killed at any point, the folder holds the old file or the new one, and an index that lists it.
    """
    data = to_bytes(network, calibration, metadata)
    file = relative_path(metadata.model, metadata.category)
    sha256 = hashlib.sha256(data).hexdigest()
    entry = IndexEntry(file, metadata.model, metadata.category, sha256, len(data))

    def listed(entries: list[IndexEntry], new: IndexEntry) -> list[IndexEntry]:
        return [e for e in entries if e.file != file] + [new]

    old = find_entry(folder, metadata.model, metadata.category)
    if old is not None and (folder / file).is_file():
        pending = replace(entry, previous=old.sha256)
        update_index(folder, lambda entries: listed(entries, pending))
    replace_file(folder / file, data)
    update_index(folder, lambda entries: listed(entries, entry))
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
    return _with_checksum(safetensors.torch.save(tensors, header))


def read(folder: Path, model: str, category: str) -> Weights:
    """Reads and verifies the bundled weights of one model and category.

    Raises:
        NotAvailable: the index does not list them.
        WeightsError: absent, an LFS pointer, a wrong checksum, damaged, or another schema.
    """
    data, entry = read_bytes(folder, model, category)
    source = WeightsSource("bundled", entry.file, hashlib.sha256(data).hexdigest(), len(data))
    return parse(data, source)


def read_bytes(folder: Path, model: str, category: str) -> tuple[bytes, IndexEntry]:
    """A bundled weights file's verified content, and its line in the index.

    Raises:
        NotAvailable: the index does not list it.
        WeightsError: absent, an LFS pointer, or a wrong checksum.
    """
    entry = find_entry(folder, model, category)
    if entry is None:
        raise NotAvailable(
            Message(
                "no_weights",
                'No {model} weights for "{category}" are available here (available for {model}: '
                "{available}). Train them with `python -m defect train {name} {category} --data "
                "DIR`.",
                model=model.upper(),
                name=model,
                category=category[:60],
                available=", ".join(e.category for e in read_index(folder) if e.model == model)
                or "none",
            )
        )
    data = _read_bounded(folder / entry.file, entry)
    found = hashlib.sha256(data).hexdigest()
    if found not in (entry.sha256, entry.previous):
        raise WeightsError(
            Message(
                "wrong_checksum",
                "weights/{file} does not have the checksum listed in {index} (expected "
                "{expected}, found {found}). Fetch the file again.",
                file=entry.file,
                index=INDEX_NAME,
                expected=f"{entry.sha256[:12]}…",
                found=f"{found[:12]}…",
            )
        )
    return data, entry


def parse(data: bytes, source: WeightsSource) -> Weights:
    """Takes a weights file's bytes apart.

    Raises:
        WeightsError: not a safetensors file, or not one of this project's schema.
    """
    _check_dtypes(data, source.file)
    try:
        metadata = _metadata_from_header(data, source.file)
        tensors = safetensors.torch.load(data)
        _check_checksum(data, source.file)
    except safetensors.SafetensorError as error:
        text = "weights/{file} is not a valid safetensors file. Fetch it again."
        raise WeightsError(Message("not_safetensors", text, file=source.file)) from error
    groups: dict[str, dict[str, Tensor]] = {"network": {}, "calibration": {}}
    small: dict[str, Packed] = {}
    for name, tensor in tensors.items():
        group, _, rest = name.partition(".")
        packed = name.removesuffix(SCALE_SUFFIX)
        if group not in groups or packed not in tensors:
            raise WeightsError(
                Message(
                    "unknown_tensor",
                    'weights/{file} holds an unknown tensor "{tensor}". Fetch it again.',
                    file=source.file,
                    tensor=name[:60],
                )
            )
        if name == packed:
            scale = tensors.get(name + SCALE_SUFFIX)
            try:
                groups[group][rest] = unpack(tensor, scale)
            except ValueError as error:
                raise WeightsError(
                    Message(
                        "damaged_tensor",
                        'weights/{file} holds a damaged tensor "{tensor}": {reason}. Fetch it '
                        "again.",
                        file=source.file,
                        tensor=name[:60],
                        reason=str(error),
                    )
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
        raise _absent(f"{path.parent.name}/{path.name}")
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or start == _LFS_MAGIC[:8] or length > 16 * 1024**2:
            raise WeightsError(
                Message(
                    "not_weights",
                    "weights/{file} is not a weights file. Fetch it again.",
                    file=f"{path.parent.name}/{path.name}",
                )
            )
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
            Message(
                "does_not_fit",
                "weights/{file} does not fit the {model} network: {problems}. Train or fetch it "
                "again.",
                file=weights.source.file,
                model=weights.metadata.model.upper(),
                problems="; ".join(sorted(problems)[:3]),
            )
        )
    network.load_state_dict(weights.network, strict=True)


def _metadata_from_header(data: bytes, file: str) -> Metadata:
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        document = json.loads(header["__metadata__"][_HEADER_KEY])
        check_version(document["schema_version"], f"weights/{file}")
        return Metadata.from_document(document)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, WeightsError):
            raise
        text = "weights/{file} has no readable metadata of this project. Fetch it again."
        raise WeightsError(Message("no_metadata", text, file=file)) from error


def _with_checksum(data: bytes) -> bytes:
    """A safetensors file with a checksum of its content in its header.

    The header is written here, as safetensors puts several metadata fields into a random order.
    """
    header, payload = _split(data)
    header["__metadata__"][_CHECKSUM_KEY] = _checksum(header, payload)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + payload


def _check_checksum(data: bytes, file: str) -> None:
    """Checks a file's own checksum; older files have none.

    Raises:
        WeightsError: something in the file changed after it was written.
    """
    header, payload = _split(data)
    expected = header["__metadata__"].get(_CHECKSUM_KEY)
    if expected is not None and expected != _checksum(header, payload):
        text = "weights/{file} is damaged: its content does not have its checksum. Fetch it again."
        raise WeightsError(Message("content_changed", text, file=file))


def _checksum(header: Mapping[str, Any], payload: bytes) -> str:
    """SHA-256 of the metadata document and of every tensor with its name, type and shape."""
    digest = hashlib.sha256(header["__metadata__"][_HEADER_KEY].encode())
    view = memoryview(payload)
    for name in sorted(header.keys() - {"__metadata__"}):
        tensor = header[name]
        digest.update(json.dumps([name, tensor["dtype"], tensor["shape"]]).encode())
        digest.update(view[slice(*tensor["data_offsets"])])
    return digest.hexdigest()


def _split(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A safetensors file's header and the bytes of its tensors."""
    end = 8 + int.from_bytes(data[:8], "little")
    return json.loads(data[8:end]), data[end:]


def _check_dtypes(data: bytes, file: str) -> None:
    """Refuses types that this project does not store before a tensor of them is made."""
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        kinds = {name: str(header[name]["dtype"]) for name in header if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # told by those who read more of it
    for name, kind in kinds.items():
        if kind not in STORED_DTYPES:
            raise WeightsError(
                Message(
                    "wrong_dtype",
                    'weights/{file} stores the tensor "{tensor}" as {kind}, which is not read. '
                    "Fetch it again.",
                    file=file,
                    tensor=name[:60],
                    kind=kind[:20],
                )
            )


def _read_bounded(path: Path, entry: IndexEntry) -> bytes:
    if not path.is_file():
        raise _absent(entry.file)
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(
            Message(
                "weights_too_large",
                "weights/{file} is {size} MB, more than a weights file can have.",
                file=entry.file,
                size=f"{size / 1e6:.0f}",
            )
        )
    data = path.read_bytes()
    if data.startswith(_LFS_MAGIC):
        raise WeightsError(
            Message(
                "lfs_pointer",
                "weights/{file} is a Git LFS pointer, not the weights. Run `git lfs pull` and "
                "start again.",
                file=entry.file,
            )
        )
    return data


def _absent(file: str) -> WeightsError:
    text = "weights/{file} is listed in {index} but absent. Fetch the file again."
    return WeightsError(Message("weights_absent", text, file=file, index=INDEX_NAME))
