"""Phases, and whether they make the model learn."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Bernoulli

from vaezoo.batch import Batch
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.testing.learn import train
from vaezoo.testing.report import expect
from vaezoo.testing.subject import CPU, Subject, base_of, weights_of
from vaezoo.training.gradient import score_function

STEPS, ROUNDS = 300, 4
IMAGES = 4


def phases(subject: Subject) -> None:
    """A phase gives gradients to its own parameters alone and changes none; no phase updates
    both the model and a critic; their names differ."""
    model = subject.model(noise=0.02)
    objective = model.objective
    found = objective.phases(model)
    look = f"phases() of {type(objective).__qualname__}"
    names = [phase.name for phase in found]
    expect(
        names and len({*names}) == len(names),
        expected="at least one phase, with names that differ",
        found=", ".join(names) or "none",
        look=look,
    )
    everything = {
        **{parameter: f"model.{name}" for name, parameter in model.named_parameters()},
        **{parameter: f"objective.{name}" for name, parameter in objective.named_parameters()},
    }
    critics = {*objective.parameters()} - {*objective.parameters(recurse=False)}
    for phase in found:
        own = {*phase.parameters}
        leaked = [everything[p] for p in critics & own] if own & {*model.parameters()} else []
        expect(
            not leaked,
            expected=f"phase {phase.name!r} updates the model or a critic, not both",
            found=f"with the model's parameters, {', '.join(sorted(leaked))}",
            look=look,
        )
        own_buffers = {
            f"{owner}.{name}": buffer
            for owner, module in {"model": model, "objective": objective}.items()
            for name, buffer in module.named_buffers(recurse=False)
        }
        held = {name: buffer.clone() for name, buffer in own_buffers.items()}
        before = {parameter: parameter.detach().clone() for parameter in everything}
        for parameter in everything:
            parameter.grad = None
        with seeded(0, CPU):
            score = score_function(phase)
            loss = score(model, subject.batch(), weights_of(objective))[0]
        torch.autograd.backward(loss, inputs=[*phase.parameters])
        touched = [n for p, n in everything.items() if p not in own and p.grad is not None]
        expect(
            not touched,
            expected=f"phase {phase.name!r} gives gradients to its own parameters alone",
            found=f"gradients of {', '.join(touched)}",
            look="backward() inside the loss?",
        )
        changed = [n for p, n in everything.items() if not torch.equal(p, before[p])]
        changed += [n for n, buffer in own_buffers.items() if not torch.equal(buffer, held[n])]
        expect(
            not changed,
            expected="parameters that the optimizer alone changes, buffers that after_step does",
            found=f"phase {phase.name!r} changed {', '.join(changed)}",
            look="in-place operations in the loss; updates without gradient go to after_step",
        )


def overfits(subject: Subject) -> None:
    """A few hundred steps on a few black-and-white images make the reconstructions at least three
    times nearer to them than they were."""
    model = subject.model()
    batch = subject.blocks(IMAGES)
    before = _error(model, batch)
    for _ in range(ROUNDS):  # most need one, and a large critic is slow
        train(model, batch, steps=STEPS // ROUNDS, learning_rate=3e-3)
        after = _error(model, batch)
        if after < before / 3:
            return
    expect(
        after < before / 3,
        expected=f"a mean squared error under {before / 3:.4f}, a third of what it was",
        found=f"{after:.4f} after {STEPS} steps{_logits(model, batch)}",
        look="the loss (its scale and sign), and the way from x over z to p(x|z)",
    )


def _error(model: VAE, batch: Batch) -> float:
    return (model.reconstruct(batch.x, batch.y) - batch.x).square().mean().item()


def _logits(model: VAE, batch: Batch) -> str:
    """Whether a Bernoulli's logits are what a sigmoid or tanh puts out: too narrow to learn."""
    with evaluating(model):
        base = base_of(model(batch.x, batch.y).px)
    if not isinstance(base, Bernoulli):
        return ""
    logits: Tensor = base.logits
    low, high = logits.min().item(), logits.max().item()
    found = f"; the Bernoulli's logits lie in [{low:.3f}, {high:.3f}]"
    if low >= 0 and high <= 1:
        return f"{found}: is there a sigmoid in the network, before the head?"
    if low >= -1 and high <= 1:
        return f"{found}: is there a tanh in the network, before the head?"
    return found
