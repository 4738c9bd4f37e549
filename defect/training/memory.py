"""From a data folder, or from somebody's own photos, to a taught memory as a weights file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from defect.datasets import mvtec
from defect.datasets.samples import load_images
from defect.detectors.memory_detector import load_extractor
from defect.networks.autoencoders import MEMORY
from defect.training import teach
from defect.training.autoencoder_run import NOTES, RENDERED, dataset_of
from defect.training.teach import Taught
from defect.weights.files import IndexEntry, Metadata, Training, save

TAUGHT = ("rendered by this project; the extractor, MVTec AD", mvtec.LICENCE)
"""A rendered category, seen through an extractor taught on photos with terms of their own."""

OWN = "the feature extractor (extractor/shared)"


def teach_and_save(
    category: str, data: Path, weights: Path, seed: int = 0, images: np.ndarray | None = None
) -> IndexEntry:
    """Teaches a memory of one category from its training photos and saves it.

    Args:
        images: N×256×256×3 uint8, the training photos where they were read before.

    Raises:
        DataError: there are no training photos.
        ValueError: there are too many.
        WeightsError: the weights folder has no usable extractor.
    """
    if images is None:
        images = load_images(mvtec.train_samples(data, category))
    extractor, sha256 = load_extractor(weights)
    taught = teach.teach(extractor, images, sha256, seed=seed)
    dataset, licence = dataset_of(category)
    if (dataset, licence) == RENDERED:
        dataset, licence = TAUGHT
    note = NOTES.get(category, "") if dataset == "MVTec AD" else ""
    metadata = describe(taught, category, dataset, licence, seed, note)
    return save(weights, {}, taught.memory.tensors(), metadata)


def describe(
    taught: Taught,
    category: str,
    dataset: str,
    licence: str,
    seed: int = 0,
    note: str = "",
    through: str = OWN,
) -> Metadata:
    """The header of a memory's file."""
    training = Training(
        epochs_planned=0,
        epochs_run=0,
        best_epoch=0,
        learning_rate=0.0,
        batch_size=1,
        seed=seed,
        device="cpu",
        precision="float32",
        corruption="none; defects planted on copies only to weigh the two views",
        images_fit=taught.memory.photos,
        images_held_out=0,
        seconds=round(taught.seconds, 1),
        start=f"{through}, kept as it is",
    )
    return Metadata(
        model=MEMORY,
        category=category,
        dataset=dataset,
        licence=licence,
        training=training,
        calibration=taught.memory.numbers(),
        note=note,
    )
