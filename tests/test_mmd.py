"""The maximum mean discrepancy, and the variants that use it: info-vae and wae-mmd."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal
from training_helpers import QUICK, images, small

import vaezoo
from vaezoo.discrepancy import (
    KERNELS,
    prior_mmd,
    rbf_mmd_to_normal,
    squared_distances,
    squared_mmd,
)
from vaezoo.training.gradient import score_function
from vaezoo_plugins.wae_mmd import CodeTrace

R, N, M, D = 4000, 5, 7, 3
C = 2.0 * D


def draws(n: int, shift: float = 0.0, sigma: float = 1.0) -> Tensor:
    return shift + sigma * torch.randn(R, n, D).double()


def brute_force(x: Tensor, y: Tensor, kernel: str) -> float:
    """Algorithm 2 of Tolstikhin et al. 2018, term by term, of any two sizes."""

    def k(a: Tensor, b: Tensor) -> float:
        s = ((a - b) ** 2).sum().item()
        return math.exp(-s / C) if kernel == "rbf" else C / (C + s)

    def within(a: Tensor) -> float:
        n = len(a)
        return sum(k(a[i], a[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))

    return within(x) + within(y) - 2 * sum(k(a, b) for a in x for b in y) / (len(x) * len(y))


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_estimate_is_that_of_algorithm_2(kernel: Any) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, N, D).double(), torch.randn(2, M, D).double()
    found = squared_mmd(x, y, kernel)
    assert found.shape == (2,)
    for value, a, b in zip(found, x, y, strict=True):
        assert value.item() == pytest.approx(brute_force(a, b, kernel), rel=1e-10)


@pytest.mark.parametrize("kernel", KERNELS)
def test_of_equal_distributions_it_is_0_on_average(kernel: Any) -> None:
    torch.manual_seed(0)
    found = squared_mmd(draws(N), draws(M), kernel)
    assert found.mean().abs() < 4 * found.std() / R**0.5
    assert found.min() < 0  # it is unbiased, not positive


def test_of_two_normals_it_is_the_closed_form_on_average() -> None:
    """E exp(-|x-y|²/C) = (C / (C + 2v))^(D/2) exp(-|m|²/(C + 2v)), x - y of mean m, variance v."""

    def expected_kernel(shift: float, variance: float) -> float:
        wide = C + 2 * variance
        return (C / wide) ** (D / 2) * math.exp(-D * shift**2 / wide)

    torch.manual_seed(0)
    found = squared_mmd(draws(N), draws(M, 0.8, 1.5), "rbf")
    exact = expected_kernel(0, 2) + expected_kernel(0, 2 * 1.5**2)
    exact -= 2 * expected_kernel(0.8, 1 + 1.5**2)
    assert abs(found.mean() - exact) < 4 * found.std() / R**0.5
    assert exact > 20 * found.std() / R**0.5


def test_the_mean_over_a_normal_prior_is_exact() -> None:
    """That is, the estimate's mean over draws of the prior, and varies less."""
    torch.manual_seed(0)
    mean, sigma = torch.randn(D).double(), 0.5 + torch.rand(D).double()
    x = 1 + torch.randn(N, D).double()
    drawn = mean + sigma * torch.randn(R, M, D).double()
    found = squared_mmd(x.expand(R, N, D), drawn, "rbf")
    exact = rbf_mmd_to_normal(x, mean, sigma)
    assert abs(found.mean() - exact) < 4 * found.std() / R**0.5
    of_all = rbf_mmd_to_normal(mean + sigma * torch.randn(R, N, D).double(), mean, sigma)
    assert of_all.shape == (R,)
    assert of_all.mean().abs() < 4 * of_all.std() / R**0.5
    assert of_all.std() < found.std()


def test_squared_distances_are_never_negative() -> None:
    x = 1e3 + torch.randn(20, D)
    found = squared_distances(x, x)
    assert (found >= 0).all()
    assert squared_distances(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).tolist() == [[25.0]]


