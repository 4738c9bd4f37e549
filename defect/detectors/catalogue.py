"""What can be inspected here: categories, their models, what photo each expects, its examples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from defect.datasets import rendered
from defect.detectors.cache import ModelCache
from defect.detectors.detector import Detector
from defect.detectors.registry import DETECTORS, load
from defect.detectors.steel import SteelClassifier, load_steel_classifier
from defect.inspection import Message, WeightsSource
from defect.weights import resolution, unbundled
from defect.weights.errors import NotAvailable, WeightsError
from defect.weights.files import Metadata, read_metadata
from defect.weights.hub import DownloadProgress
from defect.weights.index import (
    WEIGHTS_FOLDER,
    IndexEntry,
    find_entry,
    read_index,
    relative_path,
)
from defect.weights.resolution import Availability, Kind

EXAMPLES_FOLDER = Path(__file__).resolve().parents[2] / "examples"
STEEL_EXAMPLES = "rendered_steel"
DEFAULT_CATEGORY = "rendered_cap"
MODEL_BYTES = 512 * 1024**2
"""Of loaded models kept: a VAE takes 75 MB, a memory 15 MB, a CAE 7 MB, all bundled ones 480 MB.
Were they more, visitors who take turns would load a model for every photo, and the heap would tear.
"""
_MODELS: ModelCache[Any] = ModelCache(MODEL_BYTES)
PREFERRED = ("memory", "dae", "cae", "vae")
"""Models, the one to begin with first: the best on held-out photos of most categories."""

EXPECTED = {
    "bottle": "the mouth of a bottle from straight above, filling the photo, on a bright ground",
    "cable": "the cut end of a three-wire cable from straight above",
    "capsule": "one capsule lying level, its printing in view, on a bright ground",
    "carpet": "carpet from straight above, filling the photo",
    "grid": "a wire grid from straight above, filling the photo",
    "hazelnut": "one hazelnut on a dark ground",
    "leather": "leather from straight above, filling the photo",
    "metal_nut": "one metal nut from straight above, on a dark ground",
    "pill": "one white speckled pill from straight above, its imprint upright, on a dark ground",
    "screw": "one screw on a bright ground, at any angle",
    "tile": "a tile's surface from straight above, filling the photo",
    "toothbrush": "the head of a toothbrush from straight above, upright",
    "transistor": "one transistor on a breadboard, its three legs pointing down",
    "wood": "a wooden surface from straight above, filling the photo",
    "zipper": "a closed zipper running from top to bottom",
    "rendered_weave": "a woven fabric from straight above",
    "rendered_brushed": "a sheet of brushed metal from straight above",
    "rendered_cap": "a screw cap from straight above",
    "rendered_washer": "a steel washer from straight above",
}
"""What a photo of each category shows, in MVTec AD's fifteen and the rendered ones."""


@dataclass(frozen=True)
class Example:
    """A rendered photo to try."""

    path: Path
    caption: str


@dataclass(frozen=True)
class Category:
    """One category there are weights for."""

    name: str
    models: tuple[str, ...]
    """Models with weights here, the recommended first, then those that are only on the Hub."""
    rendered: bool
    expects: str
    """What a photo should show."""
    examples: tuple[Example, ...]


@lru_cache(maxsize=1)
def categories() -> dict[str, Category]:
    """Categories by name, the rendered ones first (they have examples to start with).

    Raises:
        WeightsError: the index is damaged.
    """
    bundled = {entry.file: entry for entry in read_index()}
    models: dict[str, set[str]] = {}
    for entry in [*bundled.values(), *resolution.only_on_hub(WEIGHTS_FOLDER)]:
        if entry.model in DETECTORS:
            models.setdefault(entry.category, set()).add(entry.model)
    names = sorted(models, key=lambda name: (name not in rendered.CATEGORIES, name))
    return {
        name: Category(
            name=name,
            models=tuple(
                sorted(
                    (model for model in PREFERRED if model in models[name]),
                    key=lambda model: relative_path(model, name) not in bundled,
                )
            ),
            rendered=name in rendered.CATEGORIES,
            expects=EXPECTED.get(name, f"{name}, taken like the photos it was trained on"),
            examples=_examples(name),
        )
        for name in names
    }


def default_category() -> Category:
    """The one the tabs open with.

    Raises:
        WeightsError: there are no weights at all.
    """
    known = categories()
    if not known:
        raise WeightsError(
            Message(
                "autoencoder_weights_restore_weights",
                "There are no autoencoder weights. Restore the weights folder, or "
                "train some with `python -m defect train`.",
            )
        )
    return known.get(DEFAULT_CATEGORY) or next(iter(known.values()))


