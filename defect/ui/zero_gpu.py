"""ZeroGPU Spaces: a function marked to run on their GPU, and nothing anywhere else.

One photo takes a network 10 to 30 ms on a Space's processor, far less than the wait for a slice of
a GPU, so no inspection is marked. Work on many hundred photos at once may gain: mark it with `gpu`,
and let it move its tensors itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

try:
    # Before torch, as that package asks for; it is installed on ZeroGPU Spaces only.
    from spaces import GPU as _mark
except ImportError:
    _mark = None


def gpu(function: Function) -> Function:
    """Marks a function for ZeroGPU's GPU; returns it as it is where there is no ZeroGPU."""
    marked: Function = _mark(function) if _mark is not None else function
    return marked


@gpu
def device() -> str:
    """The device torch would use where this runs. ZeroGPU starts no app that marks nothing."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
