"""Tensors as a weights file keeps them: half precision, and 8 bits for big matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

SCALE_SUFFIX = "::scale"
_EIGHT_BIT_ELEMENTS = 500_000


@dataclass(frozen=True)
class Packed:
    """A big matrix as a file keeps it, in a quarter of float32's bytes."""

    codes: Tensor
    """R×C, or R matrices, int8."""
    scale: Tensor
    """R×1 (or R×1×1) float32: a row's codes times it are the values."""

    def unpacked(self) -> Tensor:
        """The values in float32, as `unpack` gives them."""
        return self.codes.float().mul_(self.scale)


def as_stored(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors as they will come back from a file: rounded to what it keeps of them."""
    stored = {}
    for name, tensor in tensors.items():
        packed = pack(name, tensor)
        stored[name] = unpack(packed[name], packed.get(name + SCALE_SUFFIX))
    return stored


def pack(name: str, tensor: Tensor) -> dict[str, Tensor]:
    """A tensor as one or two of a file's: half precision; big matrices in 8 bits, a scale a row.

    Raises:
        ValueError: it has values half precision cannot hold.
    """
    tensor = tensor.detach().cpu().contiguous()
    if not tensor.is_floating_point():
        return {name: tensor}
    if tensor.ndim == 2 and tensor.numel() > _EIGHT_BIT_ELEMENTS:
        scale = tensor.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        codes = (tensor / scale).round().to(torch.int8)
        return {name: codes, name + SCALE_SUFFIX: scale.float()}
    half = tensor.half()
    if not bool(torch.isfinite(half).all()):
        raise ValueError(f"{name} has values half precision cannot hold; train again.")
    return {name: half}


def unpack(tensor: Tensor, scale: Tensor | None) -> Tensor:
    """The inverse of `pack`, in float32.

    Raises:
        ValueError: codes and scale do not fit, or not all values are numbers.
    """
    if (tensor.dtype == torch.int8) != (scale is not None):
        raise ValueError("its 8-bit codes and their scale do not come together")
    if scale is not None:
        if tensor.ndim != 2 or scale.shape != (len(tensor), 1):
            raise ValueError("its scale has another shape")
        tensor = tensor.float() * scale
    if not tensor.is_floating_point():
        return tensor
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError("not all its values are numbers")
    return tensor.float()
