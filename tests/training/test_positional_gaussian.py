"""The Gaussians of a memory: exact without a photo, shared around a block, wider for copies."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from defect.detectors import memory as normal
from defect.training.positional_gaussian import PositionalGaussian, _neighbourhood


def test_leaving_a_photo_out_is_what_teaching_without_it_gives() -> None:
    draw = torch.Generator().manual_seed(3)
    own = torch.randn(12, 1024, normal.DIRECTIONS, generator=draw)
    copies, photos = own + 0.3 * torch.randn(own.shape, generator=draw), np.arange(12)
    every = PositionalGaussian(own, copies, photos)
    left_out = every.distances([(own[:1], np.array([0]))])[0]
    plain = normal.place_distance(every.mean, every.whitening, own[:1])
    others = PositionalGaussian(own[1:], copies[1:], photos[:11])
    apart = normal.place_distance(others.mean, others.whitening, own[:1])
    torch.testing.assert_close(left_out, apart, rtol=5e-3, atol=5e-3)
    assert plain.mean() < 0.9 * apart.mean()  # judged with itself inside, a photo looks better


def test_a_block_shares_its_covariance_with_the_places_around_it() -> None:
    places, weights = _neighbourhood()
    torch.testing.assert_close(weights.sum(1), torch.ones(64))
    inner = 9  # the second block of the second row: places 4 to 7 of both
    own = {32 * row + column for row in range(4, 8) for column in range(4, 8)}
    near = {32 * row + column for row in range(2, 10) for column in range(2, 10)}
    assert set(places[inner, :16].tolist()) == own
    assert set(places[inner, weights[inner] > 0].tolist()) == near
    assert int((weights[0] > 0).sum()) == 36  # a corner has fewer around it


def test_what_varies_around_a_block_is_forgiven_in_it() -> None:
    draw = torch.Generator().manual_seed(0)
    own = 0.1 * torch.randn(10, 1024, normal.DIRECTIONS, generator=draw)
    for row in range(8, 10):  # just under the second row of blocks
        own[:, 32 * row : 32 * row + 32, 0] += torch.randn(10, 32, generator=draw)
    fitted = PositionalGaussian(own, own[:1], np.array([0]))
    odd = own.mean(0).repeat(2, 1, 1)
    odd[0, :, 0] += 1
    odd[1, :, 1] += 1
    distance = normal.place_distance(fitted.mean, fitted.whitening, odd)
    near, strange = distance[:, 32 * 4 : 32 * 8].mean(1)
    far = distance[0, 32 * 20 :].mean()
    assert near < 0.8 * far and near < 0.8 * strange


def test_a_photo_without_copies_is_left_out_exactly_too() -> None:
    draw = torch.Generator().manual_seed(4)
    own = torch.randn(45, 1024, normal.DIRECTIONS, generator=draw)
    copied = np.arange(40)
    copies = own[:40] + 0.5 * torch.randn(40, 1024, normal.DIRECTIONS, generator=draw)
    left_out = PositionalGaussian(own, copies, copied).distances([(own[44:], np.array([44]))])[0]
    others = PositionalGaussian(own[:44], copies, copied)
    apart = normal.place_distance(others.mean, others.whitening, own[44:])
    torch.testing.assert_close(left_out, apart, rtol=5e-3, atol=5e-3)


def test_two_photos_that_have_nothing_in_common_can_be_fitted() -> None:
    own = torch.zeros(2, 1024, normal.DIRECTIONS)
    own[1] = 30 * torch.randn(normal.DIRECTIONS, generator=torch.Generator().manual_seed(1))
    fitted = PositionalGaussian(own, own.repeat_interleave(3, 0), np.repeat([0, 1], 3))
    assert fitted.distances([(own, np.arange(2))])[0].isfinite().all()


def test_many_photos_alike_but_for_one_can_be_fitted() -> None:
    draw = torch.Generator().manual_seed(2)
    own = torch.zeros(20, 1024, normal.DIRECTIONS)
    own[:19] += 1e-4 * torch.randn(19, 1024, normal.DIRECTIONS, generator=draw)
    own[19] = 30 * torch.randn(1024, normal.DIRECTIONS, generator=draw)
    fitted = PositionalGaussian(own, own.repeat_interleave(2, 0), np.repeat(np.arange(20), 2))
    found = fitted.distances([(own, np.arange(20))])[0].mean(1)
    assert found.isfinite().all() and found[19] > 10 * found[:19].max()


@pytest.mark.parametrize("count", [1, 2, 4])
def test_what_moves_in_copies_is_forgiven(count: int) -> None:
    draw = torch.Generator().manual_seed(0)
    own = 0.1 * torch.randn(count, 1024, normal.DIRECTIONS, generator=draw)
    photos = np.repeat(np.arange(count), 6)
    moves = torch.zeros(len(photos), 1024, normal.DIRECTIONS)
    moves[..., 0] = torch.randn(len(photos), 1024, generator=draw)
    fitted = PositionalGaussian(own, own[photos] + moves, photos)
    odd = own.mean(0).repeat(2, 1, 1)
    odd[0, :, 0] += 1  # as the copies do
    odd[1, :, 1] += 1  # as none does
    moved, strange = normal.place_distance(fitted.mean, fitted.whitening, odd).mean(1)
    assert strange > 2 * moved