def test_a_learned_prior_has_a_gradient_where_its_draws_have() -> None:
    mean = torch.zeros(2, D, requires_grad=True)
    for p in (
        Independent(Normal(mean[0], 1.0), 1),
        Independent(Normal(mean[:1].expand(N, D), 1.0), 1),  # of the labels of a batch
    ):
        q = Independent(Normal(torch.ones(N, D), 1.0), 1)
        found = prior_mmd(vaezoo.Site(q, p, q.sample((4,))))
        assert found.shape == (4,)
        (gradient,) = torch.autograd.grad(found.sum(), mean)
        assert gradient[0].abs().min() > 0


# info-vae


def scored(model: vaezoo.VAE, x: Tensor, samples: int = 1) -> tuple[vaezoo.Trace, Tensor]:
    trace = model(x, samples=samples)
    torch.manual_seed(7)  # of the prior's draws
    return trace, model.objective.score(trace, model.objective.weights(torch.tensor(0))).loss


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_loss_of_info_vae_is_equation_6(kernel: str) -> None:
    model = small("info-vae", alpha=0.25, lambda_mmd=40.0, kernel=kernel).double()
    trace, loss = scored(model, images(N).double(), samples=2)
    torch.manual_seed(7)
    distance = prior_mmd(trace.sites[0], kernel).mean()
    expected = -trace.log_px + 0.75 * trace.kl + 39.25 * distance
    assert torch.allclose(loss, expected.mean(0), rtol=1e-12)
    assert not model.objective.per_example


def test_at_alpha_0_and_lambda_1_it_is_the_vae_bit_for_bit() -> None:
    vae = small("vae")
    info = small("info-vae", alpha=0.0, lambda_mmd=1.0)
    info.load_state_dict(vae.state_dict())
    found = []
    for model in (vae, info):
        (phase,) = model.objective.phases(model)
        torch.manual_seed(7)
        weights = model.objective.weights(torch.tensor(0))
        loss = score_function(phase)(model, vaezoo.Batch(images(N)), weights)[0]
        loss.backward()
        found.append([loss, *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"alpha": 1.5}, "alpha must not exceed 1"),
        ({"alpha": 0.0, "lambda_mmd": 0.5}, r"at least 1, but is 0\.5"),
        ({"alpha": 1.0, "prior": "mixture"}, r"info-vae with alpha=1.*alpha below 1"),
    ],
)
def test_an_info_vae_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=said):
        vaezoo.create("info-vae", **options)


# wae-mmd


def test_the_loss_of_wae_mmd_is_the_squared_error_and_lambda_times_the_mmd() -> None:
    model = small("wae-mmd", lambda_mmd=30.0).double()
    x = images(N).double()
    trace, loss = scored(model, x, samples=2)
    assert isinstance(trace, CodeTrace)
    assert trace.sites == ()
    assert torch.equal(trace.codes.z[0], trace.codes.z[1])  # deterministic
    torch.manual_seed(7)
    distance = prior_mmd(trace.codes, "imq").mean()
    error = (x - trace.px.mean[0]).square().flatten(1).sum(1)
    constant = 0.5 * math.log(math.pi) * x[0].numel()
    assert torch.allclose(loss, error + constant + 30.0 * distance, rtol=1e-6)


def test_wae_mmd_has_no_bound_and_takes_another_likelihood() -> None:
    model = small("wae-mmd")
    assert model.bound == "none"
    with pytest.raises(vaezoo.NoBoundError):
        model.elbo(images(N))
    assert model.embed(images(N)).shape == (N, 3)
    assert (
        small("wae-mmd", likelihood="bernoulli").config.parts["likelihood"]["name"] == "bernoulli"
    )
    with pytest.raises(vaezoo.OptionError, match=r"wae-mmd has no KL.*prior that is fixed"):
        small("wae-mmd", prior="mixture")
    with pytest.raises(vaezoo.OptionError, match="lambda_mmd must not be negative"):
        small("wae-mmd", lambda_mmd=-1.0)


def test_the_codes_of_wae_mmd_come_to_the_prior() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(512, 1, 6, 5, generator=generator)
    found = []
    for weight in (0.0, 300.0):
        model = small("wae-mmd", lambda_mmd=weight)
        options = {**QUICK, "batch_size": 64}
        vaezoo.fit(model, x, steps=200, learning_rate=3e-3, validation=0, **options)
        found.append(squared_mmd(model.embed(x), torch.randn(512, 3)).item())
    assert found[0] > 0.1
    assert abs(found[1]) < found[0] / 5
