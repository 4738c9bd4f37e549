"""What there is to choose from, and that a network is loaded once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from defect.detectors import catalogue
from defect.ui.tabs import cards
from defect.weights.errors import NotAvailable


def test_two_visitors_load_a_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = catalogue.load

    def counted(model, category):
        loaded.append(model)
        return load(model, category)

    monkeypatch.setattr(catalogue, "load", counted)
    catalogue._MODELS.clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: catalogue.detector("cae", "rendered_cap"), range(4)))
    assert loaded == ["cae"]
    assert all(detector is found[0] for detector in found)


def test_the_catalogue_lists_what_there_is() -> None:
    categories = catalogue.categories()
    assert categories["bottle"].models == ("memory", "dae", "cae", "vae")
    assert categories["bottle"].examples == ()
    assert categories["rendered_cap"].examples[0].caption == "good"
    assert catalogue.default_category().rendered
    for name, text in (("teapot", "no category"), ("../x", "no category")):
        with pytest.raises(NotAvailable, match=text):
            catalogue.detector("cae", name)
    with pytest.raises(NotAvailable, match="VAE"):
        catalogue.header("vae", "rendered_cap")


def test_a_name_from_outside_is_escaped() -> None:
    assert "<script" not in cards.problem("<script>")
