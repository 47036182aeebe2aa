"""Likelihoods as distributions: normalised, sampled as they say, and true to their formulas."""

from __future__ import annotations

import math

import pytest
import torch
from likelihood_helpers import EVERY, grid_of, make_head
from torch import Tensor
from torch.distributions import (
    ContinuousBernoulli,
    Distribution,
    Laplace,
    NegativeBinomial,
    Poisson,
)

from vaezoo.heads import (
    CategoricalDistribution,
    ContinuousBernoulliDistribution,
    DiscretizedLogisticDistribution,
    DiscretizedLogisticMixtureDistribution,
    NegativeBinomialDistribution,
    ZeroInflatedNegativeBinomialDistribution,
)
from vaezoo.heads.negative_binomial import log_choose

SHAPE = (2, 3, 5)
LOGITS = [-30.0, -3.0, -0.51, -0.49, -1e-3, 0.0, 1e-4, 0.2, 0.7, 8.0, 40.0]


def doubles(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


COUNTED = torch.arange(20_000, dtype=torch.float64).unsqueeze(-1)
LOGITS_3 = torch.linspace(-2, 3, 9, dtype=torch.float64).sin().view(3, 3)
LOGITS_256 = torch.linspace(-9, 70, 768, dtype=torch.float64).sin().view(3, 256)
MASSES: dict[str, tuple[Distribution, Tensor]] = {
    "categorical": (CategoricalDistribution(9 * LOGITS_3), grid_of(3)),
    "categorical-256": (CategoricalDistribution(LOGITS_256), grid_of(256)),
    "discretized-logistic": (
        DiscretizedLogisticDistribution(
            doubles(0.5, 0.0, 0.99, 5.0, -0.3, 0.2),
            doubles(-3.0, -1.0, -6.0, -7.0, 3.0, -10.0),
            256,
        ),
        grid_of(256),
    ),
    "discretized-logistic-2": (
        DiscretizedLogisticDistribution(doubles(0.1, 0.7), doubles(-1.0, -4.0), 2),
        grid_of(2),
    ),
    "discretized-logistic-mixture": (
        DiscretizedLogisticMixtureDistribution(
            LOGITS_3,
            torch.stack([doubles(0.1, 0.5, 0.9), doubles(-3, 5, 0), doubles(0.8, 0, 1)]),
            torch.stack([doubles(-3, -2, -6), doubles(-7, -7, 2), doubles(-1, 0, -9)]),
            256,
        ),
        grid_of(256),
    ),
    "negative-binomial": (
        NegativeBinomialDistribution(doubles(0.0, 2.0, 5.0, -3.0), doubles(0.0, -1.0, 9.0, 2.0)),
        COUNTED,
    ),
    "zero-inflated-negative-binomial": (
        ZeroInflatedNegativeBinomialDistribution(
            doubles(0.0, 2.0, 5.0), doubles(1.0, -2.0, -30.0), doubles(0.0, -1.0, 9.0)
        ),
        COUNTED,
    ),
}


@pytest.mark.parametrize("name", MASSES)
def test_a_mass_sums_to_one_and_has_the_mean_and_variance_that_it_says(name: str) -> None:
    distribution, values = MASSES[name]
    mass = distribution.log_prob(values).exp()
    assert mass.shape == (len(values), *distribution.batch_shape)
    assert torch.allclose(mass.sum(0), torch.ones(()).double(), atol=1e-9)
    mean = (mass * values).sum(0)
    assert torch.allclose(distribution.mean, mean, rtol=1e-6)
    variance = (mass * (values - mean).square()).sum(0)
    assert torch.allclose(distribution.variance, variance, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("name", MASSES)
def test_samples_of_a_mass_are_distributed_as_it_says(name: str) -> None:
    torch.manual_seed(0)
    distribution, values = MASSES[name]
    n = 20_000
    samples = distribution.sample((n,))
    assert samples.shape == (n, *distribution.batch_shape)
    error = distribution.stddev / math.sqrt(n)
    assert ((samples.mean(0) - distribution.mean).abs() <= 4 * error + 1e-12).all()
    # How often each of the values came, as far as any of them is likely.
    values = values[:256]
    for i, mass in enumerate(distribution.log_prob(values).exp().unbind(1)):
        found = (samples[:, i] == values).double().mean(1)
        error = (mass * (1 - mass) / n).sqrt()
        assert ((found - mass).abs() <= 5 * error + 2 / n).all()


@pytest.mark.parametrize("logit", LOGITS)
def test_the_continuous_bernoulli_integrates_to_one(logit: float) -> None:
    px = ContinuousBernoulliDistribution(doubles(logit))
    x = torch.linspace(0, 1, 20_001, dtype=torch.float64).unsqueeze(-1)
    density = px.log_prob(x).exp()
    integral = torch.trapezoid(torch.stack([density, x * density]), x, dim=1).flatten()
    assert integral[0].item() == pytest.approx(1.0, abs=1e-6)
    assert px.mean.item() == pytest.approx(integral[1].item(), abs=1e-6)
    variance = torch.trapezoid((x - px.mean).square() * density, x, dim=0)
    assert px.variance.item() == pytest.approx(variance.item(), rel=1e-5)


@pytest.mark.parametrize("name", ["gaussian", "laplace"])
@pytest.mark.parametrize("kind", ["fixed", "learned", "elementwise", "predicted"])
def test_densities_on_the_line_integrate_to_one(name: str, kind: str) -> None:
    option = "sigma" if name == "gaussian" else "scale"
    head = make_head(name, (1,), **{option: kind}).double()
    parameters = torch.full((1, *head.input_shape), 0.3, dtype=torch.float64)
    x = torch.linspace(-40, 40, 200_001, dtype=torch.float64).view(-1, 1, 1)
    integral = torch.trapezoid(head(parameters).log_prob(x).exp().squeeze(1), x.flatten(), dim=0)
    assert integral.item() == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", EVERY)
def test_mean_and_samples_of_a_head_agree(name: str) -> None:
    torch.manual_seed(0)
    head, n = make_head(name, SHAPE).double(), 5_000
    px = head(torch.randn(1, *head.input_shape, dtype=torch.float64))
    samples = px.sample((n,))
    assert samples.shape == (n, 1, *SHAPE)
    head.check(samples)
    assert ((samples.mean(0) - px.mean).abs() <= 4 * px.stddev / math.sqrt(n) + 1e-6).all()


# Closed forms.


def test_the_normaliser_of_the_continuous_bernoulli_is_the_papers() -> None:
    for value, log_c in {0.1: 1.010339, 0.3: 0.750588, 0.49: 0.693281, 0.5: math.log(2)}.items():
        px = ContinuousBernoulliDistribution(doubles(math.log(value / (1 - value))))
        assert px.log_prob(doubles(0)).item() - math.log(1 - value) == pytest.approx(
            log_c, abs=1e-6
        )


def test_the_continuous_bernoulli_is_torchs_where_that_is_safe() -> None:
    logits = doubles(-9, -2, -0.6, 0.7, 3, 10)
    ours = ContinuousBernoulliDistribution(logits)
    theirs = ContinuousBernoulli(logits=logits)
    x = torch.rand(50, 6, dtype=torch.float64)
    assert torch.allclose(ours.log_prob(x), theirs.log_prob(x), atol=1e-6)
    assert torch.allclose(ours.mean, theirs.mean, atol=1e-6)
    assert torch.allclose(ours.variance, theirs.variance, atol=1e-6)
    assert torch.allclose(ours.icdf(x), theirs.icdf(x), atol=1e-6)


def test_series_and_formulas_of_the_continuous_bernoulli_meet() -> None:
    logits = torch.cat([torch.linspace(-1.2, 1.2, 2401, dtype=torch.float64), doubles(0.0)])
    exact = ContinuousBernoulliDistribution(logits)
    rounded = ContinuousBernoulliDistribution(logits.float())
    for x in (0.0, 0.3, 1.0):
        # In float32 as in float64, and smooth: the derivative of log p(x|l) is x - E[x].
        logits.requires_grad_(True)
        gradient = torch.autograd.grad(exact.log_prob(doubles(x)).sum(), logits)[0]
        assert torch.allclose(gradient, x - exact.mean, atol=1e-8)
        near = exact.log_prob(doubles(x)).float()
        assert torch.allclose(rounded.log_prob(torch.tensor(x)), near, atol=1e-6)
        u = torch.full_like(logits, x).clamp(0.01, 0.99)
        assert torch.allclose(rounded.icdf(u.float()), exact.icdf(u).float(), atol=1e-5)
    slope = torch.autograd.grad(exact.mean.sum(), logits)[0]
    assert torch.allclose(slope, exact.variance, atol=1e-8)
    logits.requires_grad_(False)
    assert torch.allclose(rounded.mean, exact.mean.float(), atol=1e-6)
    assert torch.allclose(rounded.variance, exact.variance.float(), atol=2e-6)


def test_samples_of_the_continuous_bernoulli_carry_a_gradient() -> None:
    torch.manual_seed(0)
    logits = doubles(-20, -1, 0, 0.02, 2, 30).requires_grad_(True)
    px, n = ContinuousBernoulliDistribution(logits), 40_000
    x = px.rsample((n,))
    assert ((x >= 0) & (x <= 1)).all()
    assert ((x.mean(0) - px.mean).abs() <= 4 * px.stddev / math.sqrt(n)).all()
    # d E[x] / dl = Var[x]
    slope = torch.autograd.grad(x.sum(), logits)[0] / n
    assert torch.allclose(slope, px.variance, rtol=0.05)


def test_laplace_is_torchs() -> None:
    head = make_head("laplace", SHAPE, scale="predicted", value=0.5)
    location, offset = torch.randn(4, *SHAPE), torch.randn(4, *SHAPE)
    x = torch.randn(4, *SHAPE)
    scale = (math.log(0.5) + 10 * (offset / 10).tanh()).exp()
    px = head(torch.cat([location, offset], dim=1))
    expected = Laplace(location, scale).log_prob(x).sum((1, 2, 3))
    assert torch.allclose(px.log_prob(x), expected, rtol=1e-5)


@pytest.mark.parametrize("location", [0.0, 0.4, 1.0])
def test_the_discretized_logistic_is_the_difference_of_two_distribution_functions(
    location: float,
) -> None:
    px = DiscretizedLogisticDistribution(doubles(location), doubles(-2.0), 256)
    k = torch.arange(256, dtype=torch.float64)
    low = ((k - 0.5) / 255 - location).div(math.exp(-2)).sigmoid()
    high = ((k + 0.5) / 255 - location).div(math.exp(-2)).sigmoid()
    low[0], high[-1] = 0.0, 1.0  # the tails
    mass = px.log_prob(k.unsqueeze(-1) / 255).exp().flatten()
    assert torch.allclose(mass, high - low, atol=1e-12)


def test_a_mixture_of_one_is_the_discretized_logistic() -> None:
    location, log_scale = torch.rand(4, 1), -3 * torch.rand(4, 1)
    mixture = DiscretizedLogisticMixtureDistribution(torch.randn(4, 1), location, log_scale, 256)
    single = DiscretizedLogisticDistribution(location[:, 0], log_scale[:, 0], 256)
    x = grid_of(256).float()
    assert torch.allclose(mixture.log_prob(x), single.log_prob(x), atol=1e-4)
    assert torch.allclose(mixture.mean, single.mean)


def test_a_mixture_starts_spread_over_the_unit_interval() -> None:
    head = make_head("discretized-logistic-mixture", (1,), components=4)
    px = head(torch.zeros(1, *head.input_shape))
    x = grid_of(256).float().unsqueeze(1)
    assert px.mean.item() == pytest.approx(0.5, abs=1e-4)
    bits = -px.log_prob(x).mean().item() / math.log(2)
    assert bits == pytest.approx(8.0, abs=0.2)  # near uniform over 256 levels


def test_the_negative_binomial_is_torchs() -> None:
    log_mean, log_r = doubles(-2, 0, 3, 5), doubles(1, -2, 0, 4)
    ours = NegativeBinomialDistribution(log_mean, log_r)
    theirs = NegativeBinomial(log_r.exp(), logits=log_mean - log_r)
    x = torch.arange(300, dtype=torch.float64).unsqueeze(-1)
    assert torch.allclose(ours.log_prob(x), theirs.log_prob(x), atol=1e-9)
    assert torch.allclose(ours.mean, theirs.mean)
    assert torch.allclose(ours.variance, theirs.variance)


def test_the_negative_binomial_becomes_poisson_without_losing_float32() -> None:
    log_mean = torch.tensor([-1.0, 1.0, 3.0])
    px = NegativeBinomialDistribution(log_mean, torch.tensor(19.0))
    x = torch.arange(60.0).unsqueeze(-1)
    assert torch.allclose(px.log_prob(x), Poisson(log_mean.exp()).log_prob(x), atol=1e-3)


def test_log_choose_keeps_its_digits_for_large_counts_and_large_r() -> None:
    x = torch.tensor([0.0, 1.0, 5.0, 30.0, 1e3, 1e6])
    r = torch.tensor([1e-9, 1e-3, 0.5, 7.9, 8.1, 900.0, 1e6, 1e8]).unsqueeze(-1)
    exact = torch.lgamma(x.double() + r) - torch.lgamma(r.double()) - torch.lgamma(x.double() + 1)
    found = log_choose(x, r)
    few = r[:-1].double()  # (lgamma(1e8) has no such digits to compare with)
    assert torch.allclose(log_choose(x.double(), few), exact[:-1], rtol=1e-10, atol=1e-9)
    # Both large: there the value itself is as large as what is rounded.
    tolerance = 1e-6 * (1 + torch.minimum(x, r) * (1 + torch.maximum(x, r)).log())
    assert ((found - exact).abs() <= 4 * tolerance + 1e-6 * exact.abs()).all()


def test_zero_inflation_mixes_in_zeros() -> None:
    log_mean, logit, log_r = doubles(1.0), doubles(-0.4), doubles(0.3)
    px = ZeroInflatedNegativeBinomialDistribution(log_mean, logit, log_r)
    rate, base = logit.sigmoid(), NegativeBinomialDistribution(log_mean, log_r)
    x = torch.arange(30, dtype=torch.float64)
    expected = (1 - rate) * base.log_prob(x).exp() + rate * (x == 0)
    assert torch.allclose(px.log_prob(x).exp(), expected, atol=1e-12)
