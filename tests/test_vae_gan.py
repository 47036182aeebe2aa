"""vae-gan: encoder, decoder and discriminator, each with its own loss (Larsen et al. 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from training_helpers import QUICK, SHAPE, images, make_step, same, small, weights

import vaezoo
from vaezoo.training.gradient import score_function
from vaezoo_plugins.vae_gan import Adversarial, Discriminator

B = 8
NARROW = {"features": (4, 6)}


def gan(**options: Any) -> vaezoo.VAE:
    return small("vae-gan", **{**NARROW, **options})


def phase_of(model: vaezoo.VAE, name: str) -> vaezoo.Phase:
    return next(p for p in model.objective.phases(model) if p.name == name)


def loss_of(model: vaezoo.VAE, name: str, seed: int = 0) -> Tensor:
    weights = model.objective.weights(torch.tensor(0))
    torch.manual_seed(seed)
    return score_function(phase_of(model, name))(
        model, vaezoo.Batch(images(B).to(model.dtype)), weights
    )[0]


def gradient(loss: Tensor, module: nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, [*module.parameters()])
    return torch.cat([each.flatten() for each in found])


def critic_of(model: vaezoo.VAE) -> Discriminator:
    critic = model.objective.critic
    assert isinstance(critic, Discriminator)
    return critic


def fakes(model: vaezoo.VAE, seed: int = 0) -> tuple[Tensor, Tensor]:
    """x̃ and x_p as a phase draws them from this seed: (B, *SHAPE) each."""
    torch.manual_seed(seed)
    decoded = model(images(B)).px.mean[0]
    return decoded, model.decoder(model.sample_prior(B)).mean


def probability(model: vaezoo.VAE, x: Tensor) -> float:
    return critic_of(model)(x).sigmoid().mean().item()


# The losses.


class Half(nn.Module):
    """Features that anyone can compute: x / 2, flat."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(-3) / 2


class Sum(nn.Module):
    """A logit that anyone can compute: the sum of the features, minus 1."""

    def forward(self, features: Tensor) -> Tensor:
        return features.sum(-1, keepdim=True) - 1


