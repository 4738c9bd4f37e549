"""From a data folder to a finished weights file: train, calibrate, measure, save."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from torch import Tensor

from defect.datasets import mvtec
from defect.datasets import rendered as synthetic
from defect.datasets.samples import load_images
from defect.networks.autoencoders import AutoencoderName
from defect.training import encoder
from defect.training.autoencoder import Recipe, train_autoencoder
from defect.training.calibration import fit_calibration
from defect.weights.errors import NotAvailable
from defect.weights.files import Metadata, read, save
from defect.weights.index import IndexEntry, relative_path
from defect.weights.quantisation import as_stored

RUNS_FOLDER = Path("runs")

RENDERED = ("rendered by this project", "Apache-2.0")
NOTES = {
    "capsule": "8 of 23 good test photos are missing.",
    "hazelnut": "Trained on 50 of 391 photos; test: 25 of 40 good, only cracks, no masks.",
    "toothbrush": "11 of 12 good test photos are missing; 12 training photos stand in.",
    "transistor": "No masks: image-level figures only.",
}
"""Where the copy of MVTec AD the bundled weights were made with is not complete."""


def dataset_of(category: str) -> tuple[str, str]:
    """(data set, licence) a category's photos come from."""
    if category in synthetic.CATEGORIES:
        return RENDERED
    if category in mvtec.CATEGORIES:
        return "MVTec AD", mvtec.LICENCE
    return "own photos", "the photos' own"


def shared_encoder(folder: Path) -> dict[str, Tensor] | None:
    """What a DAE starts from: the encoder taught on many products, where the folder has it."""
    try:
        return read(folder, encoder.MODEL, encoder.NAME).network
    except NotAvailable:
        return None


def train_and_save(
    model: AutoencoderName,
    category: str,
    data: Path,
    weights: Path,
    recipe: Recipe,
    images: np.ndarray | None = None,
) -> IndexEntry:
    """Trains one model on one category and saves it with its calibration.

    An interrupted training goes on from `runs/`, epoch by epoch. `images`, N×256×256×3 uint8, are
    the category's training photos where they were read before.

    Raises:
        DataError: there are no training photos.
        ValueError: there are too few.
    """
    if images is None:
        images = load_images(mvtec.train_samples(data, category))
    checkpoint = RUNS_FOLDER / relative_path(model, category)
    title = f"{model.upper()} {category}"
    dataset, licence = dataset_of(category)
    # What is rendered here stays free of the terms of the photos that encoder was taught on.
    taught = model == "dae" and (dataset, licence) != RENDERED
    start = shared_encoder(weights) if taught else None
    trained = train_autoencoder(
        model, images, recipe, title=title, checkpoint=checkpoint, start=start
    )
    # Calibrated as it will be loaded: half precision moves the limits a little.
    trained.network.load_state_dict(as_stored(trained.network.state_dict()))
    calibration = fit_calibration(trained.network, trained.fit, trained.held_out, seed=recipe.seed)
    metadata = Metadata(
        model=model,
        category=category,
        dataset=dataset,
        licence=licence,
        training=trained.training,
        calibration=calibration.numbers(),
        note=NOTES.get(category, "") if dataset == "MVTec AD" else "",
    )
    return save(weights, trained.network.state_dict(), calibration.tensors(), metadata)
