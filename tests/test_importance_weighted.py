"""iwae, miwae, ciwae, piwae: the bounds, what they become at their ends, what training does."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from importance_helpers import LOG_P, near, planted, scored
from torch import Tensor
from training_helpers import QUICK, SHAPE, images, make_step, small

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.training import loop
from vaezoo_plugins.ciwae import CIWAE
from vaezoo_plugins.importance_weighting import grouped
from vaezoo_plugins.iwae import IWAE
from vaezoo_plugins.miwae import MIWAE
from vaezoo_plugins.piwae import PIWAE

B, M, K = 5, 2, 3
VARIANTS = ["iwae", "miwae", "ciwae", "piwae"]
ESTIMATORS = ["standard", "stl", "dreg"]


def traced(samples: int, name: str = "vae", **options: Any) -> vaezoo.Trace:
    model = small(name, **options).double()
    torch.manual_seed(1)
    return model(images(B).double(), samples=samples)


def iwae_of(log_w: Tensor) -> Tensor:
    """By its definition, without a logarithm of a sum of exponentials."""
    return log_w.exp().mean(0).log()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_loss_is_minus_the_bound_and_the_bound_is_logged(estimator: Any) -> None:
    trace = traced(M * K)
    log_w = trace.log_w
    objective = IWAE(M * K, estimator)
    terms = objective.score(trace, {})
    assert torch.allclose(terms.loss, -iwae_of(log_w), rtol=0, atol=1e-6)
    assert torch.equal(terms.logs[objective.maximises], -terms.loss)
    assert terms.logs["elbo"].item() == pytest.approx(trace.elbo.mean().item())

    terms = MIWAE(M, K, estimator).score(trace, {})
    expected = (iwae_of(log_w[:K]) + iwae_of(log_w[K:])) / 2  # M groups of K in a row
    swapped = (iwae_of(log_w[::3]) + iwae_of(log_w[1::3]) + iwae_of(log_w[2::3])) / 3
    assert torch.allclose(terms.loss, -expected, rtol=0, atol=1e-6)
    assert not torch.allclose(expected, swapped, atol=1e-2)
    assert torch.equal(terms.logs["miwae"], -terms.loss)


def test_miwae_at_its_ends_is_the_elbo_and_iwae() -> None:
    trace = traced(6)
    mean = trace.log_w.mean(0)  # the ELBO of 6 draws, with log q - log p for its KL
    assert torch.allclose(scored(MIWAE(6, 1), trace), -mean, rtol=0, atol=1e-6)
    assert torch.allclose(scored(MIWAE(1, 6), trace), scored(IWAE(6), trace), rtol=0, atol=1e-6)


def test_ciwae_at_its_ends_is_the_elbo_and_iwae_and_between_them_linear() -> None:
    trace = traced(K)
    elbo, iwae = -trace.log_w.mean(0), scored(IWAE(K), trace)
    for beta in (0.0, 0.25, 1.0):
        expected = beta * elbo + (1 - beta) * iwae
        assert torch.allclose(scored(CIWAE(beta, K), trace), expected, rtol=0, atol=1e-6)


def test_one_sample_is_the_elbo_with_a_monte_carlo_kl() -> None:
    trace = traced(1)
    (site,) = trace.sites
    expected = -(trace.log_px + site.log_p - site.log_q)[0]
    assert torch.allclose(scored(IWAE(1), trace), expected, rtol=0, atol=1e-6)
    one = planted(1, 100_000).trace
    assert near((-scored(IWAE(1), one) - one.elbo[0]).detach())
    assert near(-scored(IWAE(1), one).detach(), -1.808937)


@pytest.mark.parametrize(("samples", "bound"), [(2, -1.55892), (50, -1.43399)])
def test_the_bound_of_the_conjugate_model_is_that_of_quadrature(
    samples: int, bound: float
) -> None:
    trace = planted(samples, 200_000 // samples).trace
    assert near(-scored(IWAE(samples), trace).detach(), bound)
    both = planted(2 * samples, 100_000 // samples).trace
    assert near(-scored(MIWAE(2, samples), both).detach(), bound)


@pytest.mark.parametrize("objective", [IWAE(6), MIWAE(2, 3), CIWAE(0.3, 6), PIWAE(2, 3)])
def test_with_the_exact_posterior_each_bound_is_the_log_likelihood(
    objective: vaezoo.Objective,
) -> None:
    trace = planted(6, 4, shift=0.0, widen=1.0).trace
    expected = torch.full((4,), -LOG_P, dtype=torch.float64)
    assert torch.allclose(scored(objective, trace), expected, atol=1e-6)


def test_the_bounds_are_in_the_order_of_their_theory() -> None:
    """ELBO <= CIWAE, MIWAE(M, K) <= IWAE(M·K), by Jensen's inequality for each example."""
    trace = traced(6)
    elbo, iwae = -trace.log_w.mean(0), scored(IWAE(6), trace)
    for loss in (scored(CIWAE(0.5, 6), trace), scored(MIWAE(2, 3), trace)):
        assert (iwae < loss).all()
        assert (loss < elbo).all()


