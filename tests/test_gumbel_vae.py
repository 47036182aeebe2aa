"""gumbel-vae: the density, the KLs, the temperature, and the marginals of draws."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Independent,
    RelaxedOneHotCategorical,
    kl_divergence,
)
from training_helpers import images, make_step, small

import vaezoo
from vaezoo.priors.codes import Uniform
from vaezoo.trace import closed_form_kl
from vaezoo_plugins.gumbel_vae import Annealed, GumbelSoftmax, RelaxedUniform

B, C, L = 5, 4, 3


def tensor(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def random_q(temperature: float = 0.7, *, hard: bool = False) -> GumbelSoftmax:
    torch.manual_seed(0)
    logits = 1.5 * torch.randn(B, C, L, dtype=torch.float64)
    return GumbelSoftmax(logits, tensor(temperature), 2, hard=hard)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_density_is_that_of_torchs_relaxed_one_hot(temperature: float) -> None:
    q = random_q(temperature)
    theirs = RelaxedOneHotCategorical(tensor(temperature), logits=q.logits.movedim(1, -1))
    z = q.rsample((6,))
    assert z.shape == (6, B, C, L)
    assert torch.allclose(z.sum(2), torch.ones(6, B, L, dtype=torch.float64))
    expected = Independent(theirs, 1, validate_args=False).log_prob(z.movedim(2, -1))
    assert torch.allclose(q.log_prob(z), expected, rtol=1e-9)


def test_the_density_integrates_to_one() -> None:
    """Of two values, z is (t, 1-t): over t in (0, 1)."""
    q = GumbelSoftmax(
        tensor(0.0) + torch.tensor([[0.3], [-0.5]]).double(), tensor(0.8), 2, hard=False
    )
    logit = torch.linspace(-40, 40, 100_001, dtype=torch.float64)
    t = logit.sigmoid()
    z = torch.stack([t, (-logit).sigmoid()], 1).unsqueeze(-1)
    density = q.log_prob(z).exp() * z.prod(1)[:, 0]  # dt = t (1-t) d logit
    assert torch.trapezoid(density, logit).item() == pytest.approx(1.0, abs=1e-6)


def test_the_categorical_kl_is_its_closed_form() -> None:
    q, p = random_q(), Uniform(tensor(-math.log(C)), C, (L,))
    even = Categorical(logits=torch.zeros(C, dtype=torch.float64))
    expected = kl_divergence(Categorical(logits=q.logits.movedim(1, -1)), even).sum(-1)
    kl = closed_form_kl(q, p)
    assert kl is not None
    assert torch.allclose(kl, expected, rtol=1e-12)


def test_it_is_the_mean_over_all_codes() -> None:
    q, p = random_q(hard=True), Uniform(tensor(-math.log(C)), C, (L,))
    codes = torch.tensor([*itertools.product(range(C), repeat=L)])
    hot = torch.nn.functional.one_hot(codes, C).movedim(-1, 1).double().unsqueeze(1)
    log_q = q.log_prob(hot.expand(-1, B, -1, -1))
    assert torch.allclose(log_q.exp().sum(0), torch.ones(B, dtype=torch.float64))
    mean = (log_q.exp() * (log_q - p.log_prob(codes).unsqueeze(1))).sum(0)
    assert torch.allclose(mean, closed_form_kl(q, p), rtol=1e-10)


@pytest.mark.parametrize("temperature", [0.1, 3.0])
def test_the_greatest_value_is_a_draw_of_the_categorical(temperature: float) -> None:
    q, draws = random_q(temperature), 20_000
    share = torch.nn.functional.one_hot(q.rsample((draws,)).argmax(2), C).double().mean(0)
    probs = q.probs.movedim(1, -1)
    assert ((share - probs).abs() < 4 * (probs * (1 - probs) / draws).sqrt()).all()


def test_at_temperature_zero_draws_are_one_hot() -> None:
    z = random_q(1e-3).rsample((50,))
    assert (z.amax(2) > 0.999).double().mean() > 0.99
    assert random_q(10.0).rsample((50,)).amax(2).mean() < 0.5
    assert random_q(1e-3).log_rsample(50).isfinite().all()


def test_straight_through_draws_are_one_hot_with_the_relaxed_gradient() -> None:
    found = []
    for hard in (False, True):
        logits = torch.randn(B, C, L, generator=torch.Generator().manual_seed(0))
        logits.requires_grad_()
        torch.manual_seed(1)
        z = GumbelSoftmax(logits, torch.tensor(0.7), 2, hard=hard).rsample((6,))
        (gradient,) = torch.autograd.grad((z * torch.arange(C).view(C, 1)).sum(), logits)
        found.append((z, gradient))
    (soft, of_soft), (hard, of_hard) = found
    assert torch.equal(hard.detach(), (soft == soft.amax(2, keepdim=True)).float())
    assert torch.allclose(of_hard, of_soft)


def test_what_stands_for_the_mean_is_a_draw_without_noise() -> None:
    assert torch.allclose(random_q(hard=True).mean, random_q().probs)
    soft = random_q(2.0)
    assert torch.allclose(soft.mean, (soft.logits / 2).softmax(1))
    model, x = made(), images(B)
    assert torch.allclose(model(x, samples=0).sites[0].z[0], model.encode(x).mean)


def made(**options: Any) -> vaezoo.VAE:
    return small("gumbel-vae", categories=C, **options)


def test_the_relaxed_kl_is_the_ratio_of_the_densities() -> None:
    model, x = made(kl="relaxed").double(), images(B).double()
    trace = model(x, samples=7)
    (site,) = trace.sites
    uniform = RelaxedOneHotCategorical(site.q.temperature, logits=torch.zeros(C).double())
    log_p = uniform.log_prob(site.z.movedim(2, -1)).sum(-1)
    assert site.kl_kind == "monte-carlo"
    assert isinstance(site.p, RelaxedUniform)
    assert torch.allclose(trace.kl, site.q.log_prob(site.z) - log_p, rtol=1e-8)


def test_the_usual_kl_is_of_the_categoricals() -> None:
    trace = made()(images(B), samples=2)
    (site,) = trace.sites
    even = Categorical(logits=torch.zeros(C))
    expected = kl_divergence(Categorical(logits=site.q.logits.movedim(1, -1)), even).sum(-1)
    assert site.kl_kind == "analytic"
    assert torch.allclose(trace.kl, expected.expand(2, B), rtol=1e-5, atol=1e-6)


def test_only_straight_through_is_a_bound_of_the_discrete_model() -> None:
    x = images(2)
    for options in ({}, {"kl": "relaxed"}):
        relaxed = made(**options)
        assert relaxed.bound == "relaxed"
        assert relaxed.elbo(x).shape == (2,)
        with pytest.raises(vaezoo.NoBoundError, match="relaxation"):
            relaxed.log_likelihood(x, samples=5)


def test_its_likelihood_is_the_sum_over_all_codes() -> None:
    model, x = made(sampling="straight-through"), images(3)
    assert model.bound == "exact"
    codes = torch.tensor([*itertools.product(range(C), repeat=L)])
    with torch.no_grad():
        z = model.encoder.lookup(codes).unsqueeze(1).expand(-1, 3, -1, -1)
        exact = model.decoder(z).log_prob(x).logsumexp(0) - L * math.log(C)
    estimate = model.log_likelihood(x, samples=4000, seed=0)
    assert torch.allclose(estimate, exact, atol=0.05)
    torch.manual_seed(0)
    assert (model(x, samples=500).elbo.mean(0) <= exact + 0.05).all()


def test_the_temperature_falls_exponentially_to_its_end() -> None:
    schedule = Annealed(2.0, 0.5, 100)
    for step, value in {0: 2.0, 50: 1.0, 100: 0.5, 1000: 0.5}.items():
        assert schedule(torch.tensor(step)).item() == pytest.approx(value)


def test_the_model_keeps_the_temperature_of_its_training() -> None:
    model = made(temperature=2.0, final_temperature=0.5, anneal_steps=10)
    assert model.encoder.temperature == 2
    step = make_step(model)
    for number in range(6):
        step(vaezoo.Batch(images(8)), number)
    assert model.encoder.temperature.item() == pytest.approx(1.0)  # half-way
    assert "encoder.temperature" in model.state_dict()
    assert model.encode(images(1)).temperature.item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"categories": 1}, "at least 2"),
        ({"temperature": 0.1}, "no higher than the first"),
        ({"anneal_steps": 0}, "anneal_steps must be positive"),
        ({"kl": "relaxed", "sampling": "straight-through"}, "choose kl 'categorical'"),
        ({"kl": "relaxed", "stage": "prior"}, "prior of discrete codes"),
        ({"prior": "autoregressive"}, "a learned prior is fitted afterwards, with stage 'prior'"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=reason):
        vaezoo.create("gumbel-vae", **options)
