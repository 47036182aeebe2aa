"""Figures that are known without a computer, or by quadrature."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

import vaezoo
from vaezoo.heads.gaussian import LOG_SIGMA_BOUND, normal


def gaussian(mean: Tensor, variance: Tensor) -> Distribution:
    return normal(mean, variance.sqrt(), 1)


def unbounded(log_sigma: Tensor) -> Tensor:
    """What a head must be given so that its bounded log sigma is this one."""
    return LOG_SIGMA_BOUND * torch.atanh(log_sigma / LOG_SIGMA_BOUND)


def test_kl_of_a_diagonal_normal_from_the_standard_one() -> None:
    q = gaussian(torch.tensor([[0.5, -1.0, 2.0]]), torch.tensor([[0.0, -2.0, 1.0]]).exp())
    p = gaussian(torch.zeros(3), torch.ones(3))
    site = vaezoo.Site(q, p, q.rsample((1,)))
    assert site.kl_kind == "analytic"
    assert site.kl.item() == pytest.approx(3.551809, abs=1e-6)


class Conjugate(vaezoo.Decoder):
    """p(x|z) = N(z, 0.25)."""

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return gaussian(z, torch.full_like(z, 0.25))


class Shifted(vaezoo.Encoder):
    """The exact posterior N(0.8 x, 0.2), moved by ``shift`` and ``widen`` times as wide."""

    def __init__(self, shift: float, widen: float) -> None:
        super().__init__()
        self.shift = shift
        self.widen = widen

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return gaussian(0.8 * x + self.shift, torch.full_like(x, 0.2 * self.widen))


def conjugate_model(shift: float = 0.3, widen: float = 2.0) -> vaezoo.VAE:
    prior = vaezoo.priors.StandardNormal((1,)).double()
    return vaezoo.VAE(Shifted(shift, widen), Conjugate(), prior)


LOG_P = -1.430510
REPEATS = 200_000


def mean_and_error(values: Tensor) -> tuple[float, float]:
    return values.mean().item(), values.std().item() / math.sqrt(len(values))


def test_elbo_of_the_conjugate_model() -> None:
    torch.manual_seed(0)
    x = torch.ones(REPEATS, 1, dtype=torch.float64)
    trace = conjugate_model()(x)
    assert trace.kl[0, 0].item() == pytest.approx(0.763145, abs=1e-6)
    mean, error = mean_and_error(trace.elbo[0])
    assert abs(mean - -1.808937) < 4 * error
    assert error < 0.01


def test_kl_to_the_exact_posterior_is_the_gap_of_the_elbo() -> None:
    q = gaussian(torch.tensor([[1.1]]), torch.tensor([[0.4]]))
    posterior = gaussian(torch.tensor([[0.8]]), torch.tensor([[0.2]]))
    site = vaezoo.Site(q, posterior, q.rsample((1,)))
    assert site.kl.item() == pytest.approx(0.378426, abs=1e-6)
    assert pytest.approx(-1.808937, abs=2e-6) == LOG_P - 0.378426


@pytest.mark.parametrize(("samples", "bound"), [(2, -1.55892), (5, -1.469), (50, -1.43399)])
def test_importance_weighted_bounds_of_the_conjugate_model(samples: int, bound: float) -> None:
    torch.manual_seed(0)
    repeats = REPEATS // samples
    x = torch.ones(repeats, 1, dtype=torch.float64)
    log_w = conjugate_model()(x, samples=samples).log_w
    assert log_w.shape == (samples, repeats)
    mean, error = mean_and_error(log_w.logsumexp(0) - math.log(samples))
    assert abs(mean - bound) < 4 * error + 1e-3 * (samples == 5)  # that one has four digits


def test_log_likelihood_of_the_conjugate_model_in_pieces_of_any_size() -> None:
    model = conjugate_model()
    x = torch.ones(3, 1, dtype=torch.float64)
    for chunk in (70, 4096, 10**6):
        estimate = model.log_likelihood(x, samples=50_000, seed=0, chunk=chunk)
        assert estimate.shape == (3,)
        assert (estimate - LOG_P).abs().max() < 0.01


@pytest.mark.parametrize("samples", [1, 2, 7, 50])
def test_with_the_exact_posterior_every_bound_is_the_log_likelihood(samples: int) -> None:
    x = torch.ones(5, 1, dtype=torch.float64)
    model = conjugate_model(shift=0.0, widen=1.0)
    assert torch.allclose(model(x, samples=samples).log_w, torch.tensor(LOG_P).double(), atol=1e-6)
    assert torch.allclose(
        model.log_likelihood(x, samples=samples), torch.tensor(LOG_P).double(), atol=1e-6
    )


def test_a_linear_vae_at_its_optimum_is_probabilistic_pca() -> None:
    """Lucas et al. 2019: the optimal ELBO, in terms of the eigenvalues of the covariance."""
    torch.manual_seed(0)
    data_dim, latent_dim, n = 7, 3, 500
    scales = torch.linspace(2.0, 0.4, data_dim).double()
    rotation = torch.linalg.qr(torch.randn(data_dim, data_dim).double()).Q
    x = (torch.randn(n, data_dim).double() * scales) @ rotation.T + 1.5
    center = x.mean(0)
    values, vectors = torch.linalg.eigh((x - center).T @ (x - center) / n)
    values, vectors = values.flip(0), vectors.flip(1)
    noise = values[latent_dim:].mean()  # s^2
    weight = vectors[:, :latent_dim] * (values[:latent_dim] - noise).sqrt()
    inner = weight.T @ weight + noise * torch.eye(latent_dim).double()  # M
    posterior = torch.linalg.solve(inner, weight.T)  # E[z|x] = M^-1 W^T (x - mean)
    # W has orthogonal columns, so M is diagonal and the posterior within reach of a diagonal q.
    sigma = (noise / inner.diagonal()).sqrt()

    linear = vaezoo.networks.MLP(hidden=())
    model = vaezoo.create(
        "vae",
        input_shape=(data_dim,),
        latent_dim=latent_dim,
        network=linear,
        likelihood={"name": "gaussian", "sigma": "learned"},
    ).double()
    encoder = last_linear(model.encoder)
    decoder = last_linear(model.decoder)
    with torch.no_grad():
        encoder.weight.copy_(torch.cat([posterior, torch.zeros_like(posterior)]))
        encoder.bias.copy_(torch.cat([-posterior @ center, unbounded(sigma.log())]))
        decoder.weight.copy_(weight)
        decoder.bias.copy_(center)
        model.decoder.head.log_sigma.copy_(noise.sqrt().log())

    optimum = -0.5 * (
        data_dim * math.log(2 * math.pi)
        + values[:latent_dim].log().sum()
        + (data_dim - latent_dim) * noise.log()
        + data_dim
    )
    # The posterior is exact, so each single log-weight is log p(x), without any noise.
    assert torch.allclose(model(x, samples=2).log_w.mean(), optimum, atol=1e-8)
    found = model.log_likelihood(x, samples=7, chunk=11)
    assert torch.allclose(found.mean(), optimum, atol=1e-8)
    elbo, error = mean_and_error(model(x, samples=400).elbo.flatten())
    assert abs(elbo - optimum.item()) < 4 * error
    # And it is a stationary point of the objective.
    torch.manual_seed(1)
    model(x, samples=2000).elbo.mean().backward()
    assert decoder.weight.grad.abs().max() < 0.02
    assert encoder.weight.grad.abs().max() < 0.05


def last_linear(part: nn.Module) -> nn.Linear:
    return [m for m in part.modules() if isinstance(m, nn.Linear)][-1]


def test_beta_vae_at_one_is_the_vae_bit_for_bit() -> None:
    torch.manual_seed(3)
    vae = vaezoo.create("vae", latent_dim=4)
    beta_vae = vaezoo.create("beta-vae", latent_dim=4, beta=1.0)
    beta_vae.load_state_dict(vae.state_dict())
    x = torch.rand(6, 1, 28, 28)
    gradients = []
    for model in (vae, beta_vae):
        torch.manual_seed(7)
        terms = model.objective.score(model(x), model.objective.weights(torch.tensor(0)))
        terms.loss.mean().backward()
        gradients.append([terms.loss, *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_beta_weighs_the_kl_alone() -> None:
    model = vaezoo.create("beta-vae", latent_dim=4, beta=2.5)
    trace = model(torch.rand(6, 1, 28, 28), samples=3)
    loss = model.objective.score(trace, model.objective.weights(torch.tensor(0))).loss
    assert torch.allclose(loss, (-trace.log_px + 2.5 * trace.kl).mean(0))
    assert torch.equal(trace.elbo, trace.log_px - trace.kl)


def test_independent_normals_of_different_reinterpretation_have_no_closed_form() -> None:
    """(2, 3) events against batches of 3-vectors: the shapes differ, so nothing may be summed."""
    q = Independent(Normal(torch.zeros(4, 2, 3), 1.0), 2)
    p = Independent(Normal(torch.zeros(4, 2, 3), 1.0), 1)
    site = vaezoo.Site(q, p, q.rsample((1,)))
    assert site.kl_kind == "monte-carlo"
