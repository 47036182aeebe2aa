"""KL and activity of each latent dimension, the plane of two latents, and R² of columns."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import (
    Categorical,
    Distribution,
    Independent,
    Laplace,
    MixtureSameFamily,
    MultivariateNormal,
    Normal,
    StudentT,
)

import vaezoo
from vaezoo.batch import Batch
from vaezoo.evaluation.columns import r_squared
from vaezoo.evaluation.latents import dimension_kls, site_figures
from vaezoo.evaluation.plane import plane, quantiles
from vaezoo.trace import Site

B, K, D, N = 6, 3, 4, 50


def normal(loc: Tensor, scale: Tensor | float, ndims: int = 1) -> Distribution:
    return Independent(Normal(loc, scale), ndims)


def standard(*shape: int) -> Distribution:
    return normal(torch.zeros(shape), torch.ones(shape), len(shape))


def site(q: Distribution, p: Distribution, **options: Any) -> Site:
    return Site(q, p, q.rsample((K,)), **options)


@pytest.mark.parametrize("shape", [(D,), (2, 3, 5)])
def test_the_kl_of_each_dimension_is_the_closed_form(shape: tuple[int, ...]) -> None:
    loc, log_sigma = torch.randn(B, *shape), 0.3 * torch.randn(B, *shape)
    one = site(normal(loc, log_sigma.exp(), len(shape)), standard(*shape))
    kl = dimension_kls(one)
    assert kl is not None
    expected = 0.5 * (loc**2 + (2 * log_sigma).exp() - 1) - log_sigma
    torch.testing.assert_close(kl, expected.expand(K, B, *shape))
    torch.testing.assert_close(kl.flatten(2).sum(2), one.kl)


def test_without_a_closed_form_the_kl_of_each_dimension_is_that_of_the_sample() -> None:
    one = site(Independent(StudentT(5.0, torch.randn(B, D)), 1), standard(D))
    assert one.kl_kind == "monte-carlo"
    kl = dimension_kls(one)
    assert kl is not None
    torch.testing.assert_close(kl.sum(2), one.kl)


def test_what_is_not_factorised_has_no_kl_of_each_dimension() -> None:
    full = MultivariateNormal(torch.zeros(B, D), torch.eye(D))
    components = Independent(Normal(torch.randn(3, D), torch.ones(3, D)), 1)
    mixture = MixtureSameFamily(Categorical(torch.ones(3)), components)
    factorised = normal(torch.randn(B, D), torch.ones(B, D))
    assert dimension_kls(site(full, MultivariateNormal(torch.zeros(D), torch.eye(D)))) is None
    assert dimension_kls(site(factorised, mixture)) is None
    assert dimension_kls(site(factorised, standard(D), code=torch.zeros(K, B, D))) is None
    heavy = Independent(StudentT(5.0, torch.randn(B, D)), 1)
    assert dimension_kls(site(heavy, standard(D), log_q=torch.zeros(K, B))) is None


class Encoder(vaezoo.Encoder):
    """The mean is the first D numbers of x, each with its own spread over the data."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return normal(x.flatten(1)[:, :D], 0.5)


class Decoder(vaezoo.Decoder):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return normal(self.weight * torch.cat([z, 0 * z], dim=-1), 1.0)


def make() -> vaezoo.VAE:
    model = vaezoo.create("vae", input_shape=(2 * D,), latent_dim=D)
    return vaezoo.VAE(Encoder(), Decoder(), model.prior)


def examples() -> Tensor:
    spread = torch.tensor([2.0, 0.5, 0.09, 0.11] + [1.0] * D)
    x = torch.randn(N, 2 * D, generator=torch.Generator().manual_seed(0))
    return spread * (x - x.mean(0)) / x.std(0, correction=0)


def in_batches(x: Tensor) -> list[Batch]:
    return [Batch(piece) for piece in x.split(20)]


