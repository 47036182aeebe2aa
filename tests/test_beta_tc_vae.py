"""beta-tc-vae: the KL cut into three terms (Chen et al. 2018, eqs. 2 and 4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from training_helpers import QUICK, SHAPE, images, small

import vaezoo
from vaezoo_plugins.beta_tc_vae import Decomposed

K, B, D = 2, 6, 3


def prepared(total: int, **options: Any) -> vaezoo.VAE:
    model = small("beta-tc-vae", **options).double()
    model.objective.double().prepare(vaezoo.Batch(images(B).double()), total)
    return model


def loss_of(model: vaezoo.VAE, trace: vaezoo.Trace) -> Tensor:
    return model.objective.score(trace, model.objective.weights(torch.tensor(0))).loss


@pytest.mark.parametrize("estimator", ["stratified", "weighted"])
@pytest.mark.parametrize("prior", ["standard-normal", "mixture"])
def test_the_three_terms_add_up_to_the_kl_of_the_draws(estimator: str, prior: str) -> None:
    model = prepared(50, estimator=estimator, prior=prior)
    trace = model(images(B).double(), samples=K)
    site = trace.sites[0]
    terms = model.objective.terms(trace)
    assert all(term.shape == (K, B) for term in terms)
    assert torch.allclose(sum(terms), site.log_q - site.log_p, rtol=1e-12)


def test_each_term_has_its_own_weight() -> None:
    model = prepared(50, alpha=2.0, beta=3.0, gamma=0.5)
    trace = model(images(B).double(), samples=K)
    information, correlation, rest = model.objective.terms(trace)
    expected = -trace.log_px + 2.0 * information + 3.0 * correlation + 0.5 * rest
    assert torch.allclose(loss_of(model, trace), expected.mean(0), rtol=1e-12)
    assert not model.objective.per_example


def test_on_the_whole_data_the_terms_are_those_of_elbo_surgery() -> None:
    """Of the same aggregate posterior, by other draws."""
    model = prepared(40)
    with torch.no_grad():
        for parameter in model.encoder.parameters():
            parameter.mul_(3)
    x = (images(40).double() - 0.1 * torch.rand(40, *SHAPE).double()).abs()
    torch.manual_seed(0)
    with torch.no_grad():
        found = torch.stack(model.objective.terms(model(x, samples=200))).flatten(1)  # (3, K B)
    measured = vaezoo.evaluate(model, x, [{"name": "elbo-surgery", "draws": 200}])
    names = ("mutual_information", "total_correlation", "dimension_wise_kl")
    for values, name in zip(found, names, strict=True):
        error = (values.var() / len(values) + measured[f"{name}_standard_error"] ** 2).sqrt()
        assert abs(values.mean() - measured[name]) < 4 * error, name
        assert measured[name] > 8 * error  # so that a wrong one would show


def test_with_all_weights_1_the_loss_is_the_vaes_in_expectation() -> None:
    model = prepared(50, beta=1.0)
    with torch.no_grad():
        trace = model(images(B).double(), samples=4000)
        information, correlation, rest = model.objective.terms(trace)
        differences = information + correlation + rest - trace.kl
    error = differences.std(0) / 4000**0.5
    assert (differences.mean(0).abs() < 4 * error).all()
    assert torch.allclose(loss_of(model, trace), (differences - trace.elbo).mean(0))


class Correlated(vaezoo.Encoder):
    """Narrow posteriors about draws of a correlated normal: q(z) is nearly that normal."""

    def __init__(self, means: Tensor, sigma: float) -> None:
        super().__init__()
        self.register_buffer("means", means)
        self.sigma = sigma

    means: Tensor

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        mean = self.means[x[:, 0].long()]
        return Independent(Normal(mean, torch.full_like(mean, self.sigma)), 1)


class Nothing(vaezoo.Decoder):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return Independent(Normal(self.weight * z[..., :1], 1.0), 1)


def test_the_total_correlation_of_a_correlated_normal() -> None:
    """-1/2 log det R, R the correlations; q(z) has the variance of means and posterior."""
    n, sigma, rho = 3000, 0.6, 0.9
    torch.manual_seed(0)
    means = 2 * MultivariateNormal(torch.zeros(2), torch.tensor([[1, rho], [rho, 1.0]])).sample(
        (n,)
    )
    objective = Decomposed(1.0, 1.0, 1.0)
    prior = vaezoo.priors.StandardNormal((2,))
    model = vaezoo.VAE(Correlated(means, sigma), Nothing(), prior, objective=objective)
    objective.prepare(vaezoo.Batch(torch.zeros(2, 1)), n)
    with torch.no_grad():
        _, correlation, _ = objective.terms(model(torch.arange(n).unsqueeze(1).float()))
    r = 4 * rho / (4 + sigma**2)
    expected = -0.5 * torch.log(torch.tensor(1 - r**2)).item()
    assert correlation.mean().item() == pytest.approx(expected, rel=0.06)


def test_the_number_of_examples_is_that_of_the_training_split_and_survives(tmp_path: Path) -> None:
    model = small("beta-tc-vae")
    assert model.objective.num_examples == 1
    vaezoo.fit(model, images(40), steps=2, validation=8, out=tmp_path / "run", **QUICK)
    assert model.objective.num_examples == 32
    again = small("beta-tc-vae")
    vaezoo.fit(
        again, images(40), steps=4, validation=8, out=tmp_path / "run", resume=True, **QUICK
    )
    assert again.objective.num_examples == 32


def test_a_data_set_is_no_smaller_than_its_batch() -> None:
    model = prepared(2)
    trace = model(images(B).double(), samples=K)
    expected = prepared(B)
    assert torch.equal(model.objective.terms(trace)[1], expected.objective.terms(trace)[1])


class FullCovariance(vaezoo.Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(30, D)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return MultivariateNormal(self.mean(x.flatten(1)), torch.eye(D))


def test_a_joint_posterior_is_refused_before_a_run_begins(tmp_path: Path) -> None:
    encoder = FullCovariance()
    model = vaezoo.create("beta-tc-vae", input_shape=SHAPE, latent_dim=D, encoder=encoder)
    with pytest.raises(vaezoo.OptionError, match=r"single latent.*MultivariateNormal.*factor-vae"):
        vaezoo.fit(model, images(), steps=2, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", ["alpha", "beta", "gamma"])
def test_what_is_negative_is_refused(option: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=f"{option} must not be negative"):
        vaezoo.create("beta-tc-vae", **{option: -1.0})


@pytest.mark.parametrize(
    "parts",
    [
        {"network": "conv", "prior": "mixture", "input_shape": (1, 32, 32)},
        {"network": "resnet", "latent_shape": (2, 4, 4), "input_shape": (3, 16, 16)},
        {"prior": "class-normal", "num_classes": 3, "input_shape": (7,)},
    ],
    ids=["mixture", "spatial code", "prior of labels"],
)
def test_it_combines_with_other_parts(parts: dict[str, Any]) -> None:
    latents = {} if "latent_shape" in parts else {"latent_dim": D}
    torch.manual_seed(0)
    model = vaezoo.create("beta-tc-vae", **latents, **parts)
    x, y = torch.rand(B, *parts["input_shape"]), torch.arange(B) % 3
    trace = model(x, y, samples=K)
    model.objective.check(trace)
    site = trace.sites[0]
    whole = sum(model.objective.terms(trace))
    assert torch.allclose(whole, site.log_q - site.log_p, rtol=1e-3, atol=1e-2)
    data = (x, y) if "num_classes" in parts else x
    vaezoo.fit(model, data, steps=2, validation=0, **{**QUICK, "batch_size": B})
