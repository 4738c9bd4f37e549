"""The figures the thesis published for MVTec AD, as its own per-category files give them.

Some of its pixel figures are failed computations stored as 0.5; they are None here. For the VAE it
is the image figures that are listed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One model and category: fractions, None where the thesis has no valid figure."""

    image_auroc: float
    pixel_auroc: float | None


_TABLE: dict[str, tuple[float, float, float, float | None, float | None]] = {
    # category: image AUROC of CAE, VAE, DAE; pixel AUROC of CAE, DAE
    "bottle": (0.550, 0.199, 0.537, 0.606, 0.664),
    "cable": (0.458, 0.361, 0.464, 0.606, 0.622),
    "capsule": (0.477, 0.482, 0.466, 0.743, 0.708),
    "carpet": (0.330, 0.617, 0.332, 0.538, 0.535),
    "grid": (0.779, 0.297, 0.870, 0.616, 0.605),
    "hazelnut": (0.877, 0.255, 0.888, 0.866, 0.863),
    "leather": (0.447, 0.303, 0.389, 0.662, 0.676),
    "metal_nut": (0.268, 0.152, 0.268, 0.748, 0.763),
    "pill": (0.751, 0.601, 0.762, None, None),
    "screw": (0.979, 0.074, 0.986, None, None),
    "tile": (0.822, 0.569, 0.808, 0.669, None),
    "toothbrush": (0.656, 0.686, 0.650, 0.845, 0.853),
    "transistor": (0.403, 0.303, 0.445, 0.560, 0.525),
    "wood": (0.948, 0.804, 0.962, 0.701, 0.685),
    "zipper": (0.506, 0.480, 0.487, 0.662, None),
}

THESIS: dict[str, dict[str, Published]] = {
    category: {
        "cae": Published(cae, pixel_cae),
        "vae": Published(vae, None),
        "dae": Published(dae, pixel_dae),
    }
    for category, (cae, vae, dae, pixel_cae, pixel_dae) in _TABLE.items()
}
"""Category, then model."""

THESIS_NEU_ACCURACY = 0.994
"""358 of 360 photos (the thesis rounds it so)."""
