"""Likelihoods at the extremes of float32: finite values, finite gradients, none that vanish."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from likelihood_helpers import COUNTS, EVERY, GRID, grid_of, make_head

from vaezoo.heads import ContinuousBernoulliDistribution, NegativeBinomialDistribution

SHAPE = (2, 3, 5)


def ends(name: str) -> list[float]:
    """The extremes of the data that a likelihood takes."""
    if name in COUNTS:
        return [0.0, 1.0, 1e6, 2.0**24]
    return [-1e4, 1e4] if name in ("gaussian", "laplace") else [0.0, 1.0]


@pytest.mark.parametrize("size", [1e4, 300.0])
@pytest.mark.parametrize("name", EVERY)
def test_extreme_parameters_give_finite_values_and_gradients(name: str, size: float) -> None:
    head = make_head(name, SHAPE)
    generator = torch.Generator().manual_seed(0)
    shape = (64, *head.input_shape)
    parameters = size * torch.randint(-1, 2, shape, generator=generator).float()
    parameters.requires_grad_(True)
    for end in ends(name):
        x = torch.full((64, *SHAPE), end)
        loss = head(parameters).log_prob(x).sum()
        assert torch.isfinite(loss)
        found = torch.autograd.grad(loss, [parameters, *head.parameters()])
        assert all(torch.isfinite(gradient).all() for gradient in found)
    px = head(parameters.detach())
    for value in (px.mean, px.variance, px.sample()):
        assert torch.isfinite(value).all()


PREDICTED: dict[str, dict[str, Any]] = {
    "gaussian": {"sigma": "predicted"},
    "laplace": {"scale": "predicted", "value": 1e-4},
    "discretized-logistic": {"value": 1e4},
    "discretized-logistic-mixture": {"value": 1e-4},
    "negative-binomial": {"dispersion": "predicted", "value": 1e4},
    "zero-inflated-negative-binomial": {"dispersion": "predicted", "value": 1e-4},
}


@pytest.mark.parametrize("name", PREDICTED)
def test_extreme_scales_give_finite_values_and_gradients(name: str) -> None:
    head = make_head(name, (2,), **PREDICTED[name])
    values = torch.tensor([-1e4, -30.0, 0.0, 30.0, 1e4])
    parameters = torch.cartesian_prod(*[values] * 2)
    parameters = parameters.repeat_interleave(head.input_shape[0] // 2, dim=1)
    parameters.requires_grad_(True)
    for end in ends(name):
        log_px = head(parameters).log_prob(torch.full((1, 2), end))
        assert torch.isfinite(log_px).all()
        gradient = torch.autograd.grad(log_px.sum(), parameters)[0]
        assert torch.isfinite(gradient).all()


def test_no_logit_stops_the_gradient_of_the_continuous_bernoulli() -> None:
    logits = torch.tensor([-1e4, -100.0, -17.0, 17.0, 100.0, 1e4], requires_grad=True)
    log_px = ContinuousBernoulliDistribution(logits).log_prob(torch.tensor(0.5))
    gradient = torch.autograd.grad(log_px.sum(), logits)[0]
    assert (gradient.abs() > 0.4).all()


def test_no_log_mean_stops_the_gradient_of_the_negative_binomial() -> None:
    log_mean = torch.tensor([-1e4, -30.0, 30.0, 1e4], requires_grad=True)
    log_px = NegativeBinomialDistribution(log_mean, torch.zeros(4)).log_prob(torch.tensor(5.0))
    gradient = torch.autograd.grad(log_px.sum(), log_mean)[0]
    assert gradient.tolist() == pytest.approx([5.0, 5.0, -1.0, -1.0], rel=1e-4)


@pytest.mark.parametrize("name", GRID)
def test_a_mass_in_float32_sums_to_one_for_any_parameters(name: str) -> None:
    head = make_head(name, (1,))
    parameters = 20 * torch.randn(200, *head.input_shape)
    mass = head(parameters).log_prob(grid_of(256).float().unsqueeze(1)).exp()
    assert torch.allclose(mass.sum(0), torch.ones(200), atol=1e-3)
