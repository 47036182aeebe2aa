"""The two stages of models with codes: all of it, then the prior alone, by the same trainer."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import Stop, images, interrupt_at, same, small, train, weights

import vaezoo
from vaezoo.batch import Batch
from vaezoo.testing.subject import weights_of
from vaezoo.training.gradient import score_function

VARIANTS: dict[str, dict[str, Any]] = {
    "vq-vae": {"codes": 4},
    "fsq-vae": {"levels": (4,)},
    "gumbel-vae": {"categories": 4, "sampling": "straight-through"},
}
PRIOR = {"name": "autoregressive", "width": 8, "layers": 1, "heads": 2}


def first(name: str, out: Path, **options: Any) -> vaezoo.VAE:
    model = small(name, **VARIANTS[name], **options)
    train(model, None, steps=60, learning_rate=1e-2)
    if name == "gumbel-vae":  # whose codes are near to uniform by its objective: one stands out
        with torch.no_grad():
            [*model.encoder.parameters()][-1].view(4, 3)[0] += 3
    vaezoo.save(model, out)
    return model


def second(name: str, out: Path, **options: Any) -> vaezoo.VAE:
    """A model that begins with the weights of the first stage."""
    options = {"prior": PRIOR, "stage": "prior", **VARIANTS[name], **options}
    return vaezoo.load(out, into=small(name, **options))


def without_prior(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in state.items() if not n.startswith("prior.")}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_second_stage_betters_the_elbo_and_leaves_the_rest_as_it_was(
    name: str, tmp_path: Path
) -> None:
    before, x = first(name, tmp_path / "a"), images(200, seed=1)
    model = second(name, tmp_path / "a")
    start = model.elbo(x, seed=0)
    change = start - before.elbo(x, seed=0)
    # That of a q with a spread is estimated at the draw: 4 standard errors.
    assert change.mean().abs() <= 4 * change.std() / len(x) ** 0.5 + 1e-5
    train(model, None, steps=60, learning_rate=1e-2)
    assert same(without_prior(model.state_dict()), without_prior(weights(before)))
    gain = (model.elbo(x, seed=0) - start).mean()
    assert gain > 0.2  # nats
    assert torch.equal(model.reconstruct(x), before.reconstruct(x))
    # What is saved is a model like any other.
    vaezoo.save(model, tmp_path / "b")
    loaded = vaezoo.load(tmp_path / "b")
    assert torch.equal(loaded.elbo(x, seed=0), model.elbo(x, seed=0))
    assert torch.equal(loaded.sample(5, seed=0), model.sample(5, seed=0))


@pytest.mark.parametrize("name", ["vq-vae", "fsq-vae"])
def test_the_elbo_is_a_bound_on_the_sum_over_all_codes(name: str, tmp_path: Path) -> None:
    first(name, tmp_path / "a")
    model, x = second(name, tmp_path / "a"), images(5)
    train(model, None, steps=30, learning_rate=1e-2)
    codes = torch.tensor([*itertools.product(range(4), repeat=3)])
    with torch.no_grad():
        z = model.encoder.lookup(codes).unsqueeze(1).expand(-1, 5, -1, -1)
        log_joint = model.decoder(z).log_prob(x) + model.prior().log_prob(codes).unsqueeze(1)
    exact, elbo = log_joint.logsumexp(0), model.elbo(x)
    assert (elbo <= exact + 1e-5).all()
    assert torch.isclose(log_joint.unsqueeze(-1), elbo, rtol=1e-5).any(0).any(0).all()
    assert torch.allclose(model.log_likelihood(x, samples=7), elbo, rtol=1e-5)


def test_samples_come_from_the_fitted_prior(tmp_path: Path) -> None:
    first("vq-vae", tmp_path / "a")
    model = second("vq-vae", tmp_path / "a")
    train(model, None, steps=150, learning_rate=1e-2)
    taken = model.encode(images(2000, seed=1)).index
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = model.prior().sample((2000,))
    frequent = {tuple(code) for code in taken.tolist()}
    share = sum(tuple(code) in frequent for code in drawn.tolist()) / 2000
    assert share > 0.9 > 4 * len(frequent) / 64  # of codes, whose 64 are uniform at first


def test_what_follows_the_data_without_gradient_rests(tmp_path: Path) -> None:
    """Codebook, usage, temperature, and the running sigma of the decoder; and dropout."""
    gaussian = {"name": "gaussian", "sigma": "optimal"}
    for name in ("vq-vae", "gumbel-vae"):
        before = first(name, tmp_path / name, likelihood=gaussian)
        model = second(name, tmp_path / name, likelihood=gaussian)
        train(model, None, steps=5)
        assert same(without_prior(model.state_dict()), without_prior(weights(before)))
        model.train()
        assert not model.encoder.training
        assert not model.decoder.training
        assert model.prior.training


def test_the_second_stage_resumes_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first("vq-vae", tmp_path / "a")
    whole = second("vq-vae", tmp_path / "a")
    train(whole, tmp_path / "whole", checkpoint_every=5)
    interrupted = second("vq-vae", tmp_path / "a")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 13)
        with pytest.raises(Stop):
            train(interrupted, tmp_path / "b", checkpoint_every=5)
    resumed = second("vq-vae", tmp_path / "a")
    train(resumed, tmp_path / "b", checkpoint_every=5, resume=True)
    assert same(weights(resumed), weights(whole))


def test_all_of_a_model_with_a_learned_prior_is_trained_at_once(tmp_path: Path) -> None:
    """The prior's gradient and the encoder's do not meet: the one stage is both."""
    model = small("vq-vae", codes=4, prior=PRIOR)
    history = train(model, None, steps=150, learning_rate=1e-2)
    last = history.records[-1]
    assert last["kl"] < 3 * math.log(4) - 0.2
    trace = model.train()(images(4))
    trace.kl.sum().backward()
    assert all(p.grad is None for p in model.encoder.parameters())
    assert any(p.grad.any() for p in model.prior.parameters() if p.grad is not None)


def test_the_loss_of_the_second_stage_compiles_in_one_graph(tmp_path: Path) -> None:
    first("vq-vae", tmp_path / "a")
    model = second("vq-vae", tmp_path / "a").train()
    (phase,) = model.objective.phases(model)
    assert {*phase.parameters} == {*model.prior.parameters()}
    score = torch.compile(score_function(phase), backend="eager", fullgraph=True, dynamic=False)
    loss, *_ = score(model, Batch(images(8)), weights_of(model.objective))
    loss.backward()


# Refusals.


@pytest.mark.parametrize("name", VARIANTS)
def test_a_prior_with_nothing_to_learn_has_no_stage(name: str) -> None:
    with pytest.raises(vaezoo.OptionError, match="has nothing to learn: choose prior 'autoreg"):
        small(name, stage="prior")


def test_a_new_model_has_no_second_stage() -> None:
    model = small("vq-vae", stage="prior", prior=PRIOR)
    with pytest.raises(vaezoo.OptionError, match="begin with the weights of the first stage"):
        train(model, None, steps=1)


def test_weights_lack_what_a_later_stage_fits_and_nothing_else(tmp_path: Path) -> None:
    first("vq-vae", tmp_path / "a")
    with pytest.raises(vaezoo.CheckpointError, match=r"lacks prior\.network"):
        vaezoo.load(tmp_path / "a", into=small("vq-vae", codes=4, prior=PRIOR))
    with pytest.raises(vaezoo.CheckpointError, match=r"encoder\.book of shape"):
        second("vq-vae", tmp_path / "a", codes=5)
    fitted = second("vq-vae", tmp_path / "a")
    train(fitted, None, steps=2)
    vaezoo.save(fitted, tmp_path / "b")
    wider = {**PRIOR, "width": 16}
    with pytest.raises(vaezoo.CheckpointError, match=r"prior\.network.* of shape"):
        second("vq-vae", tmp_path / "b", prior=wider)
    assert second("vq-vae", tmp_path / "b").prepared
