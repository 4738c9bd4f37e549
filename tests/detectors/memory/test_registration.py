"""Registration: known turns and shifts are recovered, and maps come back to the photo's frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from defect.detectors.memory.registration import (
    COARSE,
    FINE,
    Poses,
    Template,
    _from_spectrum,
    _spectrum,
    build_template,
    inverse,
    is_isolated,
    thumbnails,
    warp,
)
from tests.factories import bracket, textured_photos, turned_parts


def _pixels(*photos: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2).float() / 255


def _register(template: Template, pixels: torch.Tensor) -> Poses:
    return template.register(thumbnails(pixels, COARSE), thumbnails(pixels, FINE))


def _degrees_apart(angle: float, degrees: float) -> float:
    """PIL turns counter-clockwise; with y downwards the pose's angle is the negative one."""
    return abs((math.degrees(angle) + degrees + 180) % 360 - 180)


@pytest.fixture(scope="module")
def template() -> Template:
    """The bracket as it is drawn, neither turned nor moved."""
    photo = bracket(0, (0, 0), np.random.default_rng(0))
    return Template(thumbnails(_pixels(photo), FINE)[0])


@pytest.mark.parametrize("degrees", [0, 7, 45, 121, 180, 263, 352])
@pytest.mark.parametrize("shift", [(0, 0), (9, -14)])
def test_a_known_pose_is_recovered(
    template: Template, degrees: int, shift: tuple[int, int]
) -> None:
    photo = bracket(degrees, shift, np.random.default_rng(1))
    poses = _register(template, _pixels(photo))
    assert _degrees_apart(float(poses.angle[0]), degrees) < 1
    assert np.abs(poses.shift[0].numpy() * 256 - shift).max() < 1
    assert float(poses.match[0]) > 0.98


def test_aligned_photos_show_the_template_s_pose(template: Template) -> None:
    pixels = _pixels(*turned_parts(4, 2))
    aligned = warp(pixels, _register(template, pixels))
    still = _pixels(bracket(0, (0, 0), np.random.default_rng(3)))
    assert float((aligned - still).abs().mean()) < 0.02
    assert float((pixels - still).abs().mean()) > 0.06


def test_a_map_comes_back_to_the_photo_s_frame(template: Template) -> None:
    photo = bracket(70, (6, -11), np.random.default_rng(1))
    poses = _register(template, _pixels(photo))
    marked = torch.zeros(1, 1, 256, 256)
    marked[..., 150:158, 90:98] = 1
    back = warp(warp(marked, poses), inverse(poses), padding="zeros")[0, 0]
    ys, xs = torch.nonzero(back > 0.5).float().mean(0)
    assert abs(float(ys) - 153.5) < 1 and abs(float(xs) - 93.5) < 1


def test_photos_of_any_aspect_ratio(template: Template) -> None:
    """Turning keeps shapes: the sides of a wide photo have one scale."""
    square = bracket(35, (0, 0), np.random.default_rng(1))
    wide = np.pad(square, ((0, 0), (64, 64), (0, 0)), mode="edge")
    straight = np.pad(
        bracket(0, (0, 0), np.random.default_rng(2)), ((0, 0), (64, 64), (0, 0)), mode="edge"
    )
    poses = _register(Template(thumbnails(_pixels(straight), FINE)[0]), _pixels(wide))
    assert _degrees_apart(float(poses.angle[0]), 35) < 1


def test_a_template_is_built_from_photos_at_any_angle() -> None:
    pixels = _pixels(*turned_parts(8, 5))
    built, poses = build_template(thumbnails(pixels, COARSE), thumbnails(pixels, FINE))
    assert float(poses.match.min()) > 0.97
    assert float(built.fine.std()) > 0.05


def test_only_a_part_on_an_even_ground_is_isolated() -> None:
    assert is_isolated(thumbnails(_pixels(*turned_parts(3, 0)), FINE))
    assert not is_isolated(thumbnails(_pixels(*textured_photos(3, 0)), FINE))


@pytest.mark.parametrize("size", [(48, 48), (39, 59)])
def test_the_transform_by_matrices_is_the_fourier_transform(size: tuple[int, int]) -> None:
    images = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    real, imaginary = _spectrum(images)
    torch.testing.assert_close(
        torch.complex(real, imaginary), torch.fft.rfft2(images), rtol=1e-4, atol=1e-3
    )
    torch.testing.assert_close(
        _from_spectrum(real, imaginary, size[1]), images, rtol=1e-4, atol=1e-5
    )
