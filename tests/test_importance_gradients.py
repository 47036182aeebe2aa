"""Gradients of importance-weighted bounds: PIWAE's two, and the estimators STL and DReG."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from importance_helpers import near, planted, scored
from torch import Tensor
from torch.distributions import Independent, Normal, TransformedDistribution
from torch.distributions.transforms import AffineTransform
from training_helpers import images, small

import vaezoo
from vaezoo.training.gradient import score_function
from vaezoo_plugins.iwae import IWAE
from vaezoo_plugins.miwae import MIWAE

B, M, K = 5, 2, 3
REPEATS = 40_000


# PIWAE.


def mean_of_groups(log_w: Tensor, m: int, k: int) -> Tensor:
    """1/M Σ_m log 1/K Σ_k w_mk, from explicit groups."""
    return sum(log_w[i * k : (i + 1) * k].exp().mean(0).log() for i in range(m)) / m


def test_the_encoder_has_the_gradient_of_miwae_and_the_rest_that_of_iwae() -> None:
    model = small("piwae", m=M, k=K, prior="mixture").double()
    batch = vaezoo.Batch(images(B).double())
    found = {}
    for phase in model.objective.phases(model):
        torch.manual_seed(3)
        phase.loss(model, batch, {}).loss.mean().backward(inputs=[*phase.parameters])
        found[phase.name] = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
        model.zero_grad()
    names = {name for name, _ in model.named_parameters()}
    of_encoder = {name for name in names if name.startswith("encoder.")}
    assert found["encoder"].keys() == of_encoder
    assert found["decoder"].keys() == names - of_encoder
    assert any(name.startswith("prior.") for name in found["decoder"])

    for phase, (m, k) in {"encoder": (M, K), "decoder": (1, M * K)}.items():
        torch.manual_seed(3)
        loss = -mean_of_groups(model(batch.x, samples=M * K).log_w, m, k).mean()
        expected = torch.autograd.grad(loss, [*model.parameters()])
        expected = dict(zip([n for n, _ in model.named_parameters()], expected, strict=True))
        for name, gradient in found[phase].items():
            assert torch.allclose(gradient, expected[name], rtol=0, atol=1e-6), (phase, name)


def test_a_training_step_of_piwae_moves_each_part_once() -> None:
    model = small("piwae")
    assert [phase.name for phase in model.objective.phases(model)] == ["encoder", "decoder"]
    history = vaezoo.fit(model, images(), steps=3, batch_size=8, progress=False, validation=0)
    assert {"loss/encoder", "loss/decoder", "miwae", "iwae", "elbo"} <= history.last().keys()


# The estimators.


def gradients(objective: vaezoo.Objective, samples: int, **q: float) -> dict[str, Tensor]:
    """Of each repeat: (R,). The draws are the same for each objective."""
    known = planted(samples, REPEATS, **q)
    leaves = {name: getattr(known, name) for name in ("mean", "log_sigma", "offset")}
    found = torch.autograd.grad(scored(objective, known.trace).sum(), [*leaves.values()])
    return {name: g.squeeze(1) for name, g in zip(leaves, found, strict=True)}


UNBIASED = {
    "stl, K=1": (IWAE(1), IWAE(1, "stl")),
    "dreg, K=1": (IWAE(1), IWAE(1, "dreg")),
    "dreg, K=5": (IWAE(5), IWAE(5, "dreg")),
    "stl, MIWAE(3, 1)": (MIWAE(3, 1), MIWAE(3, 1, "stl")),
    "dreg, MIWAE(2, 3)": (MIWAE(2, 3), MIWAE(2, 3, "dreg")),
}


@pytest.mark.parametrize("pair", UNBIASED.values(), ids=UNBIASED)
@pytest.mark.parametrize(("shift", "widen"), [(0.3, 2.0), (0.02, 1.05)], ids=["far", "near"])
def test_the_mean_gradient_is_that_of_what_is_replaced(
    pair: tuple[Any, Any], shift: float, widen: float
) -> None:
    standard, other = (gradients(o, o.samples, shift=shift, widen=widen) for o in pair)
    for name in ("mean", "log_sigma"):
        assert near(other[name] - standard[name]), name
        assert standard[name].std() > 0
        if shift < 0.1:  # near the optimum
            assert other[name].var() < 0.1 * standard[name].var(), name
    assert torch.allclose(other["offset"], standard["offset"])  # that of p(x|z) is left alone


def test_stl_has_another_mean_for_more_than_one_draw() -> None:
    """Tucker et al. 2019: which is why dreg is there, and why the docs say so."""
    standard, other = (gradients(IWAE(5, e), 5) for e in ("standard", "stl"))
    assert not near(other["mean"] - standard["mean"])


@pytest.mark.parametrize("estimator", ["stl", "dreg"])
@pytest.mark.parametrize("samples", [1, 4])
def test_at_the_exact_posterior_there_is_no_noise(estimator: Any, samples: int) -> None:
    exact = {"shift": 0.0, "widen": 1.0}
    found = gradients(IWAE(samples, estimator), samples, **exact)
    noisy = gradients(IWAE(samples), samples, **exact)
    for name in ("mean", "log_sigma"):
        assert found[name].abs().max() < 1e-12
        assert noisy[name].std() > 0.1


def test_dreg_weighs_each_draw_by_the_square_of_its_share() -> None:
    """Tucker et al. 2019, for the mean of q: dz/dmean is 1."""
    known = planted(K, 7)
    trace = known.trace
    (found,) = torch.autograd.grad(scored(IWAE(K, "dreg"), trace).sum(), known.mean)
    z = trace.sites[0].z.detach()[..., 0]
    variance = known.log_sigma.detach().exp().square().squeeze(1)
    slope = (1 - z) / 0.25 - z + (z - known.mean.detach().squeeze(1)) / variance  # d log w / dz
    share = trace.log_w.detach().softmax(0)
    assert torch.allclose(found.squeeze(1), -(share.square() * slope).sum(0))


@pytest.mark.parametrize("estimator", ["stl", "dreg"])
def test_a_q_that_remembers_where_z_came_from_has_the_same_gradient(estimator: Any) -> None:
    """A flow gives log q from its pass, or finds z's origin in a cache: by another way than z."""
    found = []
    for kind in ("normal", "cached", "given"):
        known = planted(K, 7)
        (site,) = known.trace.sites
        if kind != "normal":
            torch.manual_seed(0)
            zero, one = torch.zeros_like(known.mean), torch.ones_like(known.mean)
            affine = AffineTransform(known.mean, known.log_sigma.exp(), cache_size=1)
            q = TransformedDistribution(Normal(zero, one), [affine])
            q = Independent(q, 1)
            z = q.rsample((K,))
            log_q = None
            if kind == "given":
                noise = ((z - known.mean) / known.log_sigma.exp()).detach()
                log_q = (Normal(zero, one).log_prob(noise) - known.log_sigma).sum(-1)
            px = Independent(Normal(z + known.offset, 0.5), 1)
            site = vaezoo.Site(q, site.p, z, log_q=log_q)
            known.trace = vaezoo.Trace(known.trace.x, px, (site,))
        loss = scored(IWAE(K, estimator), known.trace)
        leaves = [known.mean, known.log_sigma, known.offset]
        found.append([loss, *torch.autograd.grad(loss.sum(), leaves)])
    for other in found[1:]:
        assert all(torch.allclose(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_compiled_step_of_dreg_has_the_gradient_of_an_eager_one() -> None:
    model = small("miwae", estimator="dreg")
    (phase,) = model.objective.phases(model)
    score = score_function(phase)
    found = []
    for each in (score, torch.compile(score, backend="aot_eager", fullgraph=True)):
        torch.manual_seed(0)
        loss = each(model, vaezoo.Batch(images(B)), {})[0]
        found.append(torch.autograd.grad(loss, [*model.parameters()]))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("estimator", ["stl", "dreg"])
def test_what_cannot_be_reparameterised_is_refused(estimator: Any) -> None:
    known = planted(K, 3)
    known.trace.sites[0].q = torch.distributions.Poisson(torch.ones(3))
    with pytest.raises(vaezoo.OptionError, match="reparameterised"):
        IWAE(K, estimator).check(known.trace)
