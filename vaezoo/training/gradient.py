"""What a phase finds on a batch: its loss, the gradient of its own parameters, and its figures.

    batch -> Trace -> Terms -> loss -> gradient -> norm, clipped

One pure function of model, batch and weights, and so what torch.compile is given.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.model import VAE
from vaezoo.objectives import Phase, Weights, reduce

logger = logging.getLogger(__name__)

Result = TypeVar("Result")


class Scored(NamedTuple):
    """A phase's loss, reduced, and its figures in one tensor."""

    loss: Tensor
    figures: Tensor
    names: tuple[str, ...]  # of the figures
    state: dict[str, Tensor]


class Found(NamedTuple):
    """What an update of a phase's parameters is made of."""

    gradients: list[Tensor | None]  # clipped
    finite: Tensor  # whether they are
    row: Tensor  # what is added to the sums
    names: tuple[str, ...]
    state: dict[str, Tensor]


def score_function(phase: Phase) -> Callable[[VAE, Batch, Weights], Scored]:
    """The phase's loss with its figures."""

    def score(model: VAE, batch: Batch, weights: Weights) -> Scored:
        terms = phase.loss(model, batch, weights)
        loss = reduce(terms.loss)
        figures = {"loss": loss, **{name: reduce(value) for name, value in terms.logs.items()}}
        values = torch.stack([value.detach().float() for value in figures.values()])
        return Scored(loss, values, tuple(figures), terms.state)

    return _with_code_of_its_own(score)


def gradient_function(
    phase: Phase, clip_norm: float | None
) -> Callable[[VAE, Batch, Weights], Found]:
    """The gradient of the phase's loss, with its figures."""
    score, parameters = score_function(phase), [*phase.parameters]

    def gradient(model: VAE, batch: Batch, weights: Weights) -> Found:
        scored = score(model, batch, weights)
        gradients = torch.autograd.grad(scored.loss, parameters, allow_unused=True)
        state = {name: value.detach() for name, value in scored.state.items()}
        return found(gradients, scored._replace(state=state), clip_norm)

    return _with_code_of_its_own(gradient)


def found(gradients: Sequence[Tensor | None], scored: Scored, clip_norm: float | None) -> Found:
    """The gradients, clipped to ``clip_norm`` as a whole, and the figures that go with them."""
    norm = torch.nn.utils.get_total_norm([g for g in gradients if g is not None])
    if clip_norm is not None:
        factor = (clip_norm / (norm + 1e-6)).clamp(max=1)
        gradients = [None if g is None else g * factor for g in gradients]
    finite = norm.isfinite()
    one = torch.ones_like(norm)
    row = torch.cat([scored.figures, torch.stack([norm, one]).float()])
    row = torch.where(finite, row, torch.zeros_like(row))
    row = torch.cat([row, one.float().unsqueeze(0)])
    return Found([*gradients], finite, row, scored.names, scored.state)


def compiled(function: Callable[..., Result], name: str) -> Callable[..., Result]:
    """``function`` under torch.compile, or as it is, with a logged reason, if that fails."""
    # fallback_random: the numbers drawn are those of eager mode, so mode never changes a result.
    options: dict[str, Any] = {"fallback_random": True}
    # trace_autograd_ops: autograd.grad is a part of what is compiled, also if that is made anew.
    fast: Callable[..., Result] = torch._dynamo.config.patch(trace_autograd_ops=True)(
        torch.compile(function, fullgraph=True, dynamic=False, options=options)
    )
    chosen: list[Callable[..., Result]] = []

    def run(model: VAE, batch: Batch, weights: Weights) -> Result:
        if chosen:
            return chosen[0](model, batch, weights)
        try:
            result = fast(model, batch, weights)
        except Exception as error:  # whatever the compiler raises
            reason = " ".join(str(error).split())[:500]
            logger.warning("phase %r runs eagerly, it cannot be compiled: %s", name, reason)
            chosen.append(function)
            return function(model, batch, weights)
        chosen.append(fast)
        return result

    return run


def _with_code_of_its_own(function: Callable[..., Result]) -> Callable[..., Result]:
    """torch counts recompilations by code object, and gives up after a few: one for each model."""
    function.__code__ = function.__code__.replace()
    return function
