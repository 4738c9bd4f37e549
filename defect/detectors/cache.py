"""Loaded detectors, kept for the next photo: as many as fit into a number of bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from cachetools import LRUCache

Model = TypeVar("Model")


class ModelCache(Generic[Model]):
    """Models by key; the least recently used go when together they exceed `maxsize` bytes.

    A single model larger than that is kept alone, as it is in use anyway.
    """

    def __init__(self, maxsize: int) -> None:
        self.maxsize = maxsize
        # What several models share counts once, so the sum is taken here and not by the cache.
        self._kept: LRUCache[Hashable, Model] = LRUCache(maxsize=float("inf"))
        self._storages: dict[Hashable, dict[int, int]] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], Model]) -> Model:
        """The key's model, loaded if it is not there.

        Loads happen one at a time, so that two visitors do not load the same file twice; a model
        that is there is returned without waiting.
        """
        if (found := self._find(key)) is not None:
            return found
        with self._loading:
            if (found := self._find(key)) is not None:
                return found
            model = load()
            with self._lock:
                self._kept[key] = model
                self._storages[key] = _storages(model)
                while len(self._kept) > 1 and self._sum() > self.maxsize:
                    oldest, _ = self._kept.popitem()
                    del self._storages[oldest]
            return model

    def clear(self) -> None:
        """Forgets every model."""
        with self._lock:
            self._kept.clear()
            self._storages.clear()

    @property
    def held(self) -> int:
        """Bytes of the models kept; what several of them share counts once."""
        with self._lock:
            return self._sum()

    def _find(self, key: Hashable) -> Model | None:
        with self._lock:
            found: Model | None = self._kept.get(key)
            return found

    def _sum(self) -> int:
        together: dict[int, int] = {}
        for storages in self._storages.values():
            together.update(storages)
        return sum(together.values())


def held_bytes(value: Any) -> int:
    """Bytes of the tensors and arrays an object holds, each storage counted once."""
    return sum(_storages(value).values())


def _storages(value: Any) -> dict[int, int]:
    storages: dict[int, int] = {}
    _add_storages(value, storages, set())
    return storages


def _add_storages(value: Any, storages: dict[int, int], seen: set[int]) -> None:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
    elif isinstance(value, np.ndarray):
        storages[value.__array_interface__["data"][0]] = value.nbytes
    elif isinstance(value, torch.nn.Module):
        for tensor in [*value.parameters(), *value.buffers()]:
            _add_storages(tensor, storages, seen)
    elif is_dataclass(value):
        for field in fields(value):
            _add_storages(getattr(value, field.name), storages, seen)
    elif isinstance(value, dict):
        for part in value.values():
            _add_storages(part, storages, seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _add_storages(part, storages, seen)
    elif hasattr(value, "__dict__"):
        for part in vars(value).values():
            _add_storages(part, storages, seen)
