"""What can be inspected here: categories, their models, what photo each expects, its examples."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from defect import load
from defect.classifier import SteelClassifier
from defect.datasets import synthetic
from defect.inspector import Inspector
from defect.networks import DETECTORS
from defect.taught import MemoryInspector
from defect.weights import (
    WEIGHTS_FOLDER,
    Metadata,
    NotAvailable,
    WeightsError,
    WeightsSource,
    read_index,
    read_metadata,
)

EXAMPLES_FOLDER = Path(__file__).resolve().parent.parent / "examples"
STEEL_EXAMPLES = "rendered_steel"
DEFAULT_CATEGORY = "rendered_cap"
_LOADING = threading.Lock()
"""Held while weights are looked up, so that two visitors do not load the same file twice."""
_PREFERRED = ("dae", "cae", "vae", "memory")

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
    """Models with weights here, the recommended first."""
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
    models: dict[str, set[str]] = {}
    for entry in read_index():
        if entry.model in DETECTORS:
            models.setdefault(entry.category, set()).add(entry.model)
    names = sorted(models, key=lambda name: (name not in synthetic.CATEGORIES, name))
    return {
        name: Category(
            name=name,
            models=tuple(model for model in _PREFERRED if model in models[name]),
            rendered=name in synthetic.CATEGORIES,
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
            "There are no autoencoder weights. Restore the weights folder, or train "
            "some with `python -m defect train`."
        )
    return known.get(DEFAULT_CATEGORY) or next(iter(known.values()))


def steel_examples() -> tuple[Example, ...]:
    """The rendered steel surfaces, captioned with their class."""
    return _examples(STEEL_EXAMPLES)


def inspector(model: str, category: str) -> Inspector | MemoryInspector:
    """A loaded inspector, kept for the next photo.

    Raises:
        NotAvailable: an unknown model or category, or no weights for the two together.
        WeightsError: the weights file must not be used.
    """
    if model not in DETECTORS:
        raise NotAvailable(f'There is no model "{model}". Choose one of {", ".join(DETECTORS)}.')
    if category not in categories():
        raise NotAvailable(
            f'There is no category "{category}" here. Choose one of {", ".join(categories())}.'
        )
    with _LOADING:
        return _loaded(model, category)


def header(model: str, category: str) -> tuple[Metadata, WeightsSource]:
    """What a weights file says of itself, without loading it.

    Raises:
        WeightsError: there is no such file, or its header is damaged.
    """
    for entry in read_index():
        if (entry.model, entry.category) == (model, category):
            source = WeightsSource("bundled", entry.file, entry.sha256, entry.size)
            return read_metadata(WEIGHTS_FOLDER / entry.file), source
    raise NotAvailable(f"There are no {model.upper()} weights for {category} here.")


def classifier() -> SteelClassifier:
    """The loaded steel classifier.

    Raises:
        WeightsError: its weights are absent or must not be used.
    """
    with _LOADING:
        return _loaded_classifier()


@lru_cache(maxsize=1)
def _loaded_classifier() -> SteelClassifier:
    return load("cnn")


# Names are checked before they get here, and the number kept is bounded: a VAE takes 100 MB.
@lru_cache(maxsize=8)
def _loaded(model: str, category: str) -> Inspector | MemoryInspector:
    return load(model, category)  # type: ignore[call-overload]  # checked above


def _examples(folder: str) -> tuple[Example, ...]:
    # "good" comes first, so that a calm overlay is what a visitor sees before a defect.
    paths = sorted(
        (EXAMPLES_FOLDER / folder).glob("*.jpg"), key=lambda p: (not p.stem.startswith("good"), p)
    )
    return tuple(Example(p, p.stem.replace("_1", "").replace("_2", "")) for p in paths)