@pytest.mark.parametrize(("draws", "shape"), [(12, (3, 4, 1)), (3, (1, 3, 1)), (6, (3, 2, 1))])
def test_another_number_of_draws_is_grouped_whole(draws: int, shape: tuple[int, ...]) -> None:
    assert grouped(torch.randn(draws, 1), 4).shape == shape


def test_several_groups_of_latents_share_a_weight() -> None:
    q = [normal(torch.randn(B, 2), torch.ones(B, 2), 1) for _ in range(2)]
    p = normal(torch.zeros(2), torch.ones(2), 1)
    sites = tuple(vaezoo.Site(each, p, each.rsample((K,))) for each in q)
    penalties = {"commitment": torch.full((B,), 0.25)}
    px = normal(torch.randn(K, B, 4), torch.ones(K, B, 4), 1)
    trace = vaezoo.Trace(torch.zeros(B, 4), px, sites, penalties=penalties)
    log_w = trace.log_px + sum(site.log_p - site.log_q for site in sites)
    assert torch.allclose(scored(IWAE(K), trace), 0.25 - iwae_of(log_w), atol=1e-5)
    for estimator in ("stl", "dreg"):
        with pytest.raises(vaezoo.OptionError, match=f"'{estimator}' is for one group of latents"):
            IWAE(K, estimator).check(trace)


# Training.


@pytest.mark.parametrize("name", VARIANTS)
def test_validation_reports_the_bound_by_name_beside_the_elbo(name: str, tmp_path: Path) -> None:
    model = small(name)
    options = {"steps": 6, "validate_every": 3, "validation": images(9, seed=1)}
    history = vaezoo.fit(model, images(), out=tmp_path, **options, **QUICK)
    own = model.objective.maximises
    assert own == ("iwae" if name == "piwae" else name)
    for record in (r for r in history.records if r["split"] == "validation"):
        assert record["loss"] == pytest.approx(-record[own])
        assert record[own] > record["elbo"] - 1.0  # which is of one draw
    assert len(history.column(own)) == len(history.column("elbo")) > 0
    assert f"validation {own}" in (tmp_path / "model" / "README.md").read_text()


@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_reported_at_the_end_is_the_bound_too_with_the_draws_of_training(
    name: str, tmp_path: Path
) -> None:
    model = small(name)
    own, k = model.objective.maximises, model.objective.samples
    figures = vaezoo.evaluate(model, images(30), seed=1)
    assert {"elbo", own, f"{own}_standard_error"} <= figures.keys()
    alone = vaezoo.evaluate(model, images(30), "elbo", seed=1)
    assert figures["elbo"] == alone["elbo"]
    x, bounds = images(30), []
    with torch.no_grad():
        for seed in range(40):
            torch.manual_seed(seed)
            bounds.append(-scored(model.objective, model(x, None, k)).mean())
    spread = torch.stack(bounds).std().item()
    assert figures[own] == pytest.approx(torch.stack(bounds).mean().item(), abs=4 * spread)
    assert figures[own] > figures["elbo"]


