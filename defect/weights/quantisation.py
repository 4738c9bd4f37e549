"""Tensors as a weights file keeps them: half precision, and 8 bits for big matrices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

SCALE_SUFFIX = "::scale"
MAX_VALUE = 1e6
"""Beyond any value of a trained network; larger ones overflow on their way to a score."""
STORED_DTYPES = ("F16", "F32", "I8", "I64")
"""As safetensors names them; I64 only for the counters of batch normalisation."""
_EIGHT_BIT_ELEMENTS = 500_000
_MAX_COUNT = 2**31


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
        ValueError: codes and scale do not fit, the type is not one that is stored, or a value is
            not a number or beyond `MAX_VALUE`.
    """
    if tensor.dtype == torch.int64 and tensor.ndim == 0 and scale is None:
        if not 0 <= int(tensor) < _MAX_COUNT:
            raise ValueError("its count is out of range")
        return tensor
    if tensor.dtype not in (torch.float16, torch.float32, torch.int8):
        raise ValueError(f"its type {tensor.dtype} is not one of half, float and 8 bits")
    if (tensor.dtype == torch.int8) != (scale is not None):
        raise ValueError("its 8-bit codes and their scale do not come together")
    if scale is not None:
        if tensor.ndim != 2 or scale.shape != (len(tensor), 1):
            raise ValueError("its scale has another shape")
        if scale.dtype != torch.float32:
            raise ValueError("its scale is of another type")
        tensor = tensor.float() * scale
    if not bool(torch.isfinite(tensor).all()):
        raise ValueError("not all its values are numbers")
    tensor = tensor.float()
    if tensor.numel() and float(tensor.abs().max()) > MAX_VALUE:
        raise ValueError(f"it has values beyond {MAX_VALUE:.0f}")
    return tensor
