"""Taught detectors between a visitor's requests: bounded, and gone with the visitor.

A detector is found only by its unguessable key. It goes when the visitor closes the page, an hour
after its last use, or when newer ones need its place.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from defect.detectors.cache import held_bytes
from defect.training.teaching import Product

MOST = 24
BYTES = 150e6
"""Of all together; one taught here takes 5 MB, a file from elsewhere may take more."""
SECONDS = 3600.0
GONE = (
    "That detector is no longer kept here (detectors go an hour after their last use). Teach it "
    "again, or load the file you downloaded."
)


@dataclass
class _Held:
    product: Product
    session: str | None
    used: float
    size: int
    """Bytes; without the extractor, which all share."""


class Products:
    """Detectors by key."""

    def __init__(
        self,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
        budget: float = BYTES,
    ) -> None:
        self._most, self._clock, self._budget = most, clock, budget
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, product: Product, session: str | None) -> str:
        """Keeps a detector for a session; returns its key."""
        key = secrets.token_urlsafe(16)
        size = held_bytes(product.inspector.memory) + len(product.file)
        with self._lock:
            self._drop_old()
            self._held[key] = _Held(product, session, self._clock(), size)
            while len(self._held) > 1 and self._is_full():
                self._held.popitem(last=False)
        return key

    def get(self, key: str | None) -> Product | None:
        """The detector, or `None` where there is none of that key any more."""
        with self._lock:
            self._drop_old()
            held = self._held.get(key or "")
            if held is None or key is None:
                return None
            held.used = self._clock()
            self._held.move_to_end(key)
            return held.product

    def forget(self, key: str | None) -> None:
        """Drops one detector, where there is one of that key."""
        with self._lock:
            self._held.pop(key or "", None)

    def forget_session(self, session: str | None) -> None:
        """Drops everything a session taught."""
        with self._lock:
            for key in [k for k, held in self._held.items() if held.session == session]:
                del self._held[key]

    def _is_full(self) -> bool:
        size = sum(held.size for held in self._held.values())
        return len(self._held) > self._most or size > self._budget

    def _drop_old(self) -> None:
        oldest = self._clock() - SECONDS
        for key in [k for k, held in self._held.items() if held.used < oldest]:
            del self._held[key]


PRODUCTS = Products()
