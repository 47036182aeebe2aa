"""Models of every likelihood: trained, sampled, saved, measured, compiled, and from a command."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from likelihood_helpers import COUNTS, EVERY, GRID, REAL, UNIT, data_for
from torch import Tensor

import vaezoo
from vaezoo.cli.plan import make_plan
from vaezoo.testing.compile import why_not
from vaezoo.testing.subject import Subject

SHAPE = (2, 4, 5)
SMALL: dict[str, Any] = {"latent_dim": 3, "network": {"name": "mlp", "hidden": [16]}}


def make(likelihood: Any, shape: tuple[int, ...] = SHAPE) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create("vae", input_shape=shape, likelihood=likelihood, **SMALL)


def fit(model: vaezoo.VAE, x: Tensor, **options: Any) -> vaezoo.History:
    return vaezoo.fit(model, x, batch_size=16, progress=False, **options)


@pytest.mark.parametrize("name", EVERY)
def test_a_model_is_trained_sampled_and_saved(name: str, tmp_path: Path) -> None:
    model, x = make(name), data_for(name, 40, SHAPE)
    before = model.elbo(x, seed=0).mean()
    fit(model, x, steps=20, learning_rate=1e-2)
    assert model.elbo(x, seed=0).mean() > before
    for images in (model.sample(5, seed=0), model.reconstruct(x[:5])):
        assert images.shape == (5, *SHAPE)
        assert torch.isfinite(images).all()
        if name not in REAL:
            assert images.min() >= 0
        if name in (*UNIT, *GRID):
            assert images.max() <= 1
    vaezoo.save(model, tmp_path / "model")
    again = vaezoo.load(tmp_path / "model")
    assert torch.equal(again.elbo(x, seed=1), model.elbo(x, seed=1))


@pytest.mark.parametrize("name", EVERY)
def test_a_model_takes_vectors_and_mixed_precision(name: str) -> None:
    model, x = make(name, (7,)), data_for(name, 40, (7,))
    history = fit(model, x, steps=3, precision="bf16")
    assert math.isfinite(history.column("loss")[-1])
    assert set(history.column("skipped")) == {0}
    px = model.decode(torch.zeros(2, 3))
    assert px.log_prob(x[:2]).dtype == torch.float32
    assert px.sample().dtype == torch.float32


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_a_training_step_compiles_in_one_graph(name: str) -> None:
    subject = Subject("vae", likelihood=name, **SMALL)
    model = subject.model()
    (phase,) = model.objective.phases(model)
    assert not why_not(subject, model, phase)


@pytest.mark.parametrize(
    ("name", "binarization"),
    [("bernoulli", "static"), *((name, "none") for name in ["bernoulli", *GRID, *COUNTS])],
)
def test_bits_per_dim_are_those_of_a_probability_mass(name: str, binarization: Any) -> None:
    x = data_for(name, 30, SHAPE)
    figures = vaezoo.evaluate(make(name), x, binarization=binarization)
    expected = -figures["elbo"] / (math.prod(SHAPE) * math.log(2))
    assert figures["bits_per_dim"] == pytest.approx(expected)


def test_eight_bits_encode_a_grey_level_before_anything_is_learned() -> None:
    model = make({"name": "categorical", "levels": 256})
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    figures = vaezoo.evaluate(model, data_for("categorical", 30, SHAPE))
    assert figures["bits_per_dim"] == pytest.approx(8.0, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gaussian", "density: use likelihood='discretized-logistic'"),
        ("laplace", "density"),
        ("continuous-bernoulli", "density"),
        ("bernoulli", "grey values: binarize the data"),
    ],
)
def test_bits_per_dim_of_a_density_are_refused(name: str, reason: str) -> None:
    model, x = make(name), torch.rand(30, *SHAPE)
    assert "bits_per_dim" not in vaezoo.evaluate(model, x)
    with pytest.raises(vaezoo.DataError, match=reason):
        vaezoo.evaluate(model, x, "bits-per-dim")


class Headless(vaezoo.Decoder):
    """A decoder that says nothing of its likelihood."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, z: Tensor, y: Tensor | None = None) -> Any:
        return self.inner(z, y)


