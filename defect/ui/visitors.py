"""Who is connected: open pages by session, answers being listened to, and addresses.

A page keeps one request open for as long as it is (Gradio's heartbeat), so a session with such a
request belongs to a visitor who is there. What that visitor keeps here is never dropped for the
sake of somebody else; what others keep goes first.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping, MutableMapping
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)

MAX_PAGES = 50
"""Open pages of one address that are protected; an office may share one."""
_MAX_SESSIONS = 20_000
"""Sessions remembered, at about 200 bytes each."""
_MAX_NAME = 128
"""Characters of a session's name; Gradio's own have 11 or 36."""
TRUST_SETTING = "DEFECT_TRUST_FORWARDED"


class StoreFull(Exception):
    """There is no room, as visitors who are there use it all."""


class Visitors:
    """Sessions, their addresses, and which of them have an open page or a listener.

    The event loop writes, any thread reads.
    """

    def __init__(self, max_pages: int = MAX_PAGES) -> None:
        """
        Args:
            max_pages: of one address that are protected at a time.
        """
        self._max_pages = max_pages
        self._pages: Counter[str] = Counter()
        self._pages_by_address: Counter[str] = Counter()
        self._listeners: Counter[str] = Counter()
        self._addresses: OrderedDict[str, str] = OrderedDict()
        self._had_page: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def page_opened(self, session: str, address: str) -> bool:
        """Notes that a page is open; returns whether it is protected, which is to be handed to
        `page_closed`."""
        with self._lock:
            self._remember(self._addresses, session, address)
            self._remember(self._had_page, session, None)
            protected = self._pages_by_address[address] < self._max_pages
            if protected:
                self._pages[session] += 1
                self._pages_by_address[address] += 1
            return protected

    def page_closed(self, session: str, address: str, protected: bool) -> None:
        """Notes that an open page was closed."""
        if protected:
            with self._lock:
                _decrease(self._pages, session)
                _decrease(self._pages_by_address, address)

    def listens(self, name: str) -> None:
        """Notes that somebody reads the answers of a session or of one call."""
        with self._lock:
            self._listeners[name] += 1

    def listens_no_more(self, name: str) -> None:
        """Notes that one reader of a session's or call's answers left."""
        with self._lock:
            _decrease(self._listeners, name)

    def seen(self, session: str, address: str) -> None:
        """Notes the address that a session asks from."""
        with self._lock:
            self._remember(self._addresses, session, address)

    def is_open(self, session: str | None) -> bool:
        """Whether the session has an open page."""
        with self._lock:
            return session in self._pages

    def had_page(self, session: str | None) -> bool:
        """Whether the session has or had an open page; also true where its connection broke."""
        with self._lock:
            return session in self._had_page

    def is_heard(self, *names: str) -> bool:
        """Whether somebody reads the answers of one of these sessions or calls."""
        with self._lock:
            return any(name in self._listeners for name in names)

    def address(self, session: str | None) -> str | None:
        """The address that the session last asked from."""
        with self._lock:
            return self._addresses.get(session or "")

    def first_to_go(self, owners: Mapping[Key, str | None]) -> Key | None:
        """Which of the kept things to drop when there are too many: the oldest of the address that
        keeps most, among those whose visitor is gone.

        Args:
            owners: what is kept, least recently used first, each with its session.

        Returns:
            `None` where each belongs to an open page.
        """
        with self._lock:
            gone = {key: owner for key, owner in owners.items() if owner not in self._pages}
            addresses = {key: self._addresses.get(owner or "") for key, owner in gone.items()}
        if not gone:
            return None
        most = Counter(addresses.values())
        return max(gone, key=lambda key: most[addresses[key]])  # the first of the most

    def to_drop(
        self, owners: Mapping[Key, str | None], newest: Key, full: bool, most: int
    ) -> Key | None:
        """What to drop from a store before it keeps something new, if anything.

        Args:
            owners: what is kept, the new value included, least recently used first, each with its
                session.
            newest: the new value.
            full: whether the store holds too much.
            most: values that fit; one session may keep a quarter of them, one address a half.

        Raises:
            StoreFull: each of the others belongs to an open page of somebody else.
        """
        owner = owners[newest]
        address = self.address(owner)
        others = {key: session for key, session in owners.items() if key != newest}
        mine = [key for key, session in others.items() if owner and session == owner]
        near = [key for key, session in others.items() if self.address(session) == address]
        if len(mine) >= max(1, most // 4):
            return mine[0]
        if address is not None and len(near) >= max(1, most // 2):
            return near[0]
        if not full or not others:
            return None
        victim = self.first_to_go(others)
        if victim is None:
            if not mine:
                raise StoreFull
            return mine[0]
        return victim

    @staticmethod
    def _remember(table: OrderedDict[str, Any], session: str, value: Any) -> None:
        if len(session) > _MAX_NAME:
            return
        table[session] = value
        table.move_to_end(session)
        if len(table) > _MAX_SESSIONS:
            table.popitem(last=False)


VISITORS = Visitors()
"""Those of this process's app."""


def forwarding_is_trusted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a proxy stands in front of the app that writes `X-Forwarded-For`: on a Space, and
    where `DEFECT_TRUST_FORWARDED` is 1."""
    return environment.get(TRUST_SETTING, "1" if environment.get("SPACE_ID") else "") == "1"


def client_address(scope: Mapping[str, Any], trusted: bool) -> str:
    """The address a request comes from.

    Args:
        scope: the request's ASGI scope.
        trusted: whether to read `X-Forwarded-For`. Its last public address counts: what stands
            left of it was sent by the client, who may write anything there.
    """
    if trusted:
        headers: Iterable[tuple[bytes, bytes]] = scope.get("headers", ())
        chain = [value for name, value in headers if name == b"x-forwarded-for"]
        for part in reversed(b",".join(chain).decode("latin-1").split(",")[-20:]):
            try:
                found = ipaddress.ip_address(part.strip())
            except ValueError:
                continue
            if found.is_global:
                return _network(found)
    client = scope.get("client")
    try:
        return _network(ipaddress.ip_address(client[0])) if client else "unknown"
    except ValueError:
        return str(client[0]) if client else "unknown"


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """An IPv6 client usually has a whole /64 to itself."""
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))


def _decrease(counts: MutableMapping[str, int], name: str) -> None:
    left = counts.get(name, 0) - 1
    if left > 0:
        counts[name] = left
    else:
        counts.pop(name, None)


Translate = Callable[[Any, Any], str]
"""(message, request or `None`) → the text in the language of who asks."""
