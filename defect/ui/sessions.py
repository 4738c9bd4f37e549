"""What the server keeps between a visitor's requests: taught detectors and batches.

Each is found only by an unguessable key, which is all that a `gr.State` holds, so that no number of
visitors or API calls fills memory. A value goes an hour after its last use, when newer ones need
its place, or with the visitor who left.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

from cachetools import TTLCache

from defect.detectors import catalogue
from defect.detectors.cache import held_bytes
from defect.detectors.detector import Detector
from defect.inspection import Message, WeightsSource
from defect.ui.visitors import VISITORS, StoreFull
from defect.weights.errors import NotAvailable
from defect.weights.files import Metadata

if TYPE_CHECKING:
    from defect.ui.batches import Batch

SECONDS = 3600.0
_KEY_BYTES = 16
_KEY_LENGTH = len(secrets.token_urlsafe(_KEY_BYTES))

Value = TypeVar("Value")


class SessionStore(Generic[Value]):
    """Values by unguessable key, bounded for all visitors together; the least recently used go
    first, the latest always stays."""

    def __init__(
        self,
        most: int,
        max_bytes: float,
        size: Callable[[Sequence[Value]], float] = held_bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            most: values kept.
            max_bytes: of all of them together.
            size: values → bytes of all of them together.
        """
        self._most, self._max_bytes, self._size = most, max_bytes, size
        # Only which keys are still there, in the order of their use: asking the cache for values,
        # to weigh them together, would count as use.
        self._keys: TTLCache[str, None] = TTLCache(float("inf"), SECONDS, clock)
        self._entries: dict[str, tuple[Value, str | None]] = {}
        """In the order of their use, each with its session."""
        self._lock = threading.Lock()

    def put(self, value: Value, session: str | None = None, key: str | None = None) -> str:
        """Keeps the value; returns its key.

        Args:
            session: of the visitor it goes with.
            key: of an older value whose place it takes.
        """
        key = key or secrets.token_urlsafe(_KEY_BYTES)
        with self._lock:
            self._keys[key] = None
            self._entries.pop(key, None)
            self._entries[key] = value, session
            self._drop_expired()
            try:
                while (gone := self._to_drop(key)) is not None:
                    self._remove(gone)
            except StoreFull:
                self._remove(key)
                raise NotAvailable(
                    Message(
                        "store_full",
                        "The server keeps as much for its visitors as it can. Try again later.",
                    )
                ) from None
        return key

    def get(self, key: str | None) -> Value | None:
        """The value, or `None` where there is none of that key any more."""
        with self._lock:
            self._drop_expired()
            if key not in self._entries:
                return None
            self._keys[key] = None  # its hour begins anew
            self._entries[key] = self._entries.pop(key)
            return self._entries[key][0]

    def forget(self, key: str | None) -> None:
        """Drops one value, if there is one of that key."""
        with self._lock:
            self._keys.pop(key or "", None)
            self._entries.pop(key or "", None)

    def forget_session(self, session: str | None) -> None:
        """Drops everything a session keeps."""
        if session is None:
            return
        with self._lock:
            owned = [key for key, (_, owner) in self._entries.items() if owner == session]
            for key in owned:
                self._keys.pop(key, None)
                del self._entries[key]

    def _drop_expired(self) -> None:
        for key in [key for key in self._entries if key not in self._keys]:
            del self._entries[key]

    def _to_drop(self, newest: str) -> str | None:
        owners = {key: owner for key, (_, owner) in self._entries.items()}
        return VISITORS.to_drop(owners, newest, self._is_full(), self._most)

    def _remove(self, key: str) -> None:
        self._keys.pop(key, None)
        self._entries.pop(key, None)

    def _is_full(self) -> bool:
        values = [value for value, _ in self._entries.values()]
        return len(values) > self._most or self._size(values) > self._max_bytes


DETECTORS: SessionStore[Detector] = SessionStore(24, 150e6)
"""Taught or loaded detectors; one taught here takes 5 MB, a file from elsewhere may take more."""
BATCHES: SessionStore[Batch] = SessionStore(
    8, 170e6, lambda batches: sum(batch.size for batch in batches)
)
"""A batch of 200 photos takes 55 MB."""


def find_detector(model: str | None, category: str = "") -> Detector:
    """The detector to use; every tab and endpoint asks here.

    Args:
        model: a bundled model's name, or the key of a taught or loaded detector.
        category: the product, such as `bottle`; a key needs none.

    Raises:
        NotAvailable: there is no such detector (any more).
        WeightsError: the weights file must not be used.
    """
    if (detector := DETECTORS.get(model)) is not None:
        return detector
    _refuse_old_key(model)
    return catalogue.detector(model or "", category)


def find_header(model: str | None, category: str = "") -> tuple[Metadata, WeightsSource]:
    """What the detector's weights file says of itself, without loading it.

    Raises:
        WeightsError: as `find_detector`, or the header is damaged.
    """
    if (detector := DETECTORS.get(model)) is not None:
        return detector.metadata, detector.source
    _refuse_old_key(model)
    return catalogue.header(model or "", category)


def _refuse_old_key(model: str | None) -> None:
    if model is None:
        raise NotAvailable(
            Message("no_detector_yet", "There is no detector yet. Teach or load one first.")
        )
    if len(model) == _KEY_LENGTH:
        raise NotAvailable(
            Message(
                "detector_expired",
                "This detector is no longer kept (detectors are deleted an hour after their last "
                "use). Teach it again, or load the file you downloaded.",
            )
        )