def test_the_bound_of_training_is_refused_where_it_is_the_elbo() -> None:
    model = vaezoo.create("vae", input_shape=images().shape[1:], latent_dim=2)
    with pytest.raises(vaezoo.DataError, match="ask for the metric 'elbo'"):
        vaezoo.evaluate(model, images(), "training-bound")
    assert "iwae" not in vaezoo.evaluate(model, images())


def test_progress_tells_the_bound_that_training_raises(capsys: pytest.CaptureFixture[str]) -> None:
    options = {"steps": 2, "validate_every": 1, "validation": images(9, seed=1)}
    vaezoo.fit(small("iwae"), images(), **options, **QUICK | {"progress": True})
    assert re.search(r"IWAE -[\d.]+  ELBO -", capsys.readouterr().err)


def test_the_best_weights_are_those_of_the_highest_bound_not_of_the_highest_elbo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds = iter([(-9.0, -10.0), (-7.0, -12.0), (-8.0, -11.0)])

    def validate(*_: Any, **__: Any) -> dict[str, float]:
        iwae, elbo = next(bounds)
        return {"loss": -iwae, "iwae": iwae, "elbo": elbo}

    monkeypatch.setattr(loop, "validate", validate)
    options = {"steps": 6, "validate_every": 2, "validation": images(9, seed=1)}
    history = vaezoo.fit(small("iwae"), images(), **options, **QUICK)
    assert history.best["step"] == 4


def test_training_raises_the_bound() -> None:
    for name in VARIANTS:
        model = small(name)
        vaezoo.fit(model, images(64), steps=150, learning_rate=1e-2, validation=0, **QUICK)
        # Without a code, each of 30 pixels costs the entropy of one in five: 15 nats together.
        assert model.log_likelihood(images(64), samples=100, seed=0).mean() > -8.0, name


# Parts and options.


@pytest.mark.parametrize(
    "parts",
    [
        {"likelihood": "discretized-logistic"},
        {"likelihood": {"name": "gaussian", "sigma": "optimal"}},
        {"network": {"name": "conv", "channels": [4]}, "prior": "mixture"},
        {"prior": "class-normal", "num_classes": 3},
    ],
)
@pytest.mark.parametrize("name", VARIANTS)
def test_parts_combine(name: str, parts: dict[str, Any]) -> None:
    torch.manual_seed(0)
    network = {"name": "mlp", "hidden": [8]}
    model = vaezoo.create(name, input_shape=SHAPE, latent_dim=3, **{"network": network, **parts})
    before = [p.clone() for p in model.parameters()]
    step = make_step(model, execution="eager")
    step(vaezoo.Batch(images(B), torch.arange(B) % 3), 0)
    assert all(math.isfinite(value) for value in step.figures().values())
    changed = [not torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True)]
    if "optimal" not in str(parts):
        assert sum(changed) > len(changed) / 2


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bound", ["none", "relaxed"])
def test_what_has_no_exact_bound_is_refused(bound: Any, estimator: Any) -> None:
    model = small("iwae", estimator=estimator)
    model.bound = bound
    with pytest.raises(vaezoo.OptionError, match=f"'exact', and that of this one is '{bound}'"):
        vaezoo.fit(model, images(), steps=2, **QUICK)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("iwae", {"samples": 0}, "samples must be at least 1, but is 0"),
        ("miwae", {"m": 0}, "m must be at least 1"),
        ("piwae", {"k": -1}, "k must be at least 1"),
        ("ciwae", {"beta": 1.5}, r"beta must lie in \[0, 1\], but is 1.5"),
        ("iwae", {"estimator": "dregs"}, "dreg"),
        ("piwae", {"estimator": "dreg"}, "no option 'estimator'"),
    ],
)
def test_wrong_options_are_refused(name: str, options: dict[str, Any], said: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=said):
        vaezoo.create(name, **options)
