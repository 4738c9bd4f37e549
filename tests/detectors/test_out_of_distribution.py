"""Whether photos unlike everything taught are told apart, on activations made here."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defect.detectors.out_of_distribution import (
    CHANNELS,
    OutOfDistribution,
    distances,
    fit_out_of_distribution,
    refused_share,
    restore_out_of_distribution,
)


def _drawn(count: int, seed: int, kinds: int = 2) -> tuple[torch.Tensor, np.ndarray]:
    """Activations of kinds that lie apart, correlated within."""
    draw = torch.Generator().manual_seed(seed)
    mixing = torch.randn(CHANNELS, CHANNELS, generator=torch.Generator().manual_seed(1)) / 22
    labels = np.arange(count) % kinds
    within = torch.randn(count, CHANNELS, generator=draw) @ mixing
    return within + 5 * torch.from_numpy(labels).unsqueeze(1), labels


@pytest.fixture(scope="module")
def ood_score() -> OutOfDistribution:
    return fit_out_of_distribution(*_drawn(1200, 2), [_drawn(300, 3)[0]])


def test_hardly_any_of_the_taught_kinds_is_refused(ood_score: OutOfDistribution) -> None:
    refused = (distances(ood_score, _drawn(2000, 4)[0]) > 1).float().mean()
    assert refused <= 0.005


def test_between_two_kinds_is_neither(ood_score: OutOfDistribution) -> None:
    between = _drawn(100, 5)[0]
    between = between - between.mean(1, keepdim=True) + 2.5
    assert bool((distances(ood_score, between) > 1).all())


def test_it_comes_back_from_a_file_s_tensors(ood_score: OutOfDistribution) -> None:
    back = restore_out_of_distribution(ood_score.tensors(), {"novelty_limit": ood_score.limit})
    assert back is not None
    some = _drawn(20, 6)[0]
    assert torch.equal(distances(back, some), distances(ood_score, some))
    assert restore_out_of_distribution({}, {"classes": []}) is None


def test_half_of_it_is_refused(ood_score: OutOfDistribution) -> None:
    tensors, numbers = ood_score.tensors(), {"novelty_limit": 1.0}
    with pytest.raises(ValueError, match="not complete"):
        restore_out_of_distribution(tensors, {})
    with pytest.raises(ValueError, match="not complete"):
        restore_out_of_distribution({"means": tensors["means"]}, numbers)
    with pytest.raises(ValueError, match="does not fit"):
        restore_out_of_distribution(tensors | {"spread": torch.ones(3)}, numbers)


def test_the_refused_share_is_of_photos_that_did_not_set_the_limit() -> None:
    found = np.random.default_rng(0).lognormal(size=400)
    assert refused_share(found) <= 0.03
    found[::2] *= 100
    # One half sets a limit the other never reaches, and the other way round all are over.
    assert refused_share(found) == pytest.approx(0.48, abs=0.03)
