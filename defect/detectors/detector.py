"""What every consumer knows of a detector; none asks which kind it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, overload

from torch import nn

from defect.imaging.photo import Source
from defect.inspection import Inspection, WeightsSource
from defect.weights.files import Metadata


class Detector(Protocol):
    """Judges photos of one product.

    What kinds differ in, such as a reconstruction, is an optional field of `Inspection`.
    """

    @property
    def name(self) -> str:
        """`cae`, `vae`, `dae`, `memory`, or the name a taught detector was given."""
        ...

    @property
    def category(self) -> str:
        """The product, such as `bottle`."""
        ...

    @property
    def metadata(self) -> Metadata:
        """The header of its weights file: training, calibration, test figures."""
        ...

    @property
    def source(self) -> WeightsSource: ...

    @overload
    def __call__(self, photos: Source) -> Inspection: ...
    @overload
    def __call__(self, photos: list[Any]) -> list[Inspection]: ...
    def __call__(self, photos: Source | list[Any]) -> Inspection | list[Inspection]:
        """Inspects one photo, or a list of them in batched passes.

        Raises:
            ImageError: a photo cannot be used; of a list, the first such.
        """
        ...

    def save(self, path: Path) -> None:
        """Writes the detector as safetensors; `load(path)` restores it.

        Raises:
            OSError: the file cannot be written.
            WeightsError: the detector's weights file is no longer there.
        """
        ...

    def to_module(self) -> nn.Module:
        """The detector as one function of tensors, for export.

        Input: N×h×w×3 uint8 RGB, of the module's `input_size` (h, w). Outputs: N scores and N
        maps, both float32 in multiples of the normal limit.
        """
        ...
