"""What the tests of likelihoods share: each of them, and data that it is for."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaezoo.choosing import choose
from vaezoo.heads import Head
from vaezoo.registry.specs import LikelihoodSpec

REAL = ["gaussian", "laplace"]
UNIT = ["continuous-bernoulli"]
GRID = ["discretized-logistic", "discretized-logistic-mixture", "categorical"]
COUNTS = ["negative-binomial", "zero-inflated-negative-binomial"]
EVERY = ["bernoulli", *REAL, *UNIT, *GRID, *COUNTS]


def make_head(name: str, shape: tuple[int, ...] = (1,), **options: Any) -> Head:
    head: Head = choose(LikelihoodSpec, {"name": name, **options})(shape)
    return head


def data_for(name: str, n: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """(n, *shape) of the kind that the likelihood is for."""
    generator = torch.Generator().manual_seed(seed)
    if name in REAL:
        return torch.randn(n, *shape, generator=generator)
    if name in UNIT:
        return torch.rand(n, *shape, generator=generator)
    if name in GRID:
        return torch.randint(0, 256, (n, *shape), generator=generator) / 255
    if name in COUNTS:
        return torch.poisson(torch.full((n, *shape), 3.0), generator=generator)
    return torch.rand(n, *shape, generator=generator).round()


def grid_of(levels: int) -> Tensor:
    """(levels, 1): all values that there are."""
    return torch.arange(levels, dtype=torch.float64).unsqueeze(-1) / (levels - 1)
