"""The tabs' own parts, without a browser: what is kept, what is drawn, what is said."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from defect.detectors import catalogue
from defect.ui import cards as words
from defect.ui.batches import inspect_files
from defect.ui.sessions import BoundedStore
from defect.weights.errors import NotAvailable
from tests.conftest import EXAMPLES

CAP = sorted((EXAMPLES / "rendered_cap").glob("*.jpg"))


def test_the_longest_unused_is_forgotten_first() -> None:
    kept: BoundedStore[int] = BoundedStore(2)
    one, two = kept.put(1), kept.put(2)
    assert kept.get(one) == 1
    three = kept.put(3)
    assert (kept.get(one), kept.get(two), kept.get(three)) == (1, None, 3)
    kept.put(10, one)
    assert kept.get(one) == 10
    assert kept.get(None) is None
    assert kept.get("guessed") is None
    assert len({one, two, three}) == 3


def test_a_batch_is_small_and_ranked_and_judged_without_a_network() -> None:
    described: list[tuple[int, int]] = []
    batch = inspect_files(
        [str(path) for path in CAP] * 3, "cae", "rendered_cap", 1.0, lambda *n: described.append(n)
    )
    assert described[-1] == (12, 12)
    scores = [inspection.score for inspection in batch.inspections]
    assert scores == sorted(scores, reverse=True)
    for look in batch.looks:
        i = look.inspection
        assert i.error_map is None and i.reconstruction is None
        held = i.photo.nbytes + i.anomaly_map.nbytes
        assert held + len(look.tile) < 350_000
        assert look.size <= held + len(look.tile)
        assert i.anomaly_map.base is None
    assert {row.verdict for row in batch.at(0.01).rows()} == {"defective"}
    assert {row.verdict for row in batch.at(1000).rows()} == {"normal"}


@pytest.mark.parametrize(
    ("count", "limit", "words_"),
    [(0, 1.0, "no photos yet"), (201, 1.0, "at most 200"), (1, 0.0, "above 0")],
)
def test_senseless_batches_are_refused(count: int, limit: float, words_: str) -> None:
    with pytest.raises(ValueError, match=words_):
        inspect_files([str(CAP[0])] * count, "cae", "rendered_cap", limit)


def test_two_visitors_load_a_network_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = catalogue.load

    def counted(model, category):
        loaded.append(model)
        return load(model, category)

    monkeypatch.setattr(catalogue, "load", counted)
    catalogue._MODELS.clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: catalogue.inspector("cae", "rendered_cap"), range(4)))
    assert loaded == ["cae"]
    assert all(inspector is found[0] for inspector in found)


def test_the_catalogue_lists_what_there_is() -> None:
    categories = catalogue.categories()
    assert categories["bottle"].models == ("dae", "cae", "vae", "memory")
    assert categories["bottle"].examples == ()
    assert categories["rendered_cap"].examples[0].caption == "good"
    assert catalogue.default_category().rendered
    for name, words_ in (("teapot", "no category"), ("../x", "no category")):
        with pytest.raises(NotAvailable, match=words_):
            catalogue.inspector("cae", name)
    with pytest.raises(NotAvailable, match="VAE"):
        catalogue.header("vae", "rendered_cap")


def test_a_name_from_outside_is_escaped() -> None:
    assert "<script" not in words.problem("<script>")


def test_an_inspection_of_a_phone_photo_keeps_little(tmp_path: Path) -> None:
    from PIL import Image

    from defect.imaging.photo import read_photo

    Image.new("RGB", (4000, 3000), "grey").save(tmp_path / "phone.jpg")
    kept = read_photo(tmp_path / "phone.jpg")
    assert kept.shown.shape == (768, 1024, 3)
    assert kept.seen.shape == (256, 256, 3)
    assert np.shares_memory(kept.shown, kept.seen) is False