def test_the_losses_are_those_of_algorithm_1_in_numpy() -> None:
    base = small("vae")
    objective = Adversarial(Discriminator(Half(), Sum()), gamma=3.0)
    model = vaezoo.VAE(base.encoder, base.decoder, base.prior, objective=objective, bound="none")
    x = images(B)
    batch, weights = vaezoo.Batch(x), objective.weights(torch.tensor(0))
    decoded, imagined = (fake.detach().numpy() for fake in fakes(model))
    kl = model(x).kl[0].detach().numpy()

    def distribution(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return 1 / (1 + np.exp(1 - x.reshape(B, -1).sum(1) / 2))

    distance = 0.5 * ((x.numpy() - decoded) ** 2 / 4).reshape(B, -1).sum(1)
    deceived = -np.log(distribution(decoded)) - np.log(distribution(imagined))
    gan = np.log(distribution(x.numpy())) + np.log(1 - distribution(decoded))
    gan = gan + np.log(1 - distribution(imagined))
    expected = {"encode": kl + distance, "decode": 3.0 * distance + deceived, "criticise": -gan}
    for name, value in expected.items():
        torch.manual_seed(0)
        terms = getattr(objective, name)(model, batch, weights)
        assert terms.loss.shape == (B,)
        assert np.allclose(terms.loss.detach().numpy(), value, rtol=1e-4), name
        if name == "criticise":
            shares = [terms.logs[f"critic/{of}"].mean() for of in ("data", "decoded", "imagined")]
            values = [distribution(each).mean() for each in (x.numpy(), decoded, imagined)]
            assert np.allclose(shares, values, rtol=1e-4)


def test_validation_tells_earlier_weights_from_later_ones_in_pixels() -> None:
    model = gan()
    trace = model(images(B), samples=2)
    terms = model.objective.score(trace, {})
    assert torch.allclose(terms.loss, (trace.kl - trace.log_px).mean(0))
    history = vaezoo.fit(model, images(), steps=4, **QUICK)
    for record in (r for r in history.records if r["split"] == "validation"):
        assert record["loss"] == pytest.approx(record["kl"] - record["reconstruction"], rel=1e-5)
    assert history.best["loss"] == min(history.column("loss", "validation"))


def test_the_features_have_a_scale_whatever_the_weights() -> None:
    model = gan()
    before = critic_of(model).features(images(B))
    assert before.shape == (B, 6, 6, 5)
    flat = before.flatten(1)
    assert torch.allclose(flat.mean(1), torch.zeros(B), atol=1e-5)
    assert torch.allclose(flat.var(1, correction=0), torch.ones(B), atol=0.05)


# Whose gradient is what.


def test_each_phase_has_its_own_parameters_and_all_have_one() -> None:
    model = gan(prior="mixture")
    parts = {
        "encoder": [*model.encoder.parameters(), *model.prior.parameters()],
        "decoder": [*model.decoder.parameters()],
        "critic": [*model.objective.parameters()],
    }
    everything = [p for part in parts.values() for p in part]
    for name, own in parts.items():
        assert {*phase_of(model, name).parameters} == {*own}
        for parameter in everything:
            parameter.grad = None
        loss_of(model, name).backward(inputs=own)
        assert {p for p in everything if p.grad is not None} == {*own}


def test_the_discriminators_loss_reaches_no_other_even_without_inputs() -> None:
    model = gan()
    loss_of(model, "critic").backward()
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_discriminators_steps_believe_the_data_more_and_the_decoder_less() -> None:
    model = gan()
    critic, x, (decoded, imagined) = critic_of(model), images(B), fakes(model)
    before = [probability(model, each) for each in (x, decoded, imagined)]
    optimizer = torch.optim.SGD(critic.parameters(), lr=0.05)
    for _ in range(20):  # at first, the bias alone: there are two fakes to each image of the data
        optimizer.zero_grad()
        loss_of(model, "critic").backward(inputs=[*critic.parameters()])
        optimizer.step()
    after = [probability(model, each) for each in (x, decoded, imagined)]
    assert after[0] > before[0]
    assert after[1] < before[1]
    assert after[2] < before[2]


def test_a_step_of_the_decoder_makes_what_the_discriminator_believes_more() -> None:
    model = gan(gamma=0.0)
    before = [probability(model, each) for each in fakes(model)]
    optimizer = torch.optim.SGD(model.decoder.parameters(), lr=0.1)
    loss_of(model, "decoder").backward(inputs=[*model.decoder.parameters()])
    optimizer.step()
    after = [probability(model, each) for each in fakes(model)]
    assert after[0] > before[0]
    assert after[1] > before[1]


def test_the_decoder_goes_against_the_discriminators_loss() -> None:
    """The sign that others have wrong: L_GAN's own gradient, passed on to the decoder."""
    model = gan(gamma=0.0)
    decoded, imagined = (critic_of(model)(each) for each in fakes(model))
    theirs = nn.functional.softplus(decoded).mean() + nn.functional.softplus(imagined).mean()
    wrong = gradient(theirs, model.decoder)
    ours = gradient(loss_of(model, "decoder"), model.decoder)
    assert torch.nn.functional.cosine_similarity(ours, wrong, dim=0) < -0.9


def test_gamma_weighs_the_distance_in_the_decoders_loss_alone() -> None:
    found = {}
    for gamma in (0.0, 2.0):
        model = gan(gamma=gamma).double()
        model.objective.double()
        found[gamma] = [
            gradient(loss_of(model, "decoder"), model.decoder),
            gradient(loss_of(model, "encoder"), model.encoder),
        ]
    torch.manual_seed(0)
    distance = model.objective.distance(model(images(B).double())).mean()
    (with_0, encoder_0), (with_2, encoder_2) = found[0.0], found[2.0]
    assert torch.allclose(with_2 - with_0, 2 * gradient(distance, model.decoder))
    assert torch.equal(encoder_0, encoder_2)


def test_the_encoder_knows_nothing_of_whether_the_discriminator_believes() -> None:
    model = gan()
    before = gradient(loss_of(model, "encoder"), model.encoder)
    with torch.no_grad():
        for parameter in critic_of(model).rest.parameters():
            parameter.normal_()
    assert torch.equal(gradient(loss_of(model, "encoder"), model.encoder), before)
    torch.manual_seed(0)
    trace = model(images(B))
    expected = (trace.kl + model.objective.distance(trace)).mean()
    assert torch.allclose(gradient(expected, model.encoder), before)


def test_training_updates_all_three_at_their_own_rates() -> None:
    model = gan(critic_rate=0.25)
    before, critic = weights(model), weights(model.objective)
    step = make_step(model, learning_rate=1e-3)
    step(vaezoo.Batch(images(B)), 0)
    rates = {u.phase.name: u.optimizer.param_groups[0]["lr"].item() for u in step.updates}
    expected = {"encoder": 1e-3, "decoder": 1e-3, "critic": 2.5e-4}
    assert rates == pytest.approx(expected)
    for old, module in ((before, model), (critic, model.objective)):
        assert not any(torch.equal(old[n], p) for n, p in module.named_parameters() if p.ndim > 1)


# Training.


def test_the_record_has_the_figures_of_all_three() -> None:
    history = vaezoo.fit(gan(), images(64), steps=4, **QUICK)
    names = {"loss/encoder", "loss/decoder", "loss/critic", "kl", "feature_distance"}
    names |= {"critic/data", "critic/decoded", "critic/imagined", "reconstruction"}
    assert names <= {*history.records[0]}
    assert "elbo" not in history.records[0]


def test_there_is_no_bound() -> None:
    for method in ("elbo", "log_likelihood"):
        with pytest.raises(vaezoo.NoBoundError):
            getattr(gan(), method)(images(B))


def test_a_run_with_its_discriminator_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole, parted, again = gan(), gan(), gan()
    options = {**QUICK, "validation": 8, "checkpoint_every": 3, "seed": 0}
    vaezoo.fit(whole, images(40), steps=6, out=tmp_path / "whole", **options)
    vaezoo.fit(parted, images(40), steps=3, out=tmp_path / "parted", **options)
    vaezoo.fit(again, images(40), steps=6, out=tmp_path / "parted", resume=True, **options)
    assert same(weights(whole.objective), weights(again.objective))


# Parts.

COMBINATIONS: list[dict[str, Any]] = [
    {"input_shape": (1, 32, 32)},  # conv
    {"input_shape": (3, 17, 20), "network": {"name": "resnet", "channels": [4]}},
    {"input_shape": (1, 16, 16), "network": "resnet", "latent_shape": (2, 4, 4)},
    {"input_shape": (2, 1, 3)},
    {"input_shape": (9,)},
    {"input_shape": (4, 5), "network": "mlp"},
    {"input_shape": (9,), "features": (5,)},
    {"input_shape": SHAPE, "prior": "mixture"},
    {"input_shape": SHAPE, "prior": "vampprior"},
    {"input_shape": SHAPE, "likelihood": "continuous-bernoulli"},
    {"input_shape": SHAPE, "likelihood": {"name": "gaussian", "sigma": "optimal"}},
]


@pytest.mark.parametrize("options", COMBINATIONS, ids=str)
def test_parts_go_together(options: dict[str, Any]) -> None:
    latent = {} if "latent_shape" in options else {"latent_dim": 3}
    model = vaezoo.create("vae-gan", **{**NARROW, **latent, **options})
    x = torch.rand(16, *options["input_shape"])
    vaezoo.fit(model, x, steps=2, **QUICK)
    assert model.sample(2).shape == (2, *options["input_shape"])
    if "optimal" in str(options):
        assert model.decoder.head.steps == 2


def test_a_prior_of_each_class_draws_what_the_discriminator_sees() -> None:
    model = gan(prior="class-normal", num_classes=SHAPE[1])
    y = torch.arange(40) % SHAPE[1]
    vaezoo.fit(model, (images(), y), steps=2, **QUICK)
    assert model.sample(3, y[:3]).shape == (3, *SHAPE)


@pytest.mark.parametrize(
    "likelihood",
    ["gaussian", {"name": "gaussian", "sigma": "predicted"}, "discretized-logistic"],
    ids=str,
)
def test_a_likelihood_of_more_than_a_mean_is_refused(likelihood: Any) -> None:
    with pytest.raises(vaezoo.OptionError, match=r"trains the mean of p.*sigma='fixed'"):
        gan(likelihood=likelihood)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gamma": -1.0}, "gamma must not be negative"),
        ({"features": ()}, "features must hold positive widths"),
        ({"features": (5, 0)}, "features must hold positive widths"),
        ({"critic_rate": 0.0}, "critic_rate must be positive"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=said):
        gan(**options)
