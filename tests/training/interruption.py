"""Interrupts a training right after the checkpoint of one of its epochs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from defect.training import loop


@contextmanager
def interrupted_after(epoch: int) -> Iterator[None]:
    """Inside, training stops after `epoch`; the test fails where it does not get that far."""
    save = loop.save_checkpoint

    def save_and_stop(path, history, *rest):
        save(path, history, *rest)
        if history.epoch == epoch:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "save_checkpoint", save_and_stop)
        yield
