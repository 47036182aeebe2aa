"""Objectives score a Trace; phases say whose parameters each score updates.

B batch, K importance samples. Everything is in nats, summed over event dimensions; the mean over
the batch is taken in one place, ``reduce``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from vaezoo.batch import Batch
from vaezoo.errors import OptionError
from vaezoo.schedules import Schedule, as_schedule
from vaezoo.trace import Trace

if TYPE_CHECKING:
    from vaezoo.model import VAE

Weights = Mapping[str, Tensor]


@dataclass
class Terms:
    """What an objective makes of a Trace.

    loss: (B,), or () for a term of the whole batch; to be minimised. logs: figures to report,
    reduced like the loss (see ``figures``). state: what the objective itself has to tell the
    model's ``after_step``, detached.
    """

    loss: Tensor
    logs: dict[str, Tensor] = field(default_factory=dict)
    state: dict[str, Tensor] = field(default_factory=dict)


def reduce(value: Tensor) -> Tensor:
    """The one reduction: the mean over the batch, and over samples where they are kept."""
    return value.mean()


@dataclass(frozen=True, eq=False)
class Phase:
    """One update within a training step: a loss, and the parameters that it may touch.

    loss: ``(model, batch, weights) -> Terms``. every: run at every so many steps. rate: times the
    run's learning rate, for critics that need another. compile: whether its loss may be
    compiled. Raises ValueError for a phase without parameters.
    """

    name: str
    loss: Callable[[VAE, Batch, Weights], Terms]
    parameters: Iterable[nn.Parameter]
    every: int = 1
    rate: float = 1.0
    compile: bool = True

    def __post_init__(self) -> None:
        parameters = tuple(p for p in self.parameters if p.requires_grad)
        if not parameters:
            raise ValueError(f"phase {self.name!r} has no parameters to update")
        if self.every < 1:
            raise ValueError(f"phase {self.name!r}: every must be positive, not {self.every}")
        if self.rate <= 0:
            raise ValueError(f"phase {self.name!r}: rate must be positive, not {self.rate}")
        object.__setattr__(self, "parameters", parameters)


class Objective(nn.Module, ABC):
    """Scores a Trace. Its own parameters are learnable weights, its submodules are critics.

    weights: what the schedules of keyword arguments are called in ``score``. samples: K, how
    many samples of each latent a training step takes.
    """

    per_example: bool = True
    """Whether each example's loss is its own; False if a term couples the batch."""
    maximises: str = "elbo"
    """Of ``Terms.logs``, the bound on log p(x) that training raises: validation reports it beside
    the ELBO, and the best weights are those with most of it."""

    def __init__(self, *, samples: int = 1, **weights: float | Schedule) -> None:
        super().__init__()
        if samples < 1:
            raise ValueError(f"samples must be positive, not {samples}")
        self.samples = samples
        self.schedules = {name: as_schedule(weight) for name, weight in weights.items()}

    @abstractmethod
    def score(self, trace: Trace, weights: Weights) -> Terms:
        """Score a trace under the present weights, each a 0-d tensor.

        The trace may hold another number of draws than ``samples``: ask ``len(trace.log_w)``.
        """

    def weights(self, step: Tensor) -> dict[str, Tensor]:
        """All weights at a step, a 0-d integer tensor.

        Raises TypeError for a schedule that makes anything but a 0-d tensor of it.
        """
        weights = {name: schedule(step) for name, schedule in self.schedules.items()}
        for name, weight in weights.items():
            if not isinstance(weight, Tensor) or weight.ndim:
                raise TypeError(
                    f"the schedule of {name!r} must return a 0-d tensor made from the step, as "
                    f"torch.exp(-step / 1000), but returned {weight!r}"
                )
        return weights

    def loss(self, model: VAE, batch: Batch, weights: Weights) -> Terms:
        """The default phase's loss: score a fresh trace of the batch.

        What the model and the trace have to tell ``after_step`` joins the terms' own state.
        """
        trace = model(batch.x, batch.y, self.samples)
        terms = self.score(trace, weights)
        if model.training:
            terms.state = {**model.observe(trace), **trace.state, **terms.state}
        return terms

    def phases(self, model: VAE) -> tuple[Phase, ...]:
        """Default: one phase, which updates the model and the learnable weights, no critic."""
        learnable = [*model.parameters(), *self.parameters(recurse=False)]
        return (Phase("elbo", self.loss, learnable),)

    def check(self, trace: Trace) -> None:
        """Raise OptionError for a model whose traces it cannot score. Default: takes all.

        Asked once, before a run begins, with a trace of two examples.
        """

    def prepare(self, batch: Batch, num_examples: int) -> None:
        """Once, eagerly, before the first step. Default: nothing."""


