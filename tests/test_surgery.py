"""ELBO surgery against quadrature, and the metric ``latents``."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal

import vaezoo
from vaezoo.evaluation.latents import site_figures

MEANS = torch.tensor([[-1.5, -1.0], [0.2, 0.4], [1.7, 1.1]]).double()
SIGMAS = torch.tensor([[0.5, 0.9], [0.8, 0.4], [0.3, 0.7]]).double()


class Lookup(vaezoo.Encoder):
    """q(z|x) of the n-th of a few normals, x = (n,)."""

    def __init__(self, means: Tensor, sigmas: Tensor, *, full: bool = False) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.register_buffer("sigmas", sigmas)
        self.full = full

    means: Tensor
    sigmas: Tensor

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        n = x[:, 0].long()
        if self.full:
            return MultivariateNormal(self.means[n], torch.diag_embed(self.sigmas[n] ** 2))
        return Independent(Normal(self.means[n], self.sigmas[n]), 1)


class Nothing(vaezoo.Decoder):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()).double())

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return Independent(Normal(self.weight * z[..., :1], 1.0), 1)


def model_of(means: Tensor, sigmas: Tensor, **options: Any) -> vaezoo.VAE:
    prior = vaezoo.priors.StandardNormal(tuple(means.shape[1:])).double()
    return vaezoo.VAE(Lookup(means, sigmas, **options), Nothing(), prior)


def places(n: int) -> Tensor:
    return torch.arange(n).unsqueeze(1).double()


def surgery(model: vaezoo.VAE, x: Tensor, **options: Any) -> dict[str, Any]:
    return vaezoo.evaluate(model, x, [{"name": "elbo-surgery", **options}])


def by_quadrature(means: Tensor, sigmas: Tensor) -> dict[str, float]:
    """The same figures on a grid of z (G, G)."""
    axis = torch.linspace(-9, 9, 901).double()
    cell = (axis[1] - axis[0]).item() ** 2
    each = Normal(means.T.unsqueeze(2), sigmas.T.unsqueeze(2)).log_prob(axis)  # (2, N, G)
    log_q_x = each[0].unsqueeze(2) + each[1].unsqueeze(1)  # (N, G, G)
    log_q = log_q_x.logsumexp(0) - math.log(len(means))
    first, second = each.logsumexp(1) - math.log(len(means))  # (G,) each
    log_q_each = first.unsqueeze(1) + second.unsqueeze(0)
    standard = Normal(0.0, 1.0).log_prob(axis)
    log_p = standard.unsqueeze(1) + standard.unsqueeze(0)

    def mean(values: Tensor) -> float:
        return (log_q.exp() * values).sum().item() * cell

    given_x = (log_q_x.exp() * (log_q_x - log_q)).sum().item() * cell / len(means)
    return {
        "mutual_information": given_x,
        "marginal_kl": mean(log_q - log_p),
        "total_correlation": mean(log_q - log_q_each),
        "dimension_wise_kl": mean(log_q_each - log_p),
    }


def test_the_figures_are_those_of_quadrature() -> None:
    found = surgery(model_of(MEANS, SIGMAS), places(3), draws=20_000)
    for name, expected in by_quadrature(MEANS, SIGMAS).items():
        error = found[f"{name}_standard_error"]
        assert abs(found[name] - expected) < 4 * error, name
        assert error < 0.02
    assert (found["surgery_examples"], found["surgery_draws"]) == (3, 20_000)
    assert found["mutual_information"] < found["mutual_information_limit"] == math.log(3)


@pytest.mark.parametrize("n", [7, 450])
def test_the_kl_is_recomposed_exactly(n: int) -> None:
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(n, 3, generator=generator).double()
    sigmas = torch.rand(n, 3, generator=generator).double() + 0.1
    model = model_of(means, sigmas)
    found = surgery(model, places(n), draws=3)
    whole, parts = found["kl_of_draws"], found["mutual_information"] + found["marginal_kl"]
    assert abs(whole - parts) < 1e-6
    cut = found["total_correlation"] + found["dimension_wise_kl"]
    assert abs(found["marginal_kl"] - cut) < 1e-6
    analytic = model(places(n)).kl.mean().item()
    assert abs(whole - analytic) < 4 * found["kl_of_draws_standard_error"]


def test_posteriors_that_are_far_apart_tell_all_examples_apart() -> None:
    n = 450  # of more batches than one, the last of them partial
    model = model_of(10.0 * torch.arange(n).double().unsqueeze(1), torch.ones(n, 1).double())
    found = surgery(model, places(n))
    assert found["mutual_information"] == pytest.approx(math.log(n), abs=1e-4)
    collapsed = surgery(model_of(torch.zeros(n, 2).double(), torch.ones(n, 2).double()), places(n))
    assert collapsed["mutual_information"] == pytest.approx(0.0, abs=1e-9)
    assert collapsed["marginal_kl"] == pytest.approx(0.0, abs=1e-9)


def test_a_posterior_that_is_not_factorised_has_no_total_correlation() -> None:
    found = surgery(model_of(MEANS, SIGMAS, full=True), places(3), draws=5_000)
    for name in ("mutual_information", "marginal_kl"):
        expected = by_quadrature(MEANS, SIGMAS)[name]
        assert abs(found[name] - expected) < 4 * found[f"{name}_standard_error"]
    assert math.isnan(found["total_correlation"])
    assert math.isnan(found["dimension_wise_kl"])


def test_fewer_examples_are_taken_in_even_steps_and_told() -> None:
    model = model_of(10.0 * torch.arange(90).double().unsqueeze(1), torch.ones(90, 1).double())
    found = surgery(model, places(90), examples=10)
    assert (found["examples"], found["surgery_examples"]) == (90, 10)
    assert found["mutual_information"] == pytest.approx(math.log(10), abs=1e-4)


def test_what_has_no_aggregate_posterior_is_refused() -> None:
    cvae = vaezoo.create("cvae", input_shape=(1, 4, 3), latent_dim=2, num_classes=2)
    x, y = torch.rand(6, 1, 4, 3), torch.arange(6) % 2
    with pytest.raises(vaezoo.DataError, match="depends on labels"):
        vaezoo.evaluate(cvae, (x, y), ["elbo-surgery"])
    ae = vaezoo.create("ae", input_shape=(1, 4, 3), latent_dim=2)
    with pytest.raises(vaezoo.DataError, match="this model has 0"):
        vaezoo.evaluate(ae, x, ["elbo-surgery"])
    with pytest.raises(vaezoo.DataError, match="no latents"):
        vaezoo.evaluate(ae, x, ["latents"])
    with pytest.raises(vaezoo.DataError, match="at least 2"):
        surgery(model_of(MEANS, SIGMAS), places(1))
    with pytest.raises(vaezoo.OptionError, match="at least 2 examples and 1 draw"):
        surgery(model_of(MEANS, SIGMAS), places(3), draws=0)


def test_latents_are_counted_by_burdas_threshold_with_the_kl_of_each() -> None:
    n = 1003  # of two batches
    spread = torch.tensor([2.0, 0.5, 0.09, 0.11]).double()
    means = torch.randn(n, 4, generator=torch.Generator().manual_seed(0)).double()
    means = spread * (means - means.mean(0)) / means.std(0, correction=0)
    model = model_of(means, torch.full((n, 4), 0.5).double())
    found = vaezoo.evaluate(model, places(n), ["latents"])
    assert (found["active_units"], found["latent_dim"]) == (3, 4)
    expected = (0.5 * (means**2 + 0.25 - 1) - math.log(0.5)).mean(0)
    assert found["kl_by_dimension"]["z"] == pytest.approx(expected.tolist(), abs=1e-9)
    assert found["kl_z"] == pytest.approx(expected.sum().item())


class TwoSites(vaezoo.VAE):
    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        q = self.encoder(x, y)
        z = q.rsample((samples,))
        still = Independent(Normal(torch.zeros_like(z), torch.ones_like(z)), 1)
        sites = (
            vaezoo.Site(q, self.prior(y), z, name="low"),
            vaezoo.Site(still, self.prior(y), still.rsample(), name="high"),
        )
        return vaezoo.Trace(x, self.decoder(z, y), sites)


def test_every_site_has_its_own_figures() -> None:
    one = model_of(MEANS, SIGMAS)
    model = TwoSites(one.encoder, one.decoder, one.prior)
    found = vaezoo.evaluate(model, places(3), ["latents"])
    assert (found["active_units_low"], found["active_units_high"]) == (2, 0)
    assert (found["active_units"], found["latent_dim"]) == (2, 4)
    low, _ = site_figures(model, [vaezoo.Batch(places(3))])
    assert found["kl_low"] == pytest.approx(low.kl.sum().item())
    assert found["kl_high"] == pytest.approx(0.0, abs=1e-9)
    assert [len(kl) for kl in found["kl_by_dimension"].values()] == [2, 2]
