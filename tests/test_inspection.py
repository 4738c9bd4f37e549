"""The sentence, the rounding that cannot contradict it, and photos of something else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from defect import load
from defect.inspection import multiple, percent, sentence, unfamiliar
from tests.conftest import EXAMPLES
from tests.test_regions import inspection


def test_one_plain_sentence() -> None:
    anomaly_map = np.full((256, 256), 0.2)
    anomaly_map[:40, :40] = 1.837
    seen = inspection(anomaly_map)
    assert sentence(seen) == (
        "Defective: 1.83 × the normal limit, largest region upper left, 2.4 % of the photo."
    )
    anomaly_map[250, 250] = 1.2
    assert sentence(inspection(anomaly_map)).endswith("(2 regions, 2.4 % in all).")
    assert sentence(seen.at(2)) == (
        "Looks normal: its strangest place reaches 1.83 × the normal limit."
    )


@pytest.mark.parametrize("score", [0.996, 0.9999999, 1.0, 1.004, 1.15, 2.3, 0.3])
def test_what_is_shown_reaches_a_limit_exactly_when_the_score_does(score: float) -> None:
    for limit in (0.3, 1.0, 1.15, 2.3):
        seen = replace(inspection(np.full((256, 256), 0.1)), score=score, limit=limit)
        assert (float(multiple(score)) >= limit) == seen.defective


def test_something_is_never_nothing() -> None:
    assert percent(1 / 65536) == "under 0.1 %"
    assert percent(0.0214) == "2.1 %"
    assert percent(0) == "0.0 %"


def test_another_product_is_suspected_and_a_large_defect_is_not() -> None:
    anomaly_map = np.full((256, 256), 0.2)
    anomaly_map[:90] = 9.0  # a third of the photo
    assert not unfamiliar(inspection(anomaly_map))
    anomaly_map[:110] = 1.1
    assert unfamiliar(inspection(anomaly_map))
    assert unfamiliar(inspection(anomaly_map).at(3.0))  # whatever the threshold


@pytest.mark.parametrize("category", ["rendered_cap", "rendered_washer"])
def test_every_example_is_familiar_to_its_own_model_alone(category: str) -> None:
    inspect = load("cae", category)
    for other in ("rendered_cap", "rendered_washer", "rendered_weave", "rendered_brushed"):
        photos = sorted((EXAMPLES / other).glob("*.jpg"))
        found = [unfamiliar(seen) for seen in inspect([str(photo) for photo in photos])]
        assert found == [other != category] * len(photos), other
