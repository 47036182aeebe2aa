"""Priors over discrete codes: grids of indices. The uniform one, and what all are.

N codes to choose from, at each place of a grid (H, W), or (L,).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.options import NoOptions
from vaezoo.parts import Prior

if TYPE_CHECKING:
    from vaezoo.assembly import Parts


class CodePrior(Prior):
    """p(code|y), over indices 0..N-1 at each place of a grid; int64, event shape (*grid)."""

    def __init__(self, num_codes: int, grid: tuple[int, ...]) -> None:
        super().__init__()
        self.num_codes = num_codes
        self.event_shape = grid


class Uniform(Distribution):
    """Every code with probability 1/N at every place. log_prob: (), -log N."""

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)

    def __init__(self, log_prob: Tensor, num_codes: int, grid: tuple[int, ...]) -> None:
        super().__init__(event_shape=torch.Size(grid), validate_args=False)
        self.num_codes = num_codes
        self.log_prob_of_one = log_prob

    def log_prob(self, value: Tensor) -> Tensor:
        """value (..., *grid), any indices -> (...), nats."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        return (self.event_shape.numel() * self.log_prob_of_one).expand(leading)

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        shape = (*sample_shape, *self.event_shape)
        return torch.randint(self.num_codes, shape, device=self.log_prob_of_one.device)


class UniformCodes(CodePrior):
    """p(code) = N^-n for each grid of n codes; there is nothing to learn."""

    log_prob: Tensor

    def __init__(self, num_codes: int, grid: tuple[int, ...]) -> None:
        super().__init__(num_codes, grid)
        # A tensor, so that it has the model's precision and device.
        self.register_buffer("log_prob", torch.tensor(-math.log(num_codes)), persistent=False)

    def forward(self, y: Tensor | None = None) -> Distribution:
        return Uniform(self.log_prob, self.num_codes, self.event_shape)


def uniform_codes(options: NoOptions, parts: Parts) -> UniformCodes:
    """The recipe of the prior ``uniform-codes``."""
    return UniformCodes(*parts.codes)
