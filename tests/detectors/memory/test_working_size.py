"""The size photos are inspected at."""

from __future__ import annotations

import pytest

from defect.detectors.memory.working_size import MULTIPLE, SIDE, working_size


@pytest.mark.parametrize("shape", [(1600, 600), (600, 1600), (900, 900), (64, 48)])
def test_the_aspect_ratio_is_kept(shape: tuple[int, int]) -> None:
    height, width = working_size([(*shape, 3)])
    assert height % MULTIPLE == width % MULTIPLE == 0
    assert height / width == pytest.approx(shape[0] / shape[1], rel=0.1)
    assert height * width == pytest.approx(SIDE**2, rel=0.1)


def test_one_photo_of_another_shape_changes_nothing() -> None:
    assert working_size([(600, 800, 3)] * 4 + [(3000, 300, 3)]) == working_size([(600, 800, 3)])


def test_a_strip_is_squeezed_to_a_bearable_ratio() -> None:
    height, width = working_size([(40, 4000, 3)])
    assert height >= 4 * MULTIPLE and width / height < 8
