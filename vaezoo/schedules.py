"""How a weight of the objective moves during training.

A schedule maps the step, a 0-d integer tensor, to a 0-d float tensor on the same device, so
that no Python number changes from step to step inside a compiled one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Schedule(Protocol):
    """Anything that maps the step () to a weight ()."""

    def __call__(self, step: Tensor, /) -> Tensor: ...


@dataclass(frozen=True)
class Constant:
    """Always ``value``."""

    value: float

    def __call__(self, step: Tensor) -> Tensor:
        return torch.full((), self.value, device=step.device)


@dataclass(frozen=True)
class Linear:
    """From ``start`` to ``end`` over ``steps`` steps, then ``end`` (Bowman et al. 2016)."""

    start: float
    end: float
    steps: int

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"a linear schedule needs at least one step, not {self.steps}")

    def __call__(self, step: Tensor) -> Tensor:
        done = (step.float() / self.steps).clamp(max=1.0)
        return self.start + (self.end - self.start) * done


@dataclass(frozen=True)
class Cyclical:
    """Linear over ``steps``, then constant, and anew every ``period`` steps (Fu et al. 2019)."""

    start: float
    end: float
    steps: int
    period: int

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= self.period:
            raise ValueError(
                f"a cycle of {self.period} steps cannot hold a warm-up of {self.steps}"
            )

    def __call__(self, step: Tensor) -> Tensor:
        return Linear(self.start, self.end, self.steps)(step % self.period)


def as_schedule(weight: float | Schedule) -> Schedule:
    """A number stands for a constant schedule."""
    return Constant(float(weight)) if isinstance(weight, int | float) else weight


def warmup(end: float, steps: int, period: int = 0) -> Schedule:
    """From 0 to ``end`` over ``steps`` steps, again every ``period`` steps if that is positive."""
    if steps == 0 and period:
        raise ValueError(f"a warm-up period of {period} steps needs warmup_steps, too")
    if steps == 0:
        return Constant(end)
    return Cyclical(0.0, end, steps, period) if period else Linear(0.0, end, steps)
