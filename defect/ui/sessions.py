"""What the server keeps between a visitor's requests: bounded for all visitors together.

A `gr.State` then only holds a short key, so that no number of visitors or API calls fills memory.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

Value = TypeVar("Value")


class BoundedStore(Generic[Value]):
    """The last `most` values by unguessable key; the longest unused is forgotten first.

    Given a weight a value (such as its bytes) and a greatest `budget` for all together, values go
    as soon as they pass it; the latest stays.
    """

    def __init__(
        self,
        most: int,
        budget: float = math.inf,
        weight: Callable[[Value], float] = lambda value: 0,
    ) -> None:
        self._most = most
        self._budget = budget
        self._weight = weight
        self._values: OrderedDict[str, tuple[Value, float]] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, value: Value, key: str | None = None) -> str:
        """Keeps the value, in place of the key's old one if a key is given; returns its key."""
        key = key or secrets.token_urlsafe(16)
        with self._lock:
            self._values[key] = value, self._weight(value)
            self._values.move_to_end(key)
            while len(self._values) > 1 and self._is_full():
                self._values.popitem(last=False)
        return key

    def get(self, key: str | None) -> Value | None:
        """The value, or `None` where it was forgotten."""
        with self._lock:
            if key is None or key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def _is_full(self) -> bool:
        weight = sum(weight for _, weight in self._values.values())
        return len(self._values) > self._most or weight > self._budget
