"""dip-vae: the covariance of all codes (Kumar et al. 2018)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, MultivariateNormal
from training_helpers import QUICK, SHAPE, images, small

import vaezoo
from vaezoo.training.gradient import score_function

K, B, D = 2, 7, 3


def scored(model: vaezoo.VAE, x: Tensor) -> tuple[vaezoo.Trace, Tensor]:
    torch.manual_seed(7)
    trace = model(x, samples=K)
    return trace, model.objective.score(trace, model.objective.weights(torch.tensor(0))).loss


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_the_penalty_is_that_of_numpys_covariance(kind: str) -> None:
    model = small("dip-vae", kind=kind, lambda_od=3.0, lambda_d=0.75).double()
    trace, loss = scored(model, images(B).double())
    q = trace.sites[0].q
    covariance = np.cov(q.mean.detach().numpy().T)
    if kind == "ii":
        covariance += np.diag(q.variance.detach().numpy().mean(0))
    off = covariance - np.diag(np.diag(covariance))
    penalty = 3.0 * (off**2).sum() + 0.75 * ((np.diag(covariance) - 1) ** 2).sum()
    assert penalty > 0.1
    assert torch.allclose(loss, -trace.elbo.mean(0) + penalty, rtol=1e-12)
    assert not model.objective.per_example


@pytest.mark.parametrize("kind", ["i", "ii"])
def test_without_weights_it_is_the_vae_bit_for_bit(kind: str) -> None:
    vae = small("vae")
    dip = small("dip-vae", kind=kind, lambda_od=0.0)
    dip.load_state_dict(vae.state_dict())
    found = []
    for model in (vae, dip):
        (phase,) = model.objective.phases(model)
        torch.manual_seed(7)
        weights = model.objective.weights(torch.tensor(0))
        loss = score_function(phase)(model, vaezoo.Batch(images(B)), weights)[0]
        loss.backward()
        found.append([loss, *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize(("kind", "weight"), [("i", 50.0), ("ii", 5.0)])
def test_the_diagonals_weight_follows_from_the_other(kind: str, weight: float) -> None:
    weights = small("dip-vae", kind=kind, lambda_od=5.0).objective.weights(torch.tensor(0))
    assert (weights["lambda_od"], weights["lambda_d"]) == (5.0, weight)


def test_training_brings_the_covariance_of_the_draws_to_the_identity() -> None:
    model = small("dip-vae", lambda_od=100.0)
    vaezoo.fit(model, images(64), steps=300, learning_rate=3e-3, validation=0, **QUICK)
    with torch.no_grad():
        torch.manual_seed(0)
        z = model(images(64), samples=200).sites[0].z.flatten(0, 1)
    assert torch.allclose(torch.cov(z.T), torch.eye(D), atol=0.15)


class FullCovariance(vaezoo.Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(30, D)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return MultivariateNormal(self.mean(x.flatten(1)), torch.eye(D), validate_args=False)


def test_kind_ii_refuses_a_joint_posterior_and_kind_i_takes_it(tmp_path: Path) -> None:
    for kind in ("ii", "i"):
        model = vaezoo.create(
            "dip-vae", input_shape=SHAPE, latent_dim=D, encoder=FullCovariance(), kind=kind
        )
        if kind == "i":
            vaezoo.fit(model, images(), steps=2, **QUICK)
            continue
        with pytest.raises(vaezoo.OptionError, match=r"MultivariateNormal.*kind='i'"):
            vaezoo.fit(model, images(), steps=2, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["lambda_od", "lambda_d"])
def test_what_is_negative_is_refused(option: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=f"{option} must not be negative"):
        vaezoo.create("dip-vae", **{option: -1.0})