def test_site_figures_are_means_over_all_examples_whatever_the_batches() -> None:
    model, x = make(), examples()
    (found,) = site_figures(model, in_batches(x))
    assert (found.name, found.size, found.splits) == ("z", D, True)
    expected = (0.5 * (x[:, :D] ** 2 + 0.25 - 1) - math.log(0.5)).mean(0)
    torch.testing.assert_close(found.kl, expected.double(), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        assert found.kl.sum().item() == pytest.approx(model(x).kl.mean().item(), rel=1e-5)
    (whole,) = site_figures(model, [Batch(x)])
    torch.testing.assert_close(whole.kl, found.kl)


def test_a_unit_is_active_if_the_variance_of_its_posterior_mean_is_above_a_hundredth() -> None:
    (found,) = site_figures(make(), in_batches(examples()))
    assert found.variance is not None
    assert found.active is not None
    variances = torch.tensor([4.0, 0.25, 0.0081, 0.0121]).double()
    torch.testing.assert_close(found.variance, variances, rtol=1e-5, atol=0)
    assert found.active.tolist() == [True, True, False, True]


def test_random_state_and_mode_are_left_alone_and_the_seed_decides() -> None:
    model, x = make(), examples()
    model.train()
    state = torch.get_rng_state()
    site_figures(model, [Batch(x)])
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


class TwoSites(vaezoo.VAE):
    """z1 given x, then z2 given the draw of z1; its mean given x is half of x."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        q1 = self.encoder(x, y)
        z1 = q1.rsample((samples,))
        q2 = normal(z1 / 2, torch.ones_like(z1))
        sites = (
            vaezoo.Site(q1, standard(D), z1, name="z1"),
            vaezoo.Site(q2, standard(D), q2.rsample(), name="z2"),
        )
        return vaezoo.Trace(x, self.decoder(z1, y), sites)


def test_each_site_has_its_own_figures() -> None:
    one = make()
    model = TwoSites(one.encoder, one.decoder, one.prior)
    first, second = site_figures(model, in_batches(examples()))
    assert (first.name, second.name) == ("z1", "z2")
    assert first.variance is not None
    assert second.variance is not None
    # z2's mean is that of ten draws of z1 / 2, each with sigma 0.25: they add 0.25²/10.
    expected = first.variance / 4 + 0.25**2 / 10
    torch.testing.assert_close(second.variance, expected, rtol=0.4, atol=0.004)


class Meanless(Normal):
    @property
    def mean(self) -> Tensor:
        raise NotImplementedError


def test_a_posterior_without_a_mean_has_no_variance_of_it() -> None:
    model = make()
    model.encoder.forward = (
        lambda x, y=None: Independent(  # type: ignore[method-assign]
            Meanless(x[:, :D], torch.ones(len(x), D)), 1
        )
    )
    (found,) = site_figures(model, in_batches(examples()))
    assert found.variance is None
    assert found.active is None


def test_no_examples_get_one_clear_error() -> None:
    with pytest.raises(vaezoo.DataError, match="no examples"):
        site_figures(make(), [])
    with pytest.raises(vaezoo.DataError, match="no examples"):
        r_squared(make(), [])


def test_the_plane_of_a_standard_normal_prior_is_its_quantiles() -> None:
    model = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=2)
    values, how = plane(model, torch.zeros(9, 2), 20)
    share = (torch.arange(20) + 0.5) / 20
    torch.testing.assert_close(values, Normal(0.0, 1.0).icdf(share).expand(2, 20))
    assert values[0, -1].item() == pytest.approx(1.959964, abs=1e-5)
    assert "equal probability under the prior, from its 2.5 % to its 97.5 % quantile" in how


def test_the_plane_of_a_prior_given_the_class_is_that_classes() -> None:
    model = vaezoo.create("cvae", input_shape=(1, 6, 5), latent_dim=2, num_classes=3)
    with torch.no_grad():
        model.prior.loc[1] = torch.tensor([5.0, -3.0])
        model.prior.log_sigma[1] = math.log(2.0)
    model.train()
    values, _ = plane(model, torch.zeros(9, 2), 5, label=1)
    torch.testing.assert_close(values.mean(1), torch.tensor([5.0, -3.0]))
    sigma = (10 * torch.tanh(torch.tensor(math.log(2.0) / 10))).exp()
    top = 1.2815515 * sigma  # the 90 % quantile
    torch.testing.assert_close(values[:, -1], torch.tensor([5.0, -3.0]) + top)
    assert model.training


class Mixture(vaezoo.Prior):
    event_shape = (2,)

    def forward(self, y: Tensor | None = None) -> Distribution:
        components = Independent(Normal(torch.zeros(3, 2), torch.ones(3, 2)), 1)
        return MixtureSameFamily(Categorical(torch.ones(3)), components)


def test_the_plane_of_another_prior_covers_the_codes_and_says_so() -> None:
    one = vaezoo.create("vae", input_shape=(1, 6, 5), latent_dim=2)
    model = vaezoo.VAE(one.encoder, one.decoder, Mixture())
    codes = torch.stack([torch.linspace(-4, 4, 1001), torch.linspace(10, 20, 1001)], dim=1)
    values, how = plane(model, codes, 5)
    torch.testing.assert_close(values[0], torch.linspace(-3.8, 3.8, 5))
    torch.testing.assert_close(values[1], torch.linspace(10.25, 19.75, 5))
    assert "central 95% of 1,001 posterior means, for want of a prior with quantiles" in how
    same, _ = plane(one, codes, 5, by_prior=False)
    torch.testing.assert_close(same, values)
    with pytest.raises(vaezoo.DataError, match="finite posterior means"):
        plane(model, torch.full((3, 2), torch.nan))


def test_any_factorised_prior_with_an_inverse_distribution_function_has_quantiles() -> None:
    p = Independent(Laplace(torch.tensor([0.0, 3.0]), 1.0), 1)
    values = quantiles(p, 7)
    assert values is not None
    share = (torch.arange(7) + 0.5) / 7
    torch.testing.assert_close(p.base_dist.cdf(values.T), share.unsqueeze(1).expand(7, 2))
    assert quantiles(MultivariateNormal(torch.zeros(2), torch.eye(2)), 7) is None


def test_r_squared_is_one_less_the_error_over_the_variance() -> None:
    x = examples()
    found = r_squared(make(), in_batches(x))
    assert found[:D].tolist() == pytest.approx([1.0] * D)  # the decoder gives them back
    assert found[D:].tolist() == pytest.approx([0.0] * D, abs=1e-6)  # and zero, the mean, here
    x = x + 1
    x[:, -1] = 0.1
    shifted = r_squared(make(), in_batches(x))
    torch.testing.assert_close(shifted[D:-1], 1 - (1 + x[:, D:-1].double().var(0, correction=0)) /
                               x[:, D:-1].double().var(0, correction=0))  # fmt: skip
    assert shifted[-1].isnan()
