"""ae: the deterministic autoencoder in the interface of a VAE."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal
from torch.nn.functional import binary_cross_entropy_with_logits
from training_helpers import QUICK, SHAPE, images, same, small, weights

import vaezoo
from vaezoo.training.progress import summary

K, B, D = 3, 4, 3


def test_the_code_is_a_point_mass() -> None:
    model, x = small("ae"), images(B)
    q = model.encode(x)
    assert isinstance(q, Distribution)
    assert (q.batch_shape, q.event_shape) == ((B,), (D,))
    assert torch.equal(q.mean, model.embed(x))
    assert torch.equal(q.rsample((K, 2)), q.mean.expand(K, 2, B, D))
    assert torch.equal(q.sample(), q.mode)
    assert not q.stddev.any()
    with pytest.raises(NotImplementedError):
        q.log_prob(q.mean)


def test_the_encoder_puts_out_one_number_for_each_latent() -> None:
    last = [m for m in small("ae").encoder.modules() if isinstance(m, nn.Linear)][-1]
    assert last.out_features == D


def test_a_trace_has_no_noise_and_no_kl() -> None:
    model, x = small("ae"), images(B)
    trace = model(x, samples=K)
    assert (trace.sites, trace.bound) == ((), "none")
    assert trace.log_px.shape == (K, B)
    assert torch.equal(trace.log_px[0], trace.log_px[-1])
    assert torch.equal(trace.log_px, model(x, samples=K).log_px)
    assert torch.equal(trace.kl, torch.zeros(K, B))
    assert not trace.kl.requires_grad


def test_the_loss_is_the_cross_entropy_of_the_reconstruction() -> None:
    model, x = small("ae"), images(B)
    trace = model(x)
    logits = trace.px.base_dist.logits[0]
    expected = binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3))
    terms = model.objective.score(trace, {})
    assert torch.allclose(terms.loss, expected, rtol=1e-5)
    assert [*terms.logs] == ["reconstruction"]
    assert terms.logs["reconstruction"].item() == pytest.approx(-expected.mean().item())


def test_under_a_gaussian_of_fixed_sigma_it_is_the_squared_error() -> None:
    model, x = small("ae", likelihood={"name": "gaussian", "sigma": "fixed"}), images(B)
    trace = model(x)
    error = (trace.px.mean[0] - x).square().sum((1, 2, 3)) / 2
    constant = 15 * torch.log(torch.tensor(2 * torch.pi))  # 30 values, ½ log 2π each
    assert torch.allclose(model.objective.score(trace, {}).loss, error + constant, rtol=1e-5)


def test_it_is_the_vae_of_beta_0_whose_posterior_has_no_spread() -> None:
    ae, vae = small("ae"), small("beta-vae", beta=0.0)
    tensors = ae.state_dict()
    for name, own in vae.state_dict().items():
        if own.shape != tensors[name].shape:  # the last layer: means, then log sigmas
            narrow = torch.full_like(own, -1e3) if own.ndim == 1 else torch.zeros_like(own)
            tensors[name] = torch.cat([tensors[name], narrow[D:]])
    vae.load_state_dict(tensors)
    x = images(B)
    losses = []
    for model in (ae, vae):
        weights_ = model.objective.weights(torch.tensor(0))
        losses.append(model.objective.score(model(x), weights_).loss)
    assert torch.allclose(*losses, atol=1e-3)


@pytest.mark.parametrize("figure", ["elbo", "log_likelihood"])
def test_it_has_no_bound_to_tell(figure: str) -> None:
    with pytest.raises(vaezoo.NoBoundError, match=f"{figure} is not defined.*no bound"):
        getattr(small("ae"), figure)(images(B))


def test_samples_are_decoded_draws_from_the_standard_normal() -> None:
    model = small("ae")
    torch.manual_seed(5)
    z = torch.randn(7, D)
    assert torch.equal(model.sample(7, seed=5), model.decode(z).mean)


def test_another_prior_is_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match="ae makes no use of prior"):
        small("ae", prior="standard-normal")


def test_of_an_encoder_with_spread_it_takes_the_mean() -> None:
    class Spread(vaezoo.Encoder):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(30, D)

        def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
            return Independent(Normal(self.linear(x.flatten(1)), 1.0), 1)

    model = vaezoo.create("ae", input_shape=SHAPE, latent_dim=D, encoder=Spread())
    x = images(B)
    assert torch.equal(model(x).log_px, model(x).log_px)
    assert torch.equal(model(x).px.mean[0], model.reconstruct(x))


def test_training_reports_the_reconstruction_and_keeps_the_best_loss(tmp_path: Path) -> None:
    model, x = small("ae"), images(48)
    options = {"steps": 60, "validate_every": 10, "log_every": 5, "learning_rate": 0.1}
    history = vaezoo.fit(model, x, out=tmp_path, **options, **QUICK)
    for record in history.records:
        assert record["reconstruction"] == pytest.approx(-record["loss"], rel=1e-5)
        assert not {"elbo", "kl", "beta"} & {*record}
        assert summary(record) == f"reconstruction {record['reconstruction']:,.2f}"
    assert history.best["loss"] == min(history.column("loss", "validation"))
    assert same(weights(vaezoo.load(tmp_path)), weights(model))
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {"reconstruction", "reconstruction_standard_error"} < {*figures}
    assert "elbo" not in figures
    assert "A variational autoencoder" not in (tmp_path / "model" / "README.md").read_text()


def test_evaluation_tells_the_reconstruction_of_any_model() -> None:
    x = images(B)
    figures = vaezoo.evaluate(small("ae"), x)
    model = small("ae")
    assert figures["reconstruction"] == pytest.approx(model(x).log_px.mean().item(), rel=1e-6)
    with pytest.raises(vaezoo.NoBoundError):
        vaezoo.evaluate(model, x, ["elbo"])
    vae = small("vae")
    alone, whole = (vaezoo.evaluate(vae, x, [metric]) for metric in ("reconstruction", "elbo"))
    assert alone["reconstruction"] == whole["reconstruction"]  # of the same draws


def test_an_elbo_is_recorded_of_bounds_alone() -> None:
    model = small("vae")
    model.bound = "none"
    terms = model.objective.score(model(images(B)), {"beta": torch.tensor(1.0)})
    assert [*terms.logs] == ["reconstruction", "kl"]
    history = vaezoo.fit(model, images(), steps=3, **QUICK)
    assert not history.column("elbo", "train") + history.column("elbo", "validation")
    assert history.column("kl", "validation")


def test_a_code_may_be_spatial() -> None:
    network = {"name": "resnet", "channels": [4]}
    model = vaezoo.create("ae", input_shape=(1, 12, 20), latent_shape=(2, 3, 5), network=network)
    x = torch.rand(B, 1, 12, 20)
    assert model.encode(x).event_shape == (2, 3, 5)
    assert model.embed(x).shape == (B, 30)
    assert model.sample(2).shape == (2, 1, 12, 20)
