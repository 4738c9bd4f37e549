"""Defect detection on photos of industrial products.

In short:

    from defect import load
    inspect = load("dae", "bottle")
    result = inspect("photo.jpg")
    result.score, result.defective, result.mask

    load("cnn")("steel.jpg").probabilities
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

if TYPE_CHECKING:
    from defect.detectors.autoencoder import AutoencoderDetector
    from defect.detectors.memory_detector import MemoryDetector
    from defect.detectors.steel import SteelClassifier

__version__ = "0.1.0"
__all__ = ["load"]


@overload
def load(
    model: Literal["cae", "vae", "dae"], category: str, *, folder: Path | None = None
) -> AutoencoderDetector: ...
@overload
def load(
    model: Literal["memory"], category: str, *, folder: Path | None = None
) -> MemoryDetector: ...
@overload
def load(
    model: Literal["cnn"], category: str = "neu", *, folder: Path | None = None
) -> SteelClassifier: ...
def load(
    model: str, category: str = "neu", *, folder: Path | None = None
) -> AutoencoderDetector | MemoryDetector | SteelClassifier:
    """Loads a trained model as a callable: photo (or list of photos) in, result (or list) out.

    Args:
        model: `cae`, `vae`, `dae` or `memory`, which return `Inspection`; `cnn`, the steel
            classifier.
        category: product the model was trained on, such as `bottle`.
        folder: where weights lie; the bundled folder by default. What it lacks comes from the
            Hub, where its index names a repository.

    Raises:
        NotAvailable: no such model, or no weights for the category here or on the Hub.
        WeightsError: the weights file is damaged or does not fit; the text says what to do.
    """
    # Imported here, so that `import defect` and `--help` do not wait for torch.
    from defect.detectors.autoencoder import load_autoencoder
    from defect.detectors.memory_detector import load_memory
    from defect.detectors.steel import load_classifier
    from defect.networks.autoencoders import MEMORY
    from defect.weights.files import WEIGHTS_FOLDER

    where = folder or WEIGHTS_FOLDER
    if model == MEMORY:
        return load_memory(category, where)
    return load_classifier(where) if model == "cnn" else load_autoencoder(model, category, where)