class ELBO(Objective):
    """The evidence lower bound, log p(x) >= E_q[log p(x|z)] - KL(q(z|x) || p(z)).

    The loss is -E_q[log p(x|z)] + beta * KL (Kingma & Welling 2014, eq. 3; with beta != 1
    Higgins et al. 2017, eq. 4). Subclasses override ``regularizer``.

    beta: None leaves it out of ``weights``, for a regularizer that has no use for it.

    free_bits: λ, in nats; if positive, Σ_j max(λ, mean KL_j) over all latent dimensions j takes
    the KL's place in the loss, but in no figure (Kingma et al. 2016, eq. 15). The mean is the
    batch's, so it couples the batch. Raises ValueError for one that is negative; ``check`` and
    ``score`` raise OptionError where the KL is no sum over dimensions.
    """

    def __init__(
        self,
        beta: float | Schedule | None = 1.0,
        *,
        samples: int = 1,
        free_bits: float = 0.0,
        **weights: float | Schedule,
    ) -> None:
        super().__init__(samples=samples, **({} if beta is None else {"beta": beta}), **weights)
        if free_bits < 0:
            raise ValueError(f"free_bits must not be negative, but is {free_bits}")
        self.free_bits = free_bits
        if free_bits:
            self.per_example = False

    def regularizer(self, trace: Trace, weights: Weights) -> Tensor:
        """What the loss adds to -log p(x|z): (K, B), (B,), or () if it couples the batch."""
        kl = floored_kl(trace, self.free_bits) if self.free_bits else trace.kl
        return weights["beta"] * kl

    def check(self, trace: Trace) -> None:
        if self.free_bits:
            floored_kl(trace, self.free_bits)

    def score(self, trace: Trace, weights: Weights) -> Terms:
        loss = -trace.log_px + self.regularizer(trace, weights)
        for penalty in trace.penalties.values():
            loss = loss + penalty
        return Terms(loss.mean(0), figures(trace))


def figures(trace: Trace) -> dict[str, Tensor]:
    """What every objective can report of a trace, for ``Terms.logs``: means in nats, detached.

    elbo, unless it is no bound; reconstruction; kl, of each of several sites, too; penalties.
    """
    values = {} if trace.bound == "none" else {"elbo": trace.elbo}
    values["reconstruction"] = trace.log_px
    if trace.sites:
        values["kl"] = trace.kl
    if len(trace.sites) > 1:
        values |= {f"kl/{site.name}": site.kl for site in trace.sites}
    values |= trace.penalties
    return {name: reduce(value).detach() for name, value in values.items()}


def floored_kl(trace: Trace, free_bits: float) -> Tensor:
    """Σ_j max(λ, mean KL_j), the mean over samples and batch: (). Below λ it has no gradient.

    Raises OptionError where a site's KL is no sum over its dimensions.
    """
    floored = []
    for site in trace.sites:
        if (kl := site.kl_by_dimension) is None:
            raise OptionError(
                f"free_bits are for each latent dimension, but q ({type(site.q).__name__}) and p "
                f"({type(site.p).__name__}) of {site.name!r} are not both Independent over all "
                f"dimensions, so their KL is no sum over these: choose others, or free_bits=0"
            )
        floored.append(kl.mean((0, 1)).clamp(min=free_bits).sum())
    return torch.stack(floored).sum()


def step_tensor(step: int, device: torch.device | str = "cpu") -> Tensor:
    """The step as schedules take it."""
    return torch.tensor(step, device=device)
