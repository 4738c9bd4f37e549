"""The kinds of detector, named once: adding a detector is one file and one line here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from defect.inspection import Message, WeightsSource
from defect.weights import files, resolution
from defect.weights.errors import NotAvailable, WeightsError, unusable
from defect.weights.files import Weights
from defect.weights.index import WEIGHTS_FOLDER

if TYPE_CHECKING:
    from defect.detectors.detector import Detector

KINDS = {
    "cae": "defect.detectors.autoencoder:restore",
    "vae": "defect.detectors.autoencoder:restore",
    "dae": "defect.detectors.autoencoder:restore",
    "memory": "defect.detectors.memory.detector:restore",
}
"""Model → the function that makes a detector of a weights file's content."""
DETECTORS = tuple(KINDS)
MAX_FILE_BYTES = 40 * 1024**2
"""Of a detector's file that somebody loads."""
SUFFIX = ".safetensors"


def load(
    detector: str | Path,
    category: str | None = None,
    *,
    folder: Path = WEIGHTS_FOLDER,
    device: str | None = None,
    wait: float | None = None,
) -> Detector:
    """The detector of a model and category, or of a file.

    Args:
        detector: a model (`cae`, `vae`, `dae`, `memory`), or the path of a detector's file.
        category: the product, such as `bottle`; none with a file.
        folder: where weights lie; what it lacks comes from the Hub.
        device: where the network runs, such as `cuda`; the CPU by default.
        wait: seconds a download is waited for; None: until it is done.

    Raises:
        NotAvailable: no such model or file, or no weights for the category.
        WeightsError: the weights must not be used; the text says why.
    """
    if isinstance(detector, Path) or is_file_name(detector):
        return load_file(Path(detector), folder=folder, device=device, wait=wait)
    if detector not in KINDS:
        raise NotAvailable(
            Message(
                "no_such_model",
                'There is no model "{model}". Choose one of {models}, or give a detector\'s file.',
                model=str(detector)[:60],
                models=", ".join(DETECTORS),
            )
        )
    if category is None:
        raise NotAvailable(
            Message(
                "category_missing",
                "Which category? Give one, such as bottle, with the model {model}.",
                model=detector,
            )
        )
    return restore(resolution.read(folder, detector, category), folder, device=device, wait=wait)


def is_file_name(text: str) -> bool:
    """Whether a text names a detector's file rather than a model."""
    return text.lower().endswith(SUFFIX)


def load_file(
    path: Path,
    *,
    folder: Path = WEIGHTS_FOLDER,
    device: str | None = None,
    wait: float | None = None,
) -> Detector:
    """A detector from a file that may come from anywhere. Nothing in it is trusted.

    Raises:
        WeightsError: it is absent, too large, damaged, not a detector, or does not fit what is
            here.
    """
    path = path.expanduser()
    if not path.is_file():
        raise NotAvailable(
            Message("no_file", 'There is no file "{name}". Check the path.', name=path.name)
        )
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(
            Message(
                "detector_too_large",
                '"{name}" is {size} MB, too large to be a detector.',
                name=path.name,
                size=f"{size / 1e6:.0f}",
            )
        )
    data = path.read_bytes()
    source = WeightsSource("uploaded", path.name, hashlib.sha256(data).hexdigest(), len(data))
    try:
        content = files.parse(data, source)
    except WeightsError as error:
        raise _not_a_detector(path) from error
    metadata = replace(
        content.metadata,
        category=plain_name(str(content.metadata.category)),
        test={},
        transfer={},
        note="",
    )
    try:
        if metadata.model not in DETECTORS:
            raise ValueError("it is of another model")
        content = replace(content, metadata=metadata, path=path)
        return restore(content, folder, device=device, wait=wait)
    except ValueError as error:
        raise _not_a_detector(path, str(error)) from error
    except (TypeError, KeyError, AttributeError) as error:
        raise _not_a_detector(path) from error


def restore(
    content: Weights, folder: Path, *, device: str | None = None, wait: float | None = None
) -> Detector:
    """The detector in a weights file's content.

    Raises:
        NotAvailable: what it needs beside its file is not here.
        WeightsError: the content does not fit the model.
        ValueError: the same, of a file somebody brought.
    """
    module, _, function = KINDS[content.metadata.model].partition(":")
    make: Callable[..., Detector] = getattr(import_module(module), function)
    try:
        content.metadata.bit_depth  # noqa: B018  # raises where it is senseless
        return make(content, folder, device=device, wait=wait)
    except ValueError as error:
        if content.source.source == "uploaded":
            raise
        raise unusable(content.source.file, error) from error


def _not_a_detector(path: Path, reason: str = "it is not one, or is damaged") -> WeightsError:
    return WeightsError(
        Message(
            "not_a_detector",
            '"{name}" is not a detector this app can load: {reason}.',
            name=path.name,
            reason=reason,
        )
    )


def plain_name(text: str) -> str:
    """A product's name as it may stand in a file name and a table: letters, digits, - and _."""
    kept = "".join(c if c.isalnum() or c in "-_" else "_" for c in text.strip())
    return kept[:40].strip("_") or "product"
