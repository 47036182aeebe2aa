"""ladder-vae: posteriors that correct the prior of each level (Sønderby et al. 2016)."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from training_helpers import QUICK, SHAPE, images, small

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.testing import check_variant
from vaezoo_plugins.ladder_vae import BottomUp, Ladder, LadderELBO, product

B, K = 4, 3
LOWER = {"lower_dims": (7, 5), "features": 11, "warmup_steps": 0}  # below the top's 3


def ladder(**options: Any) -> Ladder:
    model = small("ladder-vae", **{**LOWER, **options})
    assert isinstance(model, Ladder)
    return model


# The posterior.


def test_a_product_of_normals_is_the_normalised_product_of_their_densities() -> None:
    a = normal(torch.tensor([[0.5, -2.0]]).double(), torch.tensor([[0.3, 2.0]]).double(), 1)
    b = normal(torch.tensor([[-1.0, 1.0]]).double(), torch.tensor([[1.5, 0.4]]).double(), 1)
    found = product(a, b)
    z = torch.randn(9, 1, 2).double()
    constant = (a.log_prob(z) + b.log_prob(z) - found.log_prob(z)).squeeze(1)
    # ∫ N(z; a, s²) N(z; b, t²) dz = N(a; b, s² + t²)
    scale = (a.variance + b.variance).sqrt()
    expected = normal(b.mean, scale, 1).log_prob(a.mean)
    assert torch.allclose(constant, expected.expand(9), atol=1e-12)


def test_below_the_top_q_is_what_x_says_times_the_prior_of_the_level() -> None:
    model, x = ladder().double(), images(B).double()
    trace = model(x, samples=K)
    said = model.encoder.levels(x)
    assert [site.name for site in trace.sites] == ["z1", "z2", "z3"]
    assert [site.z.shape for site in trace.sites] == [(K, B, 7), (K, B, 5), (K, B, 3)]
    for i in (0, 1):
        site, above = trace.sites[i], trace.sites[i + 1]
        p = model.down[i](above.z)
        assert torch.equal(site.p.mean, p.mean)
        precision = 1 / said[i].variance + 1 / p.variance
        mean = (said[i].mean / said[i].variance + p.mean / p.variance) / precision
        assert torch.allclose(site.q.mean, mean)
        assert torch.allclose(site.q.variance, 1 / precision)
    top = trace.sites[2]
    assert torch.equal(top.q.mean, said[2].mean)  # not combined with p(z3)
    assert torch.equal(top.q.variance, said[2].variance)


def test_where_x_says_nothing_q_is_the_prior_and_costs_nothing() -> None:
    model = ladder().double()
    with torch.no_grad():
        for head in model.encoder.heads[:2]:
            head.network.inner.layers[0].bias.fill_(30.0)  # log σ̂ near its bound of 10
    for site in model(images(B).double()).sites[:2]:
        assert site.kl.abs().max() < 1e-4


def test_one_level_is_the_vae_at_equal_parameters() -> None:
    model = ladder(lower_dims=())
    vae = vaezoo.VAE(model.encoder, model.decoder, model.prior)
    x = images(B)
    found = []
    for each in (model, vae):
        torch.manual_seed(3)
        weights = each.objective.weights(torch.tensor(0))
        loss = each.objective.score(each(x, samples=K), weights).loss.mean()
        gradients = torch.autograd.grad(loss, [*each.parameters()])
        found.append(
            [loss, *gradients, each.embed(x), each.reconstruct(x), each.sample(2, seed=1)]
        )
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert torch.equal(model.encode(x).mean, vae.encode(x).mean)
    assert model.traverse(x[:1], steps=4).shape == (3, 4, *SHAPE)


# A model whose evidence is known: z2 ~ N(0, I), z1 = A z2 + S e, x = W z1 + s e, all diagonal.

A, S = torch.tensor([0.8, -1.5]).double(), torch.tensor([0.6, 0.9]).double()
W, NOISE = torch.tensor([1.3, 0.7]).double(), 0.5


class Given(nn.Module):
    """N(factor * z, sigma²)."""

    def __init__(self, factor: Tensor, sigma: Tensor | float) -> None:
        super().__init__()
        self.factor, self.sigma = factor, sigma

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return normal(self.factor * z, torch.as_tensor(self.sigma).expand_as(z), 1)


class Exact(BottomUp):
    """The likelihoods of z1 and, z1 integrated out, the posterior of z2; shift: how far off."""

    def __init__(self, shift: float = 0.0) -> None:
        nn.Module.__init__(self)
        self.shift = shift

    def levels(self, x: Tensor) -> list[Distribution]:
        first = normal(x / W + self.shift, (NOISE / W).expand_as(x), 1)  # ∝ p(x|z1)
        variance = (NOISE / W) ** 2 + S**2  # of x / W given z2
        precision = 1 + A**2 / variance
        mean = A * x / W / variance / precision
        return [first, normal(mean + self.shift, precision.rsqrt().expand_as(x), 1)]


def linear(shift: float = 0.0) -> Ladder:
    prior = vaezoo.priors.StandardNormal((2,)).double()
    return Ladder(Exact(shift), [Given(A, S)], Given(W, NOISE), prior)


def evidence(x: Tensor) -> Tensor:
    variance = W**2 * (A**2 + S**2) + NOISE**2
    return normal(torch.zeros_like(x), variance.sqrt().expand_as(x), 1).log_prob(x)


def test_the_exact_posterior_is_a_ladder_and_makes_the_bound_tight() -> None:
    x = torch.randn(B, 2).double()
    trace = linear()(x, samples=K)
    assert torch.allclose(trace.log_w, evidence(x).expand(K, B), atol=1e-10)


def test_another_posterior_bounds_the_evidence_and_more_draws_tighten_it() -> None:
    torch.manual_seed(0)
    x, draws = torch.randn(B, 2).double(), 20_000
    model = linear(shift=0.4)
    trace = model(x, samples=draws)
    gap = evidence(x) - trace.elbo.mean(0)
    error = trace.log_w.std(0) / draws**0.5
    assert (gap > 0.05).all()
    iw = trace.log_w.logsumexp(0) - math.log(draws)
    assert ((iw - evidence(x)).abs() < 0.05).all()
    # E_q[log w] is the ELBO, of KLs in closed form as of log q - log p.
    assert ((trace.log_w.mean(0) - trace.elbo.mean(0)).abs() < 4 * error).all()
    # It is short of the evidence by KL(q || exact posterior) of both levels together.
    whole = model.encoder.levels(x)[1]
    exact = linear().encoder.levels(x)[1]
    upper = torch.distributions.kl_divergence(whole, exact)
    share = (1 / (NOISE / W) ** 2) / (1 / (NOISE / W) ** 2 + 1 / S**2)
    variance = 1 / (1 / (NOISE / W) ** 2 + 1 / S**2)
    lower = ((share * 0.4) ** 2 / (2 * variance)).sum()
    assert ((gap - upper - lower).abs() < 4 * error + 1e-6).all()


def test_the_kl_of_each_level_is_what_log_q_minus_log_p_is_on_average() -> None:
    torch.manual_seed(0)
    model, draws = ladder().double(), 4000
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    trace = model(images(B).double(), samples=draws)
    for site in trace.sites:
        assert site.kl_kind == "analytic"
        estimate = site.log_q - site.log_p - site.kl
        assert (estimate.mean(0).abs() < 4 * estimate.std(0) / draws**0.5 + 1e-9).all()
        assert (site.kl > 0).all()


# The objective.


def trace_of(*kls: float) -> vaezoo.Trace:
    """A trace whose sites have these KLs: means apart by sqrt(2 KL), in one of two dimensions."""
    sites = []
    for i, kl in enumerate(kls):
        mean = torch.tensor([(2 * kl) ** 0.5, 0.0]).double().expand(B, 2).clone().requires_grad_()
        q, p = normal(mean, torch.ones(B, 2), 1), normal(torch.zeros(2), torch.ones(2), 1)
        sites.append(vaezoo.Site(q, p, q.rsample((K,)), name=f"z{i}"))
    px = Independent(Normal(torch.zeros(K, B, 1), 1.0), 1)
    return vaezoo.Trace(torch.zeros(B, 1), px, tuple(sites))


def test_each_level_pays_for_its_mean_kl_and_for_lambda_at_least() -> None:
    trace = trace_of(2.0, 0.3)
    objective = LadderELBO(0.5, free_bits=0.8)
    terms = objective.score(trace, objective.weights(torch.tensor(0)))
    assert torch.allclose(terms.loss, -trace.log_px.mean(0) + 0.5 * (2.0 + 0.8))
    assert not objective.per_example
    terms.loss.mean().backward()
    paid, free = (site.q.mean for site in trace.sites)
    assert torch.allclose(paid.grad, 0.5 * paid.detach() / B)
    assert not free.grad.any()
    assert terms.logs["kl"].item() == pytest.approx(2.3)  # figures show the whole


def test_free_bits_take_a_prior_whose_kl_is_no_sum_over_dimensions() -> None:
    vaezoo.fit(ladder(free_bits=0.5, prior="mixture"), images(16), steps=2, **QUICK)


def test_the_warm_up_raises_the_weight_of_the_kl_from_0() -> None:
    model = ladder(warmup_steps=100)
    weights = [model.objective.weights(torch.tensor(step))["beta"] for step in (0, 25, 100, 900)]
    assert weights == [0.0, 0.25, 1.0, 1.0]


# Depth, parts, methods.


@pytest.mark.parametrize("lower", [(), (4,), (6, 4), (8, 6, 4)])
def test_any_depth_trains(lower: tuple[int, ...]) -> None:
    model = ladder(lower_dims=lower)
    before = model.elbo(images(), seed=0).mean()
    history = vaezoo.fit(model, images(), steps=60, learning_rate=5e-3, **QUICK)
    assert model.elbo(images(), seed=0).mean() > before + 5
    names = [f"kl/z{i + 1}" for i in range(len(lower) + 1)] if lower else []
    assert [name for name in history.records[0] if name.startswith("kl/")] == names
    assert model.embed(images(B)).shape == (B, sum(lower) + 3)
    assert model.reconstruct(images(B)).shape == (B, *SHAPE)


def test_samples_are_drawn_from_the_top_down() -> None:
    """The moments of a linear model: var W z1 = W² (A² + S²)."""
    model = linear()
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = model.generate(20_000).mean
    expected = W**2 * (A**2 + S**2)
    assert ((drawn.var(0) - expected).abs() < 4 * expected * (2 / len(drawn)) ** 0.5).all()
    assert (drawn.mean(0).abs() < 4 * (expected / len(drawn)).sqrt()).all()


COMBINATIONS: list[dict[str, Any]] = [
    {"input_shape": (1, 32, 32)},  # conv
    {"input_shape": (3, 17, 20), "network": {"name": "resnet", "channels": [4]}},
    {"input_shape": (3, 17, 20), "likelihood": "discretized-logistic"},
    {"input_shape": (9,)},
    {"input_shape": (9,), "likelihood": {"name": "gaussian", "sigma": "optimal"}},
    {"input_shape": SHAPE, "prior": "mixture"},
    {"input_shape": SHAPE, "prior": "vampprior"},
    {"input_shape": SHAPE, "latent_shape": (2, 3, 3)},
]


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_parts_go_together(options: dict[str, Any]) -> None:
    latent = {} if "latent_shape" in options else {"latent_dim": 3}
    model = vaezoo.create("ladder-vae", **LOWER, **latent, **options)
    x = torch.rand(8, *options["input_shape"]).mul(255).round() / 255
    vaezoo.fit(model, x, steps=2, **QUICK)
    assert model.sample(2).shape == (2, *options["input_shape"])
    assert model.log_likelihood(x, samples=5).isfinite().all()


def test_a_prior_of_each_class_is_that_of_the_top() -> None:
    model = ladder(prior="class-normal", num_classes=4)
    y = torch.arange(B)
    with torch.no_grad():
        model.prior.loc[1] += 50.0
    sites = model(images(B), y).sites
    assert sites[2].kl.argmax() == 1
    assert model.sample(B, y).shape == (B, *SHAPE)


def test_networks_of_ones_own_are_wrapped() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(30, 11))
    model = vaezoo.create(
        "ladder-vae", input_shape=SHAPE, encoder=vaezoo.wrap(network), **LOWER, latent_dim=3
    )
    assert model(images(B)).kl.shape == (1, B)

    class Own(vaezoo.Encoder):
        def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
            return MultivariateNormal(torch.zeros(len(x), 3), torch.eye(3))

    with pytest.raises(vaezoo.OptionError, match=r"encoder=vaezoo\.wrap\(network\)"):
        vaezoo.create("ladder-vae", input_shape=SHAPE, encoder=Own())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lower_dims": (4, 0)}, "lower_dims must be positive"),
        ({"features": 0}, "features and lower_dims must be positive"),
        ({"warmup_steps": -1}, "warmup_steps must not be negative"),
        ({"free_bits": -1.0}, "free_bits must not be negative"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=said):
        ladder(**options)


def test_methods_of_one_group_of_latents_say_how_many_there_are() -> None:
    with pytest.raises(vaezoo.LatentsError, match="Ladder has 3"):
        ladder().encode(images(B))


def test_a_ladder_with_free_bits_and_a_warm_up_keeps_the_rules_of_the_kit() -> None:
    only = ["gradients", "loss", "batch", "regularizer", "bound", "draws"]
    report = check_variant("ladder-vae", only=only, free_bits=0.5, warmup_steps=10)
    assert report.passed == only
