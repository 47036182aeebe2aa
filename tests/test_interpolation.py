"""Paths between codes, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import vaezoo
from vaezoo.interpolation import linear, spherical

B, D, T = 5, 7, 4


def codes(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_a_quarter_turn_is_sine_and_cosine() -> None:
    a, b = torch.tensor([[2.0, 0.0]]).double(), torch.tensor([[0.0, 2.0]]).double()
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    angle = t * math.pi / 2
    expected = 2 * torch.stack([angle.cos(), angle.sin()], dim=1)
    torch.testing.assert_close(spherical(a, b, t)[:, 0], expected, rtol=0, atol=1e-14)


def test_codes_of_one_length_follow_the_formula_of_white_2016() -> None:
    a, b = (codes(B, D, seed=s) for s in (1, 2))
    b = b * (a.norm(dim=1) / b.norm(dim=1)).unsqueeze(1)
    t = torch.linspace(0, 1, T, dtype=torch.float64)
    cosine = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    omega = cosine.acos().view(1, B, 1)
    s = t.view(-1, 1, 1)
    expected = (((1 - s) * omega).sin() * a + (s * omega).sin() * b) / omega.sin()
    torch.testing.assert_close(spherical(a, b, t), expected, rtol=0, atol=1e-12)


def test_the_length_changes_evenly_and_so_does_the_angle() -> None:
    a, b = codes(B, D, seed=1), 3 * codes(B, D, seed=2)
    t = torch.tensor([0.0, 0.2, 0.7, 1.0]).double()
    z = spherical(a, b, t)
    lengths = torch.outer(1 - t, a.norm(dim=1)) + torch.outer(t, b.norm(dim=1))
    torch.testing.assert_close(z.norm(dim=2), lengths)

    def angle(u: Tensor, v: Tensor) -> Tensor:
        return ((u * v).sum(1) / (u.norm(dim=1) * v.norm(dim=1))).clamp(-1, 1).acos()

    torch.testing.assert_close(angle(a, z[1]), 0.2 * angle(a, b))
    torch.testing.assert_close(angle(a, z[2]), 0.7 * angle(a, b))


@pytest.mark.parametrize("path", [linear, spherical])
@pytest.mark.parametrize("shape", [(D,), (2, 3, 4)])
def test_paths_begin_and_end_at_the_codes_of_any_shape(path, shape) -> None:
    a, b = codes(B, *shape, seed=1), codes(B, *shape, seed=2)
    z = path(a, b, torch.linspace(0, 1, T, dtype=torch.float64))
    assert z.shape == (T, B, *shape)
    torch.testing.assert_close(z[0], a)
    torch.testing.assert_close(z[-1], b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((1.0, 2.0), (1.0, 2.0)),
        ((1.0, 2.0), (3.0, 6.0)),
        ((1.0, 2.0), (1.0, 2.0 + 1e-9)),
        ((0.0, 0.0), (1.0, 2.0)),
        ((1.0, 2.0), (0.0, 0.0)),
        ((0.0, 0.0), (0.0, 0.0)),
        ((1.0, 2.0), (-1.0, -2.0)),
        ((1e-30, 0.0), (0.0, 1e-30)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_line_stands_in_where_there_is_no_arc(a, b, dtype) -> None:
    a, b = (torch.tensor([code], dtype=dtype) for code in (a, b))
    t = torch.linspace(0, 1, T, dtype=dtype)
    torch.testing.assert_close(spherical(a, b, t), linear(a, b, t), rtol=0, atol=1e-7)


def test_the_arc_passes_into_the_line_without_a_jump() -> None:
    t = torch.tensor([0.5])
    a = torch.tensor([[1.0, 0.0]])
    for angle in (1e-2, 1e-3, 4e-4, 3e-4, 1e-5):
        b = torch.tensor([[math.cos(angle), math.sin(angle)]])
        middle = torch.tensor([math.cos(angle / 2), math.sin(angle / 2)])
        torch.testing.assert_close(spherical(a, b, t)[0, 0], middle, rtol=0, atol=2e-7)


def test_models_interpolate_in_both_modes() -> None:
    torch.manual_seed(0)
    model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=3)
    x = torch.rand(4, 1, 6, 5)
    a, b = x[:2], x[2:]
    t = torch.linspace(0, 1, 5)
    for mode, path in (("linear", linear), ("spherical", spherical)):
        images = model.interpolate(a, b, 5, mode=mode)
        assert images.shape == (2, 5, 1, 6, 5)
        z = path(model.embed(a), model.embed(b), t)
        torch.testing.assert_close(images.transpose(0, 1), model.decode(z).mean)
    assert torch.equal(model.interpolate(a, b, 5), model.interpolate(a, b, 5, mode="linear"))


def test_another_mode_or_too_few_steps_get_one_clear_error() -> None:
    model, x = vaezoo.create("vae", input_shape=(1, 6, 5)), torch.rand(1, 1, 6, 5)
    with pytest.raises(vaezoo.OptionError, match="Did you mean 'spherical'"):
        model.interpolate(x, x, mode="sphere")
    with pytest.raises(vaezoo.DataError, match="at least its 2 ends as steps, not 1"):
        model.interpolate(x, x, 1)