def steel_examples() -> tuple[Example, ...]:
    """The rendered steel surfaces, captioned with their class."""
    return _examples(STEEL_EXAMPLES)


def detector(model: str, category: str) -> Detector:
    """A loaded detector, kept for the next photo.

    Raises:
        NotAvailable: an unknown model or category, or no weights for the two together.
        WeightsError: the weights file must not be used.
    """
    if model not in DETECTORS:
        raise NotAvailable(
            Message(
                "unknown_model",
                'There is no model "{model}". Choose one of {models}.',
                model=model[:60],
                models=", ".join(DETECTORS),
            )
        )
    if category not in categories():
        raise NotAvailable(
            Message(
                "unknown_category",
                'There is no category "{category}" here. Choose one of {categories}.',
                category=category[:60],
                categories=", ".join(categories()),
            )
        )
    resolution.wait_for(WEIGHTS_FOLDER, model, category)
    # The names were checked, so that no text from outside becomes a key.
    loaded: Detector = _MODELS.get((model, category), lambda: load(model, category))
    return loaded


def availability(model: str, category: str) -> Availability | None:
    """Whether weights are bundled, fetched from the Hub, or still there; None: nowhere.

    Raises:
        WeightsError: the index is damaged.
    """
    return resolution.availability(WEIGHTS_FOLDER, model, category)


def entries() -> list[tuple[IndexEntry, Kind]]:
    """Every weights file there is to use and where it is: the bundled ones, then the Hub's.

    Raises:
        WeightsError: the index is damaged.
    """
    found: list[tuple[IndexEntry, Kind]] = [(entry, "bundled") for entry in read_index()]
    bundled = {entry.file for entry, _ in found}
    for entry in resolution.only_on_hub(WEIGHTS_FOLDER):
        where = resolution.availability(WEIGHTS_FOLDER, entry.model, entry.category)
        if entry.file not in bundled and where is not None:
            found.append((entry, where.kind))
    return found


def fetch(model: str, category: str) -> DownloadProgress | None:
    """Starts fetching weights that are only on the Hub, and says how far that is; never waits.

    None: they are here, or nowhere.

    Raises:
        WeightsError: the index is damaged.
    """
    return resolution.start(WEIGHTS_FOLDER, model, category)


def header(model: str, category: str) -> tuple[Metadata, WeightsSource]:
    """What a weights file says of itself, without loading it.

    Raises:
        WeightsError: there is no such file, or its header is damaged.
    """
    entry = find_entry(WEIGHTS_FOLDER, model, category)
    if entry is not None:
        source = WeightsSource("bundled", entry.file, entry.sha256, entry.size)
        return _header_of(entry.file, entry.sha256), source
    found = _headers_elsewhere().get((model, category))
    for listed in resolution.only_on_hub(WEIGHTS_FOLDER):
        if found is not None and (listed.model, listed.category) == (model, category):
            where = resolution.availability(WEIGHTS_FOLDER, model, category)
            kind = where.kind if where else "hub"
            return found, WeightsSource(kind, listed.file, listed.sha256, listed.size)
    raise NotAvailable(
        Message(
            "no_header",
            "There are no {model} weights for {category} here.",
            model=model.upper()[:60],
            category=category[:60],
        )
    )


@lru_cache(maxsize=128)
def _header_of(file: str, sha256: str) -> Metadata:
    """A bundled file's header; read again when the index lists another file."""
    return read_metadata(WEIGHTS_FOLDER / file)


@lru_cache(maxsize=1)
def _headers_elsewhere() -> dict[tuple[str, str], Metadata]:
    """The headers of files too large to be bundled."""
    return {(found.model, found.category): found for found in unbundled.read(WEIGHTS_FOLDER)}


def classifier() -> SteelClassifier:
    """The loaded steel classifier.

    Raises:
        WeightsError: its weights are absent or must not be used.
    """
    loaded: SteelClassifier = _MODELS.get(("cnn", "neu"), load_steel_classifier)
    return loaded


def _examples(folder: str) -> tuple[Example, ...]:
    # "good" comes first, so that a calm overlay is what a visitor sees before a defect.
    paths = sorted(
        (EXAMPLES_FOLDER / folder).glob("*.jpg"), key=lambda p: (not p.stem.startswith("good"), p)
    )
    return tuple(Example(p, p.stem.replace("_1", "").replace("_2", "")) for p in paths)
