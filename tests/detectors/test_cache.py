"""Loaded models are kept by their bytes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from defect import load
from defect.detectors import catalogue
from defect.detectors.cache import ModelCache, held_bytes
from defect.detectors.feature_extractors import load_extractor
from defect.detectors.registry import DETECTORS
from defect.weights.index import read_index


class Model:
    def __init__(self, floats: int) -> None:
        self.table = torch.zeros(floats)


def test_the_least_recently_used_go_when_bytes_run_out() -> None:
    cache: ModelCache[Model] = ModelCache(1000)
    loaded: list[str] = []

    def get(name: str, floats: int) -> Model:
        def make() -> Model:
            loaded.append(name)
            return Model(floats)

        return cache.get(name, make)

    small = get("a", 100)
    get("b", 100)
    assert get("a", 100) is small
    get("c", 100)  # 1200 bytes: b was unused longest
    assert get("a", 100) is small
    assert cache.held == 800
    get("b", 100)
    assert loaded == ["a", "b", "c", "b"]
    get("large", 5000)
    assert cache.held == 20_000
    get("a", 100)
    assert cache.held == 400


def test_a_failed_load_keeps_nothing_and_can_be_tried_again() -> None:
    cache: ModelCache[Model] = ModelCache(1000)

    def fail() -> Model:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cache.get("a", fail)
    assert cache.held == 0
    assert cache.get("a", lambda: Model(1))


def test_a_kept_model_is_returned_while_another_loads() -> None:
    cache: ModelCache[Model] = ModelCache(1000)
    cache.get("a", lambda: Model(1))
    slow, begun = threading.Event(), threading.Event()

    def load_slowly() -> Model:
        begun.set()
        assert slow.wait(60)
        return Model(1)

    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(cache.get, "b", load_slowly)
        assert begun.wait(60)
        # Returns although the other load has not ended, and cannot before `slow` is set.
        cache.get("a", load_slowly)
        assert not waiting.done()
        slow.set()
        assert waiting.result(60)


def test_shared_tensors_are_counted_once() -> None:
    shared = torch.zeros(100)
    assert held_bytes([shared, shared.view(10, 10), {"x": np.zeros(10, np.uint8)}, "text"]) == 410


def test_the_catalogue_s_models_weigh_what_they_hold() -> None:
    cae = held_bytes(load("cae", "rendered_cap"))
    assert 777_987 * 4 < cae < 20e6
    catalogue._MODELS.clear()
    catalogue.detector("cae", "rendered_cap")
    assert catalogue._MODELS.held == cae


def test_all_bundled_models_fit_together() -> None:
    """Otherwise visitors who take turns would have a model loaded for every photo."""
    entries = [entry for entry in read_index() if entry.model in DETECTORS]
    first = {entry.model: entry.category for entry in reversed(entries)}
    extractor = held_bytes(load_extractor()[0])
    sizes = {
        model: held_bytes(load(model, category)) - extractor * (model == "memory")
        for model, category in first.items()
    }
    together = extractor + sum(sizes[entry.model] for entry in entries)
    assert together + held_bytes(load("cnn")) < catalogue.MODEL_BYTES


def test_what_two_models_share_counts_once() -> None:
    shared = torch.zeros(1000)
    kept: ModelCache[list[torch.Tensor]] = ModelCache(10_000)
    for name in "ab":
        kept.get(name, lambda: [shared, torch.zeros(100)])
    assert kept.held == 4 * (1000 + 2 * 100)
