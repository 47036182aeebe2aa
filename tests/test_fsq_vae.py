"""fsq-vae: the grid of values, indices there and back, and the gradient."""

from __future__ import annotations

import math
from math import prod
from typing import Any

import pytest
import torch
from torch import nn
from training_helpers import images, small

import vaezoo
from vaezoo.heads import PointMass
from vaezoo_plugins.fsq_vae import ScalarQuantizer

LEVELS = (4, 3, 5)
L = 3


class Given(nn.Module):
    """An encoder whose outputs are the data."""

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> PointMass:
        return PointMass(x, x.ndim - 1)


def quantizer(levels: tuple[int, ...] = LEVELS, grid_ndim: int = 1) -> ScalarQuantizer:
    return ScalarQuantizer(Given(), levels, grid_ndim).double()


def outputs(scale: float = 3.0) -> torch.Tensor:
    torch.manual_seed(0)
    return scale * torch.randn(2000, len(LEVELS), L, dtype=torch.float64)


def test_there_are_as_many_codes_as_the_product_of_the_levels() -> None:
    quantize = quantizer()
    q = quantize(outputs())
    assert quantize.num_codes == prod(LEVELS) == 60
    assert torch.equal(q.index.unique(), torch.arange(60))  # all, and no other
    vectors = q.mean.movedim(1, -1).flatten(0, 1)
    assert len(vectors.unique(dim=0)) == 60


def test_values_lie_on_the_grid() -> None:
    mean = quantizer()(outputs()).mean
    assert mean[:, 0].unique().tolist() == [-1, -0.5, 0, 0.5]
    assert mean[:, 1].unique().tolist() == [-1, 0, 1]
    assert mean[:, 2].unique().tolist() == [-1, -0.5, 0, 0.5, 1]
    assert not quantizer().bounded(torch.zeros(1, 3, L, dtype=torch.float64)).any()


@pytest.mark.parametrize("grid", [(7,), (2, 5)])
def test_indices_lead_to_the_codes_and_back(grid: tuple[int, ...]) -> None:
    quantize = quantizer(grid_ndim=len(grid))
    index = torch.randint(60, (4, 6, *grid))
    z = quantize.lookup(index)
    assert z.shape == (4, 6, 3, *grid)
    q = quantize(5 * torch.randn(8, 3, *grid, dtype=torch.float64))
    assert torch.equal(quantize.lookup(q.index), q.mean)
    assert (
        len(quantize.lookup(torch.arange(60).expand(*grid, 60).movedim(-1, 0)).unique(dim=0)) == 60
    )


def test_even_and_odd_levels_are_all_reached() -> None:
    for levels in range(3, 9):
        quantize = quantizer((levels,))
        x = torch.linspace(-20, 20, 999, dtype=torch.float64).reshape(1, 1, -1)
        assert torch.equal(quantize(x).index.unique(), torch.arange(levels))


def test_the_gradient_is_that_of_the_bounded_output() -> None:
    quantize, x = quantizer(), outputs(1.0).requires_grad_()
    direction = torch.randn(2000, 3, L, dtype=torch.float64)
    (through,) = torch.autograd.grad((quantize(x).rsample() * direction).sum(), x)
    half_width = torch.tensor([2.0, 1.0, 2.0], dtype=torch.float64).reshape(3, 1)
    normalised = x / x.square().mean((1, 2), keepdim=True).sqrt()
    bounded = quantize.bounded(normalised) / half_width
    (expected,) = torch.autograd.grad((bounded * direction).sum(), x)
    assert torch.allclose(through, expected, rtol=1e-9)


def test_outputs_that_grow_do_not_saturate() -> None:
    quantize, x = quantizer(), outputs(1.0)
    assert torch.equal(quantize(1000 * x).index, quantize(x).index)
    x = (1000 * x).requires_grad_()
    (gradient,) = torch.autograd.grad(quantize(x).rsample().square().sum(), x)
    assert (1000 * gradient).abs().mean() > 0.1
    with pytest.raises(vaezoo.OptionError, match="of one number"):
        vaezoo.create("fsq-vae", levels=(8,), latent_dim=1)


def test_the_loss_has_no_other_term() -> None:
    model, x = small("fsq-vae", levels=LEVELS), images(5)
    trace = model(x)
    assert not trace.penalties
    assert torch.allclose(trace.kl, torch.full((1, 5), L * math.log(60)))
    assert model.latent_shape == (3, L)
    assert model.embed(x).shape == (5, 9)


def test_a_draw_of_the_prior_is_on_the_grid() -> None:
    model = small("fsq-vae", levels=LEVELS)
    z = model.sample_prior(200)
    assert z.shape == (200, 3, L)
    assert z[:, 0].unique().tolist() == [-1, -0.5, 0, 0.5]
    assert model.double().sample_prior(2).dtype == torch.float64


@pytest.mark.parametrize("options", [{"levels": ()}, {"levels": (5, 2)}])
def test_impossible_levels_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(vaezoo.OptionError, match="levels must hold numbers of at least 3"):
        vaezoo.create("fsq-vae", **options)


def test_a_latent_shape_has_as_many_channels_as_there_are_levels() -> None:
    with pytest.raises(vaezoo.OptionError, match=r"here a code has 4: give .*\(4, 2, 3\)"):
        vaezoo.create("fsq-vae", latent_shape=(8, 2, 3))
