"""How the server shares its cores between requests; no training calls this."""

from __future__ import annotations

import os

import torch

LOOKS_AT_ONCE = 2
"""Photos whose networks run at the same time; more only wait for each other."""


def settle_threads() -> int:
    """Sets, once at the start, how many threads one network pass may use; returns it.

    As many as leave every look its own cores: on two cores one each. Two passes with two threads
    each would wait for one another at every layer.
    """
    threads = max(1, (os.cpu_count() or 1) // LOOKS_AT_ONCE)
    torch.set_num_threads(threads)
    return threads
