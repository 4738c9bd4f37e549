"""What the server keeps between requests: bounded, for an hour, and for whom."""

from __future__ import annotations

import numpy as np
import pytest

from defect.ui.sessions import DETECTORS, SECONDS, SessionStore, find_detector, find_header
from defect.weights.errors import NotAvailable
from tests.ui.cases import metadata_of


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def store(most: int = 10, max_bytes: float = 1e9, clock: Clock | None = None) -> SessionStore:
    return SessionStore(
        most, max_bytes, lambda values: sum(map(len, values)), clock=clock or Clock()
    )


def test_the_least_recently_used_goes_first() -> None:
    values = store(most=2)
    one, two = values.put(b"1"), values.put(b"2")
    assert values.get(one) == b"1"
    three = values.put(b"3")
    assert (values.get(one), values.get(two), values.get(three)) == (b"1", None, b"3")
    values.put(b"10", key=one)
    assert values.get(one) == b"10"
    assert values.get(None) is None
    assert values.get("guessed") is None
    assert len({one, two, three}) == 3
    assert all(len(key) >= 22 for key in (one, two, three))


def test_values_go_by_their_bytes() -> None:
    values = store(max_bytes=100)
    first, second = values.put(bytes(60)), values.put(bytes(30))
    assert values.get(first) is not None
    third = values.put(bytes(40))
    assert values.get(second) is None
    assert values.get(first) == bytes(60)
    assert values.get(third) == bytes(40)
    large = values.put(bytes(500))  # the latest always stays
    assert values.get(large) is not None
    assert values.get(first) is None


def test_what_values_share_counts_once() -> None:
    shared = np.zeros(1000)
    values: SessionStore[list[np.ndarray]] = SessionStore(10, 10_000)
    keys = [values.put([shared, np.zeros(20)]) for _ in range(5)]
    assert all(values.get(key) is not None for key in keys)


def test_an_hour_after_the_last_use_a_value_is_gone() -> None:
    clock = Clock()
    values = store(clock=clock)
    key, idle = values.put(b"used"), values.put(b"idle")
    for _ in range(3):
        clock.now += SECONDS * 0.6
        assert values.get(key) == b"used"
    assert values.get(idle) is None
    clock.now += SECONDS
    assert values.get(key) is None


def test_a_visitor_s_values_go_with_the_visitor() -> None:
    values = store()
    mine, yours = values.put(b"a", "me"), values.put(b"b", "you")
    other = values.put(b"c", "me")
    values.forget(other)
    values.forget_session("me")
    assert values.get(mine) is None
    assert values.get(yours) == b"b"
    values.forget_session("nobody")
    values.forget(None)


class OneDetector:
    name, category, source = "memory", "part", None
    metadata = metadata_of({"held_out": [100], "good": [], "defective": []})


def test_a_key_is_a_detector_s_name_everywhere() -> None:
    detector = OneDetector()
    key = DETECTORS.put(detector)  # type: ignore[arg-type]
    assert find_detector(key) is detector
    assert find_detector(key, "bottle") is detector  # the category is ignored
    assert find_header(key)[0] is detector.metadata
    DETECTORS.forget(key)
    for question in (find_detector, find_header):
        with pytest.raises(NotAvailable, match="no longer kept"):
            question(key)
        with pytest.raises(NotAvailable, match="no detector yet"):
            question(None)
    with pytest.raises(NotAvailable, match='no model "resnet"'):
        find_detector("resnet", "bottle")
    assert find_header("dae", "rendered_cap")[0].model == "dae"
