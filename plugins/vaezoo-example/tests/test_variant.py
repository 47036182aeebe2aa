"""The variant keeps the rules of the zoo, and its divergence is what its formula says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch.distributions import Distribution, Independent, Normal
from torch.testing import assert_close

import vaezoo.testing
import vaezoo_example.skewed_vae as module
from vaezoo.trace import closed_form_kl

NAME = "example/skewed-vae"
B, D = 3, 5
SKEWS = [0.0, 0.3, 0.9, 1.0]


@vaezoo.testing.parametrize_checks(NAME)
def test_the_conformance_kit(check: Callable[[], None]) -> None:
    check()


def at(skew: float) -> torch.Tensor:
    return torch.tensor(skew, dtype=torch.float64)


def a_posterior_and_a_prior() -> tuple[Distribution, Distribution]:
    """q(z|x) with batch shape (B,), and p(z) with batch shape (), in float64."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Distribution:
        loc, log_scale = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        return Independent(Normal(loc, (0.5 * log_scale).exp()), 1)

    return drawn(B, D), drawn(D)


@pytest.mark.parametrize("skew", SKEWS)
def test_the_geometric_mean_is_the_density_that_its_formula_gives_up_to_a_factor(
    skew: float,
) -> None:
    q, p = a_posterior_and_a_prior()
    z = torch.randn(7, B, D, dtype=torch.float64)
    formula = skew * q.log_prob(z) + (1 - skew) * p.log_prob(z)
    factor = module.geometric_mean(q, p, at(skew)).log_prob(z) - formula
    assert_close(factor, factor[:1].expand(7, B))


@pytest.mark.parametrize("skew", SKEWS)
def test_the_divergence_is_the_mean_over_samples_of_q_and_p(skew: float) -> None:
    torch.manual_seed(0)
    q, p = a_posterior_and_a_prior()
    g, n = module.geometric_mean(q, p, at(skew)), 20_000
    z_q, z_p = q.sample((n,)), p.expand((B,)).sample((n,))
    draws = (1 - skew) * (q.log_prob(z_q) - g.log_prob(z_q))
    draws = draws + skew * (p.log_prob(z_p) - g.log_prob(z_p))
    off = (draws.mean(0) - module.divergence(q, p, at(skew))).abs()
    assert (off <= 4 * draws.std(0) / n**0.5 + 1e-9).all()


def test_its_limits_are_the_two_kls() -> None:
    q, p = a_posterior_and_a_prior()
    forward, backward = closed_form_kl(q, p), closed_form_kl(p, q)
    assert_close(module.divergence(q, p, at(0)), forward)
    assert_close(module.divergence(q, p, at(1)), backward)


def test_a_skew_beyond_its_range_and_a_prior_that_is_no_normal_are_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match=r"skew must lie in \[0, 1\]"):
        vaezoo.create(NAME, skew=1.5)
    model = vaezoo.create(NAME, input_shape=(6,), latent_dim=D, prior="mixture")
    with pytest.raises(vaezoo.OptionError, match="factorised normals"):
        vaezoo.fit(model, torch.rand(40, 6), steps=1, progress=False)
