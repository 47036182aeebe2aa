"""Free bits: what each latent dimension may have of KL at no cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Laplace, MultivariateNormal, Normal
from training_helpers import QUICK, SHAPE, images, small

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.testing import check_variant
from vaezoo.training.gradient import score_function

K, B, D = 2, 4, 3


def loss_of(model: vaezoo.VAE, trace: vaezoo.Trace, step: int = 0) -> Tensor:
    return model.objective.score(trace, model.objective.weights(torch.tensor(step))).loss


@pytest.mark.parametrize("name", ["vae", "beta-vae"])
def test_without_free_bits_the_loss_is_what_it_was_bit_for_bit(name: str) -> None:
    model = small(name)
    trace = model(images(B), samples=K)
    beta = model.objective.weights(torch.tensor(0))["beta"]
    assert torch.equal(loss_of(model, trace), (-trace.log_px + beta * trace.kl).mean(0))
    assert model.objective.per_example


def known(mean: Tensor, sigma: Tensor, log_px: Tensor) -> vaezoo.Trace:
    """A trace with q = N(mean, sigma²), p = N(0, I), and a likelihood without gradient."""
    q = normal(mean, sigma, 1)
    site = vaezoo.Site(q, normal(torch.zeros(D), torch.ones(D), 1), q.rsample((K,)))
    x = torch.zeros(B, 1)
    trace = vaezoo.Trace(x, Independent(Normal(torch.zeros(K, B, 1), 1.0), 1), (site,))
    trace.log_px = log_px.detach()
    return trace


def test_each_dimension_pays_for_its_mean_kl_and_for_lambda_at_least() -> None:
    """By hand: with sigma = 1 the KL of a dimension is mean² / 2."""
    mean = torch.tensor([[2.0, 0.2, 1.0], [0.0, 0.2, 1.0], [2.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    mean = mean.double().requires_grad_()
    log_px = torch.randn(K, B).double()
    trace = known(mean, torch.ones(B, D).double(), log_px)
    objective = vaezoo.ELBO(3.0, free_bits=0.4)
    terms = objective.score(trace, objective.weights(torch.tensor(0)))
    # The means over the batch are 1, 0.01 and 0.5: the second is lifted to 0.4.
    expected = -log_px.mean(0) + 3.0 * (1.0 + 0.4 + 0.5)
    assert torch.allclose(terms.loss, expected)
    assert not objective.per_example

    terms.loss.mean().backward()
    assert torch.equal(mean.grad[:, 1], torch.zeros(B).double())  # below lambda: no gradient
    paid = torch.stack([mean[:, 0], mean[:, 2]], 1)  # d/dm of 3 · m² / 2, averaged over B
    assert torch.allclose(mean.grad[:, [0, 2]], 3.0 * paid / B)

    # The figures show the whole KL.
    assert terms.logs["kl"].item() == pytest.approx(1.51)
    assert torch.equal(terms.logs["elbo"], (log_px - trace.kl).mean())


def test_all_sites_have_their_own_dimensions() -> None:
    trace = known(torch.zeros(B, D), torch.ones(B, D), torch.zeros(K, B))
    trace.sites = (trace.sites[0], trace.sites[0])
    objective = vaezoo.ELBO(free_bits=0.25)
    assert objective.regularizer(trace, {"beta": torch.tensor(1.0)}).item() == 2 * D * 0.25


def test_the_warm_up_weighs_what_is_floored() -> None:
    model = small("beta-vae", beta=4.0, warmup_steps=100, free_bits=50.0)
    trace = model(images(B))
    for step, beta in ((0, 0.0), (25, 1.0), (100, 4.0)):
        expected = -trace.log_px[0] + beta * 3 * 50.0
        assert torch.allclose(loss_of(model, trace, step), expected)


@pytest.mark.parametrize("name", ["vae", "beta-vae", "cvae"])
def test_it_is_an_option_of_each_variant_with_an_elbo(name: str) -> None:
    classes = {"num_classes": 3} if name == "cvae" else {}
    model = small(name, free_bits=0.5, **classes)
    assert model.objective.free_bits == 0.5
    assert model.config.options["free_bits"] == 0.5
    with pytest.raises(vaezoo.OptionError, match="free_bits must not be negative"):
        small(name, free_bits=-0.5, **classes)


def test_a_variant_with_free_bits_keeps_the_rules_of_the_kit() -> None:
    only = ["gradients", "loss", "batch", "regularizer", "phases"]
    assert check_variant("beta-vae", only=only, free_bits=0.5).passed == only


def test_the_step_with_free_bits_compiles_into_one_graph() -> None:
    model = small("vae", free_bits=0.5)
    (phase,) = model.objective.phases(model)
    score = torch.compile(score_function(phase), backend="eager", fullgraph=True)
    weights = model.objective.weights(torch.tensor(0))
    batch = vaezoo.Batch(images(B))
    torch.manual_seed(0)
    compiled = score(model, batch, weights)[0]
    torch.manual_seed(0)
    assert torch.allclose(compiled, score_function(phase)(model, batch, weights)[0])


def test_training_leaves_the_free_nats_to_latents_that_would_collapse() -> None:
    """Which of five rows is lit saves 15 nats for 1.6 nats of KL: too dear at beta = 20."""
    kls = []
    for free_bits in (0.0, 0.3):
        model = small("beta-vae", beta=20.0, free_bits=free_bits)
        vaezoo.fit(model, images(64), steps=200, learning_rate=1e-2, validation=0, **QUICK)
        kls.append(vaezoo.evaluate(model, images(64))["kl"])
    assert kls[0] < 0.05
    assert 0.5 < kls[1] < 1.2  # of 3 dimensions, 0.3 nats each


# The KL by dimension.


def test_the_parts_of_a_closed_form_add_up_to_it() -> None:
    q, p = (
        normal(torch.randn(B, D), torch.rand(B, D) + 0.1, 1),
        normal(torch.zeros(D), torch.ones(D), 1),
    )
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl_by_dimension.shape == (K, B, D)
    assert torch.allclose(site.kl_by_dimension.sum(-1), site.kl)


def test_the_parts_of_a_monte_carlo_kl_add_up_to_it() -> None:
    class Unknown(Normal):
        """A class without a registered formula."""

    q = Independent(Unknown(torch.randn(B, D), torch.rand(B, D) + 0.1), 1)
    site = vaezoo.Site(q, normal(torch.zeros(D), torch.ones(D), 1), q.rsample((K,)))
    assert site.kl_kind == "monte-carlo"
    assert torch.allclose(site.kl_by_dimension.sum(-1), site.kl, atol=1e-5)


def test_images_of_latents_have_a_part_for_each_place() -> None:
    q = Independent(Laplace(torch.randn(B, D, 5), torch.ones(B, D, 5)), 2)
    p = Independent(Normal(torch.zeros(D, 5), torch.ones(D, 5)), 2)
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl_by_dimension.shape == (K, B, D, 5)
    assert torch.allclose(site.kl_by_dimension.sum((-2, -1)), site.kl, atol=1e-5)


def full(*shape: int) -> Distribution:
    return MultivariateNormal(torch.zeros(*shape), torch.eye(shape[-1]))


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (full(B, D), full(D)),
        (full(B, D), normal(torch.zeros(D), torch.ones(D), 1)),
        (Independent(full(B, 2, D), 1), Independent(full(2, D), 1)),
        (Independent(Normal(torch.zeros(B, 2, D), 1.0), 2), Independent(full(2, D), 1)),
    ],
    ids=["full covariance", "factorised prior", "independent rows", "factorised posterior"],
)
def test_a_kl_that_is_no_sum_over_dimensions_has_no_parts(
    q: Distribution, p: Distribution
) -> None:
    site = vaezoo.Site(q, p, q.rsample((K,)))
    assert site.kl_by_dimension is None


class FullCovariance(vaezoo.Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Linear(30, D)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        return MultivariateNormal(self.mean(x.flatten(1)), torch.eye(D))


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"encoder": FullCovariance()}, r"q \(MultivariateNormal\).*free_bits=0"),
        ({"prior": "mixture"}, r"p \(NormalMixture\).*free_bits=0"),
    ],
)
def test_free_bits_of_what_does_not_factorise_are_refused_with_the_reason(
    tmp_path: Path, part: dict[str, Any], said: str
) -> None:
    model = vaezoo.create("vae", input_shape=SHAPE, latent_dim=D, free_bits=0.5, **part)
    with pytest.raises(vaezoo.OptionError, match=said):
        loss_of(model, model(images(B)))
    with pytest.raises(vaezoo.OptionError, match=said):  # before anything is written
        vaezoo.fit(model, images(), steps=2, out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run").exists()
