"""factor-vae: the critic's density ratio, in a phase of its own (Kim & Mnih 2018)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.nn.functional import softplus
from training_helpers import QUICK, SHAPE, images, make_step, same, small, weights

import vaezoo
from vaezoo.training.gradient import score_function
from vaezoo_plugins.factor_vae import FactorELBO, permuted

B = 8
CRITIC = {"critic": (20, 20)}


def gradients(loss: Tensor, parameters: Any) -> list[Tensor]:
    parameters = [*parameters]
    for parameter in parameters:
        parameter.grad = None
    torch.autograd.backward(loss, inputs=parameters)
    return [p.grad for p in parameters]


def test_the_critic_is_the_papers_unless_told_otherwise() -> None:
    critic = vaezoo.create("factor-vae", latent_dim=10).objective.critic
    widths = [(layer.in_features, layer.out_features) for layer in [*critic.inner][::2]]
    assert widths == [(10, 1000), *[(1000, 1000)] * 5, (1000, 1)]
    assert {layer.negative_slope for layer in [*critic.inner][1::2]} == {0.2}


def test_the_critic_trains_in_the_runs_precision() -> None:
    model = small("factor-vae", **CRITIC)
    seen = set()
    model.objective.critic.inner[0].register_forward_hook(
        lambda layer, given, out: seen.add(out.dtype)
    )
    vaezoo.fit(model, images(B), steps=1, precision="bf16", **{**QUICK, "batch_size": B})
    assert seen == {torch.bfloat16}


def test_at_gamma_0_the_first_phase_is_the_vae_bit_for_bit() -> None:
    vae = small("vae")
    factor = small("factor-vae", gamma=0.0, **CRITIC)
    factor.load_state_dict(vae.state_dict())
    found = []
    for model in (vae, factor):
        phase = model.objective.phases(model)[0]
        weights = model.objective.weights(torch.tensor(0))
        torch.manual_seed(7)
        loss = score_function(phase)(model, vaezoo.Batch(images(B)), weights)[0]
        found.append([loss, *gradients(loss, phase.parameters)])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_the_loss_is_equation_2() -> None:
    model = small("factor-vae", gamma=3.0, **CRITIC)
    trace = model(images(B), samples=2)
    loss = model.objective.score(trace, model.objective.weights(torch.tensor(0))).loss
    ratio = model.objective.critic(trace.sites[0].z).squeeze(-1)
    assert torch.allclose(loss, (-trace.log_px + trace.kl + 3.0 * ratio).mean(0))
    assert loss.shape == (B,)
    assert not model.objective.per_example  # because of the critic


def test_neither_phase_gives_gradients_to_the_others_parameters() -> None:
    model = small("factor-vae", **CRITIC)
    objective = model.objective
    everything = [*model.parameters(), *objective.parameters()]
    first, second = objective.phases(model)
    assert {*first.parameters} == {*model.parameters()}
    assert {*second.parameters} == {*objective.critic.parameters()}
    for phase, others in ((first, objective.parameters()), (second, model.parameters())):
        for parameter in everything:
            parameter.grad = None
        loss = score_function(phase)(model, vaezoo.Batch(images(B)), weights_of(model))[0]
        loss.backward(inputs=[*phase.parameters])
        assert all(parameter.grad is None for parameter in others)
        assert all(parameter.grad is not None for parameter in phase.parameters)
    # Even without `inputs`, the critic's loss does not reach the encoder.
    loss = score_function(second)(model, vaezoo.Batch(images(B)), weights_of(model))[0]
    loss.backward()
    assert all(parameter.grad is None for parameter in model.parameters())


def weights_of(model: vaezoo.VAE) -> dict[str, Tensor]:
    return model.objective.weights(torch.tensor(0))


def test_the_total_correlation_moves_the_encoder_through_the_critic() -> None:
    found = []
    for gamma in (0.0, 5.0):
        model = small("factor-vae", gamma=gamma, **CRITIC).double()
        model.objective.double()
        phase = model.objective.phases(model)[0]
        torch.manual_seed(0)
        batch = vaezoo.Batch(images(B).double())
        loss = score_function(phase)(model, batch, weights_of(model))[0]
        found.append(gradients(loss, model.encoder.parameters()))
    torch.manual_seed(0)
    ratio = model.objective.critic(model(images(B).double()).sites[0].z)
    through = gradients(5.0 * ratio.mean(), model.encoder.parameters())
    for without, whole, expected in zip(*found, through, strict=True):
        assert torch.allclose(whole - without, expected, rtol=1e-6)
        assert expected.abs().max() > 0


class Echo(vaezoo.Encoder):
    """q(z|x), next to a point, at x itself: so z tells which example it came from."""

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return Independent(Normal(x.flatten(1), 1e-6, validate_args=False), 1)


def test_the_critic_compares_one_half_of_a_batch_with_the_other_permuted() -> None:
    objective = FactorELBO(3, 1.0, (20,))
    model = vaezoo.VAE(Echo(), small().decoder, vaezoo.priors.StandardNormal((3,)))
    seen: list[Tensor] = []
    objective.log_ratio = lambda z: seen.append(z) or objective.critic(z).squeeze(-1)  # type: ignore[method-assign,func-returns-value]
    x = torch.arange(24.0).reshape(8, 3)
    terms = objective.criticise(model, vaezoo.Batch(x), {})
    joint, product = seen[0].chunk(2)
    assert torch.allclose(joint, x[:4], atol=1e-4)
    assert not torch.allclose(product, x[4:], atol=1e-4)
    assert torch.allclose(product.sort(0).values, x[4:], atol=1e-4)  # the same in each dimension
    ratios = [objective.critic(z).squeeze(-1) for z in (joint, product)]
    expected = (softplus(-ratios[0]).mean() + softplus(ratios[1]).mean()) / 2
    assert torch.allclose(terms.loss, expected)
    assert torch.allclose(terms.logs["total_correlation"], ratios[0].mean())


def test_each_dimension_is_permuted_on_its_own_and_uniformly() -> None:
    torch.manual_seed(0)
    z = torch.arange(4.0).unsqueeze(1).expand(4, 2)
    found = torch.stack([permuted(z) for _ in range(3000)])  # (R, 4, 2)
    together = (found[:, 0, 0] == found[:, 0, 1]).float().mean()
    assert abs(together - 0.25) < 4 * (0.25 * 0.75 / 3000) ** 0.5
    for value in range(4):
        share = (found[:, 0] == value).float().mean(0)
        assert ((share - 0.25).abs() < 4 * (0.25 * 0.75 / 3000) ** 0.5).all()


def test_the_critic_finds_the_total_correlation_of_a_known_normal() -> None:
    """-1/2 log det R, 0.51 nats where two of three dimensions have a correlation of 0.8."""
    torch.manual_seed(0)
    covariance = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    normal = MultivariateNormal(torch.zeros(3), covariance)
    objective = FactorELBO(3, 1.0, (32, 32))
    model = vaezoo.VAE(Echo(), small().decoder, vaezoo.priors.StandardNormal((3,)))
    optimizer = torch.optim.Adam(objective.parameters(), lr=3e-3)
    for _ in range(500):
        loss = objective.criticise(model, vaezoo.Batch(normal.sample((512,))), {}).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = objective.log_ratio(normal.sample((20_000,))).mean().item()
    expected = -0.5 * torch.logdet(covariance).item()
    assert found == pytest.approx(expected, rel=0.15)


def test_training_updates_both_at_their_own_rates() -> None:
    model = small("factor-vae", critic_rate=0.25, **CRITIC)
    step = make_step(model, learning_rate=1e-3)
    step(vaezoo.Batch(images(B)), 0)
    rates = {u.phase.name: u.optimizer.param_groups[0]["lr"].item() for u in step.updates}
    assert rates == {"elbo": pytest.approx(1e-3), "critic": pytest.approx(2.5e-4)}


def test_the_record_has_the_total_correlation() -> None:
    model = small("factor-vae", **CRITIC)
    history = vaezoo.fit(model, images(64), steps=20, **QUICK)
    assert len(history.column("total_correlation")) == len(history.column("loss/critic")) > 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gamma": -1.0}, "gamma must not be negative"),
        ({"critic": ()}, "positive widths"),
        ({"critic": (5, 0)}, "positive widths"),
        ({"critic_rate": 0.0}, "critic_rate must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=said):
        vaezoo.create("factor-vae", **options)


def test_a_batch_of_one_is_refused() -> None:
    options = {**QUICK, "batch_size": 1}
    with pytest.raises(vaezoo.OptionError, match="batch_size must be at least 2"):
        vaezoo.fit(small("factor-vae", **CRITIC), images(8), steps=2, **options)


class FullCovariance(vaezoo.Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(30, 3)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return MultivariateNormal(self.mean(x.flatten(1)), torch.eye(3), validate_args=False)


@pytest.mark.parametrize(
    "parts", [{"encoder": FullCovariance()}, {"prior": "mixture"}], ids=["joint q", "mixture"]
)
def test_it_takes_any_posterior_and_prior(parts: dict[str, Any]) -> None:
    model = vaezoo.create("factor-vae", input_shape=SHAPE, latent_dim=3, **CRITIC, **parts)
    history = vaezoo.fit(model, images(), steps=2, **QUICK)
    assert history.column("total_correlation")


def test_codes_of_any_shape_are_permuted_place_by_place() -> None:
    model = vaezoo.create(
        "factor-vae", input_shape=(1, 16, 16), network="resnet", latent_shape=(2, 4, 4), **CRITIC
    )
    vaezoo.fit(model, torch.rand(16, 1, 16, 16), steps=2, **QUICK)
    assert model.objective.critic.inner[0].in_features == 32


def test_a_run_with_its_critic_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, parted = small("factor-vae", **CRITIC), small("factor-vae", **CRITIC)
    options = {**QUICK, "validation": 8, "checkpoint_every": 3, "seed": 0}
    vaezoo.fit(whole, images(40), steps=6, out=tmp_path / "whole", **options)
    vaezoo.fit(parted, images(40), steps=3, out=tmp_path / "parted", **options)
    again = small("factor-vae", **CRITIC)
    vaezoo.fit(again, images(40), steps=6, out=tmp_path / "parted", resume=True, **options)
    assert same(weights(whole.objective), weights(again.objective))
