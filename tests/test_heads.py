"""Heads: from a network's output to a distribution."""

from __future__ import annotations

import math

import pytest
import torch

import vaezoo
from vaezoo.heads import Bernoulli, OptimalSigma, PredictedSigma, SharedSigma
from vaezoo.heads.gaussian import bounded

SHAPE = (2, 3, 5)


def test_bernoulli_is_the_cross_entropy_summed_over_pixels() -> None:
    logits = torch.randn(4, 3, *SHAPE)
    x = torch.rand(3, *SHAPE)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, x.expand_as(logits), reduction="none"
    ).sum((-3, -2, -1))
    assert torch.allclose(Bernoulli(SHAPE)(logits).log_prob(x), -expected, atol=1e-4)


def test_bernoulli_takes_logits_of_any_size() -> None:
    head = Bernoulli((1,))
    value = head(torch.tensor([[20.0]])).log_prob(torch.zeros(1, 1))
    assert value.item() == pytest.approx(-20.0, abs=1e-5)  # a sigmoid would have given -100
    assert torch.isfinite(head(torch.tensor([[1e4]])).log_prob(torch.zeros(1, 1))).all()


def test_bernoulli_mass_sums_to_one() -> None:
    px = Bernoulli((1,))(torch.tensor([[0.7]]))
    total = sum(px.log_prob(torch.tensor([[v]])).exp().item() for v in (0.0, 1.0))
    assert total == pytest.approx(1.0)


@pytest.mark.parametrize("x", [torch.full((1, *SHAPE), 1.5), torch.full((1, *SHAPE), -0.1)])
def test_bernoulli_refuses_what_is_outside_of_the_unit_interval(x: torch.Tensor) -> None:
    with pytest.raises(vaezoo.DataError, match=r"\[0, 1\].*gaussian"):
        Bernoulli(SHAPE).check(x)


def test_bernoulli_refuses_nan() -> None:
    with pytest.raises(vaezoo.DataError):
        Bernoulli(SHAPE).check(torch.full((1, *SHAPE), math.nan))


def test_shared_sigma_is_the_normal_density() -> None:
    head = SharedSigma(SHAPE, 0.5, learned=True)
    mean, x = torch.randn(4, *SHAPE), torch.randn(4, *SHAPE)
    sigma = torch.tensor(0.5)
    expected = -0.5 * ((x - mean) / sigma) ** 2 - sigma.log() - 0.5 * math.log(2 * math.pi)
    assert torch.allclose(head(mean).log_prob(x), expected.sum((1, 2, 3)), atol=1e-4)


@pytest.mark.parametrize("value", [1e-4, 0.01, 0.1, 1.0, 1000.0])
@pytest.mark.parametrize("sigma", ["fixed", "learned"])
def test_sigma_is_the_one_that_was_asked_for(sigma: str, value: float) -> None:
    likelihood = {"name": "gaussian", "sigma": sigma, "value": value}
    model = vaezoo.create("vae", input_shape=(4,), likelihood=likelihood)
    assert model.decode(torch.zeros(1, 16)).stddev.flatten()[0].item() == pytest.approx(value)


def test_fixed_sigma_is_no_parameter_and_learned_sigma_is_one() -> None:
    assert not [*SharedSigma(SHAPE, 1.0, learned=False).parameters()]
    assert len([*SharedSigma(SHAPE, 1.0, learned=True).parameters()]) == 1


def test_predicted_sigma_takes_twice_the_channels() -> None:
    head = PredictedSigma(SHAPE)
    assert head.input_shape == (4, 3, 5)
    px = head(torch.randn(7, 6, 4, 3, 5))
    assert px.batch_shape == (7, 6)
    assert px.event_shape == SHAPE


def test_log_sigma_is_bounded_with_a_gradient_everywhere() -> None:
    # (float32 rounds tanh to 1 only beyond 80, eight times the bound.)
    log_sigma = torch.tensor([-60.0, -1e-3, 0.0, 60.0], requires_grad=True)
    sigma = bounded(log_sigma)
    assert sigma.abs().max() <= 10
    assert sigma[1].item() == pytest.approx(-1e-3)
    sigma.sum().backward()
    assert (log_sigma.grad > 0).all()
    assert torch.isfinite(bounded(torch.tensor(1e30)).exp().square())


def test_optimal_sigma_in_training_is_the_root_mean_squared_error() -> None:
    head = OptimalSigma(SHAPE, 1.0).train()
    mean, x = torch.randn(4, *SHAPE), torch.randn(4, *SHAPE)
    d, mse = math.prod(SHAPE), (x - mean).square().mean()
    # With sigma^2 the mean squared error, the mean over the batch is -D/2 (log 2 pi mse + 1).
    expected = -0.5 * d * ((2 * math.pi * mse).log() + 1)
    assert torch.allclose(head(mean).log_prob(x).mean(), expected, atol=1e-4)
    better = [SharedSigma(SHAPE, s, learned=False)(mean).log_prob(x).mean() for s in (0.5, 1, 3)]
    assert all(head(mean).log_prob(x).mean() >= value for value in better)


def test_optimal_sigma_is_kept_for_evaluation() -> None:
    head = OptimalSigma(SHAPE, 1.0)
    for error in (2.0, 4.0):
        head.after_step({"squared_error": torch.tensor(error)})
    assert head.variance.item() == pytest.approx(3.0)  # a plain mean at first
    head.eval()
    assert head(torch.zeros(1, *SHAPE)).base_dist.scale.flatten()[0].item() == pytest.approx(
        math.sqrt(3.0)
    )


def test_optimal_sigma_is_learned_by_training() -> None:
    torch.manual_seed(0)
    x = 0.3 * torch.randn(256, 6)
    model = vaezoo.create(
        "vae",
        input_shape=(6,),
        latent_dim=2,
        network={"name": "mlp", "hidden": [8]},
        likelihood={"name": "gaussian", "sigma": "optimal"},
    )
    vaezoo.fit(model, x, steps=200, batch_size=64, learning_rate=1e-2, progress=False)
    assert model.decoder.head.steps.item() == 200
    assert 0.1 < model.decoder.head.variance.sqrt().item() < 0.35


def test_sigma_must_be_positive() -> None:
    with pytest.raises(vaezoo.OptionError, match="must lie in"):
        vaezoo.create("vae", likelihood={"name": "gaussian", "value": 0.0})
