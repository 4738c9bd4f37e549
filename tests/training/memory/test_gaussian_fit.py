"""The hierarchical Gaussian: leave-one-out is refitting, and means shrink as the photos demand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defect.training.memory.gaussian_fit import Fit

CHANNELS, SIDE, BLOCK = 24, 8, 4


def _features(count: int, seed: int = 0, places: float = 1.0) -> torch.Tensor:
    """N×8×8×24: noise about means that differ between places by so many standard deviations."""
    draw = torch.Generator().manual_seed(seed)
    means = places * torch.randn(
        1, SIDE, SIDE, CHANNELS, generator=torch.Generator().manual_seed(9)
    )
    return means + torch.randn(count, SIDE, SIDE, CHANNELS, generator=draw)


@pytest.mark.parametrize("count", [2, 3, 8])
def test_among_few_photos_leaving_one_out_is_refitting(count: int) -> None:
    features = _features(count)
    (found,) = Fit(features, BLOCK).without([(features, np.arange(count))])
    for i in range(count):
        others = torch.cat([features[:i], features[i + 1 :]])
        expected = Fit(others, BLOCK).gaussian().distance(features[i : i + 1])[0]
        torch.testing.assert_close(found[i], expected)


def test_among_many_photos_it_is_refitting_but_for_a_few_percent() -> None:
    features = _features(20)
    whole = Fit(features, BLOCK)
    (found,) = whole.without([(features, np.arange(20))])
    for i in (0, 7, 19):
        others = torch.cat([features[:i], features[i + 1 :]])
        expected = Fit(others, BLOCK).gaussian().distance(features[i : i + 1])[0]
        torch.testing.assert_close(found[i], expected, rtol=0.1, atol=0.05)
        assert float(found[i].mean()) == pytest.approx(float(expected.mean()), rel=0.06)
    # With itself among those that judge, a photo has a lower score.
    assert float(whole.gaussian().distance(features).mean()) < 0.95 * float(found.mean())


def test_anomalies_are_judged_without_the_photo_they_were_made_from() -> None:
    features = _features(12)
    anomalous = features[[3, 3, 5]].clone()
    anomalous[:, 2:4, 2:4] += 4
    good, bad = Fit(features, BLOCK).without(
        [(features, np.arange(12)), (anomalous, np.array([3, 3, 5]))]
    )
    torch.testing.assert_close(bad[0], bad[1])
    assert float(bad[:, 2:4, 2:4].min()) > 2 * float(good[[3, 5], 2:4, 2:4].max())
    torch.testing.assert_close(bad[2, 6:], good[5, 6:])  # other blocks do not notice


def test_a_texture_ends_with_one_mean_and_an_aligned_part_with_one_a_place() -> None:
    """Empirical Bayes: what places have in common decides how far their means shrink."""

    def spread(places: float) -> float:
        fit = Fit(_features(12, places=places), BLOCK)
        mean = fit.gaussian().mean.flatten(0, 1)
        plain = fit.own_mean.flatten(0, 1)
        return float(mean.var(0).sum() / plain.var(0).sum())

    assert spread(0) < 0.2
    assert spread(3) > 0.9


def test_more_photos_shrink_less() -> None:
    kept = [float(Fit(_features(n, places=1), BLOCK).kept.mean()) for n in (2, 6, 24)]
    assert kept == sorted(kept) and kept[2] > kept[0] + 0.1


def test_a_block_learns_its_own_covariance_from_many_photos() -> None:
    """One direction varies in one block only: deviating along it is normal there alone."""
    features = _features(40, places=0)
    draw = torch.Generator().manual_seed(5)
    features[:, :4, :4, 0] += 4 * torch.randn(40, 4, 4, generator=draw)
    gaussian = Fit(features, BLOCK).gaussian()
    probe = features.mean(0, keepdim=True)
    probe[..., 0] += 6
    distance = gaussian.distance(probe)[0]
    assert float(distance[:4, :4].mean()) < 0.7 * float(distance[4:, 4:].mean())


def test_usual_deviations_are_about_one() -> None:
    gaussian = Fit(_features(30), BLOCK).gaussian()
    assert float(gaussian.distance(_features(5, seed=3)).mean()) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("count", [1, 2, 20])
def test_dead_channels_and_one_far_photo_give_finite_distances(count: int) -> None:
    features = 1e-3 * _features(count)
    features[..., :6] = 0
    features[-1] *= 1000
    fit = Fit(features, BLOCK)
    (found,) = fit.without([(features, np.arange(count))])
    for distance in (found, fit.gaussian().distance(features)):
        assert bool(torch.isfinite(distance).all()) and float(distance.min()) >= 0


def test_half_precision_is_enough() -> None:
    features = _features(10)
    one, other = Fit(features, BLOCK), Fit(features.half(), BLOCK)
    torch.testing.assert_close(
        one.gaussian().distance(features),
        other.gaussian().distance(features),
        rtol=2e-2,
        atol=2e-2,
    )