def test_bits_per_dim_of_a_decoder_that_says_nothing_of_itself_are_refused() -> None:
    model = make("bernoulli")
    model = vaezoo.VAE(model.encoder, Headless(model.decoder), model.prior)
    with pytest.raises(vaezoo.DataError, match="it has no head"):
        vaezoo.evaluate(model, torch.rand(30, *SHAPE).round(), "bits-per-dim")


# Counts.


@pytest.mark.parametrize("name", COUNTS)
def test_counts_reach_the_encoders_network_as_logarithms(name: str) -> None:
    model, x = make(name, (7,)), 1000 * data_for(name, 5, (7,))
    seen = []
    model.encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    model.encode(x)
    assert torch.allclose(seen[0], (1 + x).log())
    plain = make("gaussian", (7,))
    plain.encoder.network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    plain.encode(x)
    assert torch.equal(seen[1], x)


def test_an_encoder_sees_x_as_the_head_of_a_given_decoder_says() -> None:
    def features(**options: Any) -> Any:
        return vaezoo.create("vae", input_shape=(7,), **options, **SMALL).encoder.features

    counts, plain = vaezoo.heads.NegativeBinomialHead.features, vaezoo.heads.Head.features
    given = make("negative-binomial", (7,)).decoder
    assert features(decoder=given) is counts
    assert features(decoder=Headless(given)) is plain
    network = vaezoo.wrap(torch.nn.Linear(3, 7))
    assert features(decoder=network, likelihood="negative-binomial") is counts
    assert features(decoder=network) is plain


def test_counts_in_their_hundreds_are_learned() -> None:
    torch.manual_seed(0)
    means = torch.tensor([0.5, 3.0, 40.0, 500.0]).log() + 0.3 * torch.randn(200, 1)
    x = torch.poisson(means.exp())
    model = make("negative-binomial", (4,))
    fit(model, x, steps=300, learning_rate=2e-2, validation=0)
    assert torch.allclose(model.reconstruct(x).mean(0), x.mean(0), rtol=0.4)


def test_counts_are_not_binarized_and_not_taken_from_bytes() -> None:
    x = data_for("negative-binomial", 40, (7,)) + 2
    with pytest.raises(vaezoo.DataError, match=r"needs values in \[0, 1\]"):
        fit(make("negative-binomial", (7,)), x, steps=1, binarization="dynamic")
    with pytest.raises(vaezoo.DataError, match=r"as x\.float\(\)"):
        fit(make("negative-binomial", (7,)), x.to(torch.uint8), steps=1)


def test_grey_levels_off_the_grid_stop_training_before_it_starts() -> None:
    with pytest.raises(vaezoo.DataError, match="data on the grid"):
        fit(make("categorical"), torch.rand(40, *SHAPE), steps=1)
    bytes_ = (255 * torch.rand(40, *SHAPE)).to(torch.uint8)
    fit(make("categorical"), bytes_, steps=1)


# From the outside.


def test_options_reach_the_likelihood_from_the_command_line() -> None:
    line = "vae --data sprites --model.likelihood discretized-logistic-mixture"
    line += " --model.likelihood.components 3 --model.likelihood.levels 16"
    likelihood = make_plan(line.split()).options["likelihood"]
    model = vaezoo.create("vae", input_shape=(4,), likelihood=likelihood)
    head = model.decoder.head
    assert (head.components, head.levels, head.input_shape) == (3, 16, (36,))


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (vaezoo.heads.Laplace(scale="predicted"), "laplace"),
        (vaezoo.heads.Categorical(levels=4), "categorical"),
        (vaezoo.heads.DiscretizedLogistic(levels=16), "discretized-logistic"),
        (vaezoo.heads.DiscretizedLogisticMixture(components=2), "discretized-logistic-mixture"),
        (vaezoo.heads.NegativeBinomial(value=2.0), "negative-binomial"),
        (vaezoo.heads.ZeroInflatedNegativeBinomial(), "zero-inflated-negative-binomial"),
    ],
)
def test_a_likelihood_is_chosen_by_its_options_too(options: Any, name: str) -> None:
    config = make(options).config
    assert config is not None
    assert config.parts["likelihood"]["name"] == name


@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_described(name: str) -> None:
    description = vaezoo.describe(name)
    assert description.summary
    assert all(option.help for option in description.options)
