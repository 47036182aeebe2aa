"""Random numbers and the process's settings."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from vaezoo.inference import seeded
from vaezoo.model import VAE
from vaezoo.testing.report import expect, expect_equal
from vaezoo.testing.settings import changes, settings
from vaezoo.testing.subject import CPU, Subject, weights_of

BOUNDS = ("elbo", "log_likelihood")
GENERATOR = "torch.manual_seed, random or numpy.random in the variant's code"


def seeds(subject: Subject) -> None:
    """Everything random comes from torch's global generator: the same seed gives the same
    parameters, loss and samples, another seed gives others, and nothing seeds it."""
    before = _others()
    first, again, other = (_parameters(subject.model(seed=seed)) for seed in (0, 0, 1))
    expect_equal(again, first, "the same parameters under the same seed", GENERATOR)
    _expect_other(other, first, "parameters")
    (first, state), (again, _), (other, other_state) = (_losses(subject, s) for s in (0, 0, 1))
    expect_equal(again, first, "the same loss under the same seed", GENERATOR)
    expect(
        not torch.equal(state, other_state),
        expected="a generator that goes on from the caller's seed",
        found="the same state after training passes under two seeds: it was seeded inside",
        look="torch.manual_seed in the variant's code",
    )
    if _draws(subject):
        _expect_other(other, first, "losses")
    expect(
        before == _others(),
        expected="random and numpy.random left alone",
        found="their global state has changed",
        look=GENERATOR,
    )
    _methods(subject)


def _draws(subject: Subject) -> bool:
    """Whether a pass through the model is random: not where each q(z|x) is a point."""
    model, batch = subject.model(noise=0.02), subject.batch()
    if model.bound == "none":
        return False
    with seeded(0, CPU):
        sites = model(batch.x, batch.y, 2).sites
    return any(not torch.equal(site.z[0], site.z[1]) for site in sites)


def _others() -> tuple[object, str]:
    """The state of Python's and numpy's global generators."""
    return random.getstate(), str(np.random.get_state())


def _expect_other(other: Tensor, first: Tensor, what: str) -> None:
    expect(
        not torch.equal(other, first),
        expected=f"other {what} under another seed",
        found="the same",
        look=GENERATOR,
    )


def _parameters(model: VAE) -> Tensor:
    return torch.cat([p.detach().flatten().double() for p in model.parameters()])


def _losses(subject: Subject, seed: int) -> tuple[Tensor, Tensor]:
    """The phases' losses on a fresh model, and the generator's state after them."""
    model = subject.model(noise=0.02)
    weights = weights_of(model.objective)
    with seeded(seed, CPU):
        losses = [
            phase.loss(model, subject.batch(), weights).loss.detach().mean()
            for phase in model.objective.phases(model)
        ]
        return torch.stack(losses), torch.get_rng_state()


def _methods(subject: Subject) -> None:
    """Calls with a seed are repeatable and leave the caller's generator where it was."""
    model, batch = subject.model(noise=0.05), subject.batch()
    labels = subject.labels(5)
    calls: dict[str, Callable[[int], Tensor]] = {
        "sample": lambda seed: model.sample(5, labels, seed=seed)
    }
    if model.bound != "none":
        calls["elbo"] = lambda seed: model.elbo(batch.x, batch.y, seed=seed)
    if model.bound == "exact":
        calls["log_likelihood"] = lambda seed: model.log_likelihood(
            batch.x, batch.y, samples=7, seed=seed
        )
    for name, call in calls.items():
        state = torch.get_rng_state()
        first, again, other = call(1), call(1), call(2)
        look = f"{name}(seed=...), and {GENERATOR}"
        expect_equal(again, first, f"the same {name}() under the same seed", look)
        expect(
            not torch.equal(other, first) or (name in BOUNDS and not _draws(subject)),
            expected=f"another {name}() under another seed",
            found="the same",
            look=look,
        )
        now = torch.get_rng_state()
        expect_equal(now, state, f"the caller's generator as it was before {name}(seed=)", look)


def globals_(subject: Subject) -> None:
    """Creating, training and using a model leave torch's global settings as they were, in this
    process and in a new one, where the variant is imported for the first time; there, all that
    belongs to the process."""
    before = settings()
    model, batch = subject.model(), subject.batch()
    for phase in model.objective.phases(model):
        loss = phase.loss(model, batch, weights_of(model.objective)).loss.mean()
        torch.autograd.backward(loss)
    model.reconstruct(batch.x, batch.y)
    model.sample(2, subject.labels(2))
    changed = [*changes(before), *subject.fresh.settings]
    expect(
        not changed,
        expected="no global setting changed",
        found="; ".join(changed),
        look="module level and recipe; import such a package in a function that restores them",
    )
