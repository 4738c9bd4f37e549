"""How the server shares its cores and its heap between requests; no training calls this."""

from __future__ import annotations

import ctypes
import os
import platform

import torch

PHOTOS_AT_ONCE = 2
"""Photos whose networks run at the same time; more would only wait for each other."""
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8
"""As glibc's malloc.h numbers them."""
_OWN_PAGES = 4_000_000
"""Bytes from which a block has pages of its own, returned when it is freed; a bound of 1 MB saved
no more memory."""


def configure_threads() -> int:
    """Sets, once at the start, how many threads one network pass may use; returns it.

    As many as leave every photo its own cores: on two cores one each. Two passes with two threads
    each would wait for one another at every layer.
    """
    threads = max(1, (os.cpu_count() or 1) // PHOTOS_AT_ONCE)
    torch.set_num_threads(threads)
    return threads


def configure_heap() -> bool:
    """Has all threads share one heap and keeps large blocks out of it, where the C library is
    glibc; returns whether it is.

    Left alone, glibc gives every thread of the server's pool a heap of its own, each of which keeps
    the most that a load or a photo ever took of it.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    settings = {_M_ARENA_MAX: 1, _M_MMAP_THRESHOLD: _OWN_PAGES}
    return all(library.mallopt(name, value) for name, value in settings.items())
