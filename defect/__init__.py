"""Defect detection on photos of industrial products.

In short:

    from defect import load, teach

    inspect = load("dae", "bottle")
    result = inspect("photo.jpg")
    result.score, result.defective, result.mask

    detector = teach(["good_1.jpg", "good_2.jpg"], name="bracket")
    detector.save(Path("bracket.safetensors"))
    load("bracket.safetensors")("photo.jpg")

    load("cnn")("steel.jpg").probabilities
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from defect.detectors.detector import Detector
    from defect.detectors.memory.detector import MemoryDetector
    from defect.detectors.steel import Classification, SteelClassifier
    from defect.detectors.stream import PhotoSource
    from defect.imaging.photo import Source
    from defect.inspection import Inspection

__version__ = "0.1.0"
__all__ = ["Classification", "Detector", "Inspection", "load", "teach"]


@overload
def load(  # type: ignore[overload-overlap]  # the classifier's results are of their own type
    detector: Literal["cnn"],
    category: str | None = None,
    *,
    folder: Path | None = None,
    device: str | None = None,
) -> SteelClassifier: ...
@overload
def load(
    detector: str | Path,
    category: str | None = None,
    *,
    folder: Path | None = None,
    device: str | None = None,
) -> Detector: ...
def load(
    detector: str | Path,
    category: str | None = None,
    *,
    folder: Path | None = None,
    device: str | None = None,
) -> Detector | SteelClassifier:
    """Loads a detector as a callable: photo (or list of photos) in, result (or list) out.

    Args:
        detector: `cae`, `vae`, `dae` or `memory`, with a category; or the path of a detector's
            file, as `Detector.save` writes it; or `cnn`, the classifier of steel surfaces.
        category: the product the model was trained on, such as `bottle`.
        folder: where weights lie; the bundled folder by default. What it lacks comes from the
            Hub, where its index names a repository.
        device: where the network runs, such as `cuda`; the CPU by default.

    Raises:
        NotAvailable: no such model or file, or no weights for the category here or on the Hub.
        WeightsError: the weights are damaged or do not fit; the text says what to do.
    """
    # Imported here, so that `import defect` and `--help` do not wait for torch.
    from defect.detectors import registry
    from defect.detectors.steel import load_steel_classifier
    from defect.weights.index import WEIGHTS_FOLDER

    where = folder or WEIGHTS_FOLDER
    if detector == "cnn":
        return load_steel_classifier(where, device=device)
    return registry.load(detector, category, folder=where, device=device)


def teach(
    photos: Iterable[Source | PhotoSource],
    name: str = "my part",
    *,
    without: Sequence[str] = (),
    bit_depth: int | None = None,
    folder: Path | None = None,
    report_progress: Callable[[int, int], None] = lambda done, total: None,
) -> MemoryDetector:
    """Teaches a detector from good photos of one product, in seconds.

    Args:
        photos: paths, bytes, PIL images or arrays; 10 to 50 are usually enough.
        name: of the product.
        without: names of photos to leave out.
        bit_depth: of the camera (8 to 16), where its values lie unscaled in 16-bit files; guessed
            from the photos by default. The detector reads with it, too.
        folder: where the feature extractor lies; the bundled weights by default.
        report_progress: called with (photos done, photos in all).

    Raises:
        ValueError: no photo, too many, or none that can be read; the text says so.
        WeightsError: there is no usable feature extractor.
    """
    from defect.training import memory
    from defect.weights.index import WEIGHTS_FOLDER

    return memory.teach(
        photos,
        name,
        without=without,
        bit_depth=bit_depth,
        folder=folder or WEIGHTS_FOLDER,
        report_progress=report_progress,
    )


def __getattr__(name: str) -> object:
    if name == "Inspection":
        from defect.inspection import Inspection

        return Inspection
    if name == "Classification":
        from defect.detectors.steel import Classification

        return Classification
    if name == "Detector":
        from defect.detectors.detector import Detector

        return Detector
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
