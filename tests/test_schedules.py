"""Schedules are functions of the step's tensor."""

from __future__ import annotations

import pytest
import torch

from vaezoo.objectives import ELBO
from vaezoo.schedules import Constant, Cyclical, Linear, warmup


def at(schedule: object, *steps: int) -> list[float]:
    return [schedule(torch.tensor(step)).item() for step in steps]  # type: ignore[operator]


def test_linear_rises_and_stays() -> None:
    assert at(Linear(0.0, 4.0, 8), 0, 2, 8, 100) == [0.0, 1.0, 4.0, 4.0]


def test_linear_may_fall() -> None:
    assert at(Linear(1.0, 0.0, 4), 0, 1, 4) == [1.0, 0.75, 0.0]


def test_cyclical_starts_again_after_its_period() -> None:
    assert at(Cyclical(0.0, 1.0, 4, 10), 0, 2, 4, 9, 10, 12) == [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]


def test_warmup_is_constant_linear_or_cyclical() -> None:
    assert warmup(2.0, 0) == Constant(2.0)
    assert warmup(2.0, 5) == Linear(0.0, 2.0, 5)
    assert warmup(2.0, 5, 9) == Cyclical(0.0, 2.0, 5, 9)


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one step"):
        Linear(0.0, 1.0, 0)
    with pytest.raises(ValueError, match="cannot hold a warm-up"):
        Cyclical(0.0, 1.0, 10, 9)


def test_an_objective_takes_numbers_and_schedules() -> None:
    objective = ELBO(Linear(0.0, 1.0, 10), gamma=3.0)
    weights = objective.weights(torch.tensor(5))
    assert weights["beta"].item() == 0.5
    assert weights["gamma"].item() == 3.0
    assert all(weight.shape == () for weight in weights.values())
