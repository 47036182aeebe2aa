"""The prior mixture, against torch's own mixture, closed forms and its own samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.priors import MixturePrior, NormalMixture
from vaezoo.trace import Site

EVENTS = [(5,), (2, 3, 4)]


def random_mixture(event: tuple[int, ...], components: int = 3) -> NormalMixture:
    torch.manual_seed(0)
    loc = torch.randn(components, *event, dtype=torch.float64)
    sigma = torch.randn(components, *event, dtype=torch.float64).exp()
    log_weights = torch.randn(components, dtype=torch.float64).log_softmax(0)
    return NormalMixture(log_weights, loc, sigma)


def reference(mixture: NormalMixture) -> MixtureSameFamily:
    each = Independent(Normal(mixture.loc, mixture.sigma), len(mixture.event_shape))
    return MixtureSameFamily(Categorical(logits=mixture.log_weights), each)


@pytest.mark.parametrize("event", EVENTS)
def test_the_density_and_the_moments_are_those_of_torchs_mixture(event: tuple[int, ...]) -> None:
    mixture = random_mixture(event)
    z = torch.randn(6, 4, *event, dtype=torch.float64)
    expected = reference(mixture)
    assert torch.allclose(mixture.log_prob(z), expected.log_prob(z), rtol=1e-12)
    assert mixture.log_prob(z).shape == (6, 4)
    assert torch.allclose(mixture.mean, expected.mean, rtol=1e-12)
    assert torch.allclose(mixture.variance, expected.variance, rtol=1e-12)
    assert mixture.batch_shape == ()
    assert mixture.event_shape == event


@pytest.mark.parametrize("event", [(3,), (2, 2, 2)])
def test_many_draws_have_the_density_that_they_have_with_gradient(
    event: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    p = NormalMixture(torch.randn(5).log_softmax(0), torch.randn(5, *event), torch.rand(5, *event))
    z = torch.randn(7, 4, *event)
    whole = p.log_prob(z)
    monkeypatch.setattr(vaezoo.priors.mixture, "AT_ONCE", 3 * p.loc.numel())
    with torch.no_grad():
        assert torch.equal(p.log_prob(z), whole)
        assert torch.equal(p.log_prob(z[0, 0]), whole[0, 0])


def test_the_density_integrates_to_one() -> None:
    z = torch.linspace(-60, 60, 200_001, dtype=torch.float64).unsqueeze(-1)
    density = random_mixture((1,)).log_prob(z).exp()
    assert torch.trapezoid(density, z[:, 0]).item() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("event", EVENTS)
def test_one_component_is_one_gaussian(event: tuple[int, ...]) -> None:
    prior = MixturePrior(event, 1)
    with torch.no_grad():
        prior.log_sigma.normal_()
    z = torch.randn(7, *event)
    sigma = (10 * torch.tanh(prior.log_sigma / 10)).exp()
    gaussian = normal(prior.loc[0], sigma[0], len(event))
    assert torch.allclose(prior().log_prob(z), gaussian.log_prob(z), rtol=1e-5)
    assert torch.equal(prior().mean, gaussian.mean)
    assert torch.allclose(prior().variance, gaussian.variance, rtol=1e-5)


@pytest.mark.parametrize("event", EVENTS)
def test_samples_have_the_mean_and_the_variance(event: tuple[int, ...]) -> None:
    mixture, n = random_mixture(event), 20_000
    z = mixture.sample((n,))
    assert z.shape == (n, *event)
    for power, expected in [(1, mixture.mean), (2, mixture.variance)]:
        values = z if power == 1 else (z - mixture.mean).square()
        error = values.std(0) / n**0.5
        # 4 standard errors for one figure; a little more, since there are many.
        assert ((values.mean(0) - expected).abs() < 5 * error).all()


def test_components_are_drawn_as_often_as_they_weigh() -> None:
    weights, n = torch.tensor([0.6, 0.3, 0.1]), 20_000
    torch.manual_seed(0)
    loc = torch.tensor([[-100.0], [0.0], [100.0]])
    z = NormalMixture(weights.log(), loc, torch.ones(3, 1)).sample((4, n // 4))
    assert z.shape == (4, n // 4, 1)
    found = torch.stack([(z.round(decimals=-2) == m).double().mean() for m in loc[:, 0]])
    assert ((found - weights).abs() < 4 * (weights * (1 - weights) / n).sqrt()).all()


def test_samples_follow_the_seed() -> None:
    model = vaezoo.create("vae", prior="mixture", input_shape=(6,), latent_dim=3)
    a, b = model.sample(5, seed=1), model.sample(5, seed=1)
    assert torch.equal(a, b)
    assert not torch.equal(a, model.sample(5, seed=2))


def test_the_kl_is_by_monte_carlo_and_right_on_average() -> None:
    prior, n = MixturePrior((4,), 1), 20_000
    torch.manual_seed(0)
    q = normal(torch.randn(1, 4), torch.rand(1, 4) + 0.5, 1)
    site = Site(q, prior(), q.rsample((n,)))
    assert site.kl_kind == "monte-carlo"
    assert site.kl.shape == (n, 1)
    single = Independent(Normal(prior.loc, prior.log_sigma.exp()), 1)
    expected = torch.distributions.kl_divergence(q, single)
    assert ((site.kl.mean(0) - expected).abs() < 4 * site.kl.std(0) / n**0.5).all()


def test_components_start_apart_and_the_whole_near_the_standard_normal() -> None:
    torch.manual_seed(0)
    prior = MixturePrior((50,), 200)
    p = prior()
    assert torch.unique(prior.loc, dim=0).shape == (200, 50)
    assert p.mean.abs().max() < 0.3
    assert (p.variance - 1).abs().max() < 0.3
    torch.manual_seed(0)
    assert torch.equal(MixturePrior((50,), 200).loc, prior.loc)


def test_it_learns_two_clusters_better_than_any_gaussian_can() -> None:
    torch.manual_seed(0)
    z = torch.cat([torch.randn(200, 2) * 0.3 - 2, torch.randn(200, 2) * 0.3 + 2])
    prior = MixturePrior((2,), 2)
    optimizer = torch.optim.Adam(prior.parameters(), lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (-prior().log_prob(z).mean()).backward()
        optimizer.step()
    best = torch.distributions.MultivariateNormal(z.mean(0), z.T.cov(correction=0))
    assert prior().log_prob(z).mean() > best.log_prob(z).mean() + 0.3
    assert prior.logits.softmax(0)[0].item() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("learned", [True, False])
def test_weights_are_learned_unless_told_otherwise(learned: bool) -> None:
    prior = {"name": "mixture", "components": 3, "learn_weights": learned}
    model = vaezoo.create("vae", prior=prior, input_shape=(6,), latent_dim=2)
    assert ("prior.logits" in dict(model.named_parameters())) is learned
    assert ("prior.logits" in model.state_dict()) is learned
    assert torch.allclose(model.prior().log_weights.exp(), torch.full((3,), 1 / 3))


@pytest.mark.parametrize("log_sigma", [-1e4, 1e4])
def test_scales_are_bounded_so_that_the_density_stays_finite(log_sigma: float) -> None:
    prior = MixturePrior((4,), 3)
    with torch.no_grad():
        prior.log_sigma.fill_(log_sigma)
    assert prior().log_prob(torch.randn(5, 4)).isfinite().all()
    assert prior().sample((5,)).isfinite().all()


def test_options_and_weights_are_saved(tmp_path: Any) -> None:
    prior = vaezoo.priors.Mixture(components=4)
    model = vaezoo.create("vae", prior=prior, input_shape=(6,), latent_dim=2)
    vaezoo.save(model, tmp_path)
    loaded = vaezoo.load(tmp_path)
    assert loaded.prior.loc.shape == (4, 2)
    z: Tensor = torch.randn(3, 2)
    assert torch.equal(loaded.prior().log_prob(z), model.prior().log_prob(z))


def test_it_needs_a_component() -> None:
    with pytest.raises(vaezoo.OptionError, match="components must be positive"):
        vaezoo.create("vae", prior={"name": "mixture", "components": 0})
