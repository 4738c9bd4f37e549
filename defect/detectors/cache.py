"""Loaded models, kept for the next photo: as many as fit into a number of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch

Model = TypeVar("Model")


class ModelCache(Generic[Model]):
    """Models by key; the longest unused go when together they pass `most` bytes.

    A single model larger than that is kept alone, as it is in use anyway.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[Hashable, tuple[Model, dict[int, int]]] = OrderedDict()
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    def get(self, key: Hashable, load: Callable[[], Model]) -> Model:
        """The key's model, loaded if it is not there. Loads happen one at a time, so that two
        visitors do not load the same file twice; who asks for a model that is there never waits."""
        found = self._find(key)
        if found is not None:
            return found
        with self._loading:
            found = self._find(key)
            if found is not None:
                return found
            model = load()
            with self._lock:
                self._kept[key] = (model, _storages(model))
                while len(self._kept) > 1 and self._sum() > self.most:
                    self._kept.popitem(last=False)
            return model

    def clear(self) -> None:
        """Forgets every model."""
        with self._lock:
            self._kept.clear()

    @property
    def held(self) -> int:
        """Bytes of the models kept; what several of them share counts once."""
        with self._lock:
            return self._sum()

    def _find(self, key: Hashable) -> Model | None:
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def _sum(self) -> int:
        together: dict[int, int] = {}
        for _, storages in self._kept.values():
            together.update(storages)
        return sum(together.values())


def held_bytes(value: Any) -> int:
    """Bytes of the tensors and arrays an object holds, each storage counted once."""
    return sum(_storages(value).values())


def _storages(value: Any) -> dict[int, int]:
    storages: dict[int, int] = {}
    _note(value, storages, set())
    return storages


def _note(value: Any, storages: dict[int, int], seen: set[int]) -> None:
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
            _note(tensor, storages, seen)
    elif is_dataclass(value):
        for field in fields(value):
            _note(getattr(value, field.name), storages, seen)
    elif isinstance(value, dict):
        for part in value.values():
            _note(part, storages, seen)
    elif isinstance(value, (list, tuple)):
        for part in value:
            _note(part, storages, seen)
    elif hasattr(value, "__dict__"):
        for part in vars(value).values():
            _note(part, storages, seen)
