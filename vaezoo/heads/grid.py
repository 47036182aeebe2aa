"""Distributions of grey levels: a probability mass on k/(levels - 1), k = 0..levels-1."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from vaezoo.heads.base import Head
from vaezoo.heads.data_checks import check_grid

MOST_LEVELS = 2**16


class GridDistribution(Distribution, ABC):
    """A mass on ``levels`` evenly spaced values of [0, 1], as scaled uint8 images have."""

    arg_constraints: ClassVar[dict[str, Any]] = {}
    support = constraints.unit_interval

    def __init__(self, levels: int, batch_shape: torch.Size) -> None:
        self.levels = levels
        super().__init__(batch_shape, validate_args=False)

    def level(self, value: Tensor) -> Tensor:
        """The number k of the level nearest to a value, as floating point."""
        return (value * (self.levels - 1)).round()

    @abstractmethod
    def level_moment(self, power: int) -> Tensor:
        """E[k^power]: (*batch)."""

    @property
    def mean(self) -> Tensor:
        return (self.level_moment(1) / (self.levels - 1)).clamp(max=1)  # for rounding's sake

    @property
    def variance(self) -> Tensor:
        variance = self.level_moment(2) - self.level_moment(1).square()
        return variance.clamp(min=0) / (self.levels - 1) ** 2


class GridHead(Head):
    """A head for grey levels."""

    discrete = True
    called: str
    """What the likelihood is called in an error."""

    def __init__(self, event_shape: tuple[int, ...], levels: int) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.levels = levels

    def check(self, x: Tensor) -> None:
        check_grid(x, self.levels, self.called)


def checked_levels(levels: int) -> None:
    """Raise ValueError for a number of levels that no data have."""
    if not 2 <= levels <= MOST_LEVELS:
        raise ValueError(f"levels must lie in 2..{MOST_LEVELS}, not {levels}")
