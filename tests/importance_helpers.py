"""What the tests of importance weighting share: a model whose every quantity is known.

z ~ N(0, 1), x|z ~ N(z, 1/4), x = 1; q is the exact posterior N(0.8, 0.2), moved and widened.
R repeats of the one example, so that what is random has a mean and a standard error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

import vaezoo
from vaezoo.heads.gaussian import normal

LOG_P = -1.430510


@dataclass
class Planted:
    """A trace, and its parameters, those of each repeat a leaf of its own: (R, 1)."""

    trace: vaezoo.Trace
    mean: Tensor  # of q
    log_sigma: Tensor  # of q
    offset: Tensor  # of p(x|z), 0


def planted(samples: int, repeats: int, shift: float = 0.3, widen: float = 2.0) -> Planted:
    torch.manual_seed(0)
    values = (0.8 + shift, math.log(0.2 * widen) / 2, 0.0)
    leaves = [torch.full((repeats, 1), v, dtype=torch.float64).requires_grad_() for v in values]
    mean, log_sigma, offset = leaves
    q = normal(mean, log_sigma.exp(), 1)
    z = q.rsample((samples,))
    px = normal(z + offset, torch.full_like(z, 0.5), 1)
    p = normal(torch.zeros(1).double(), torch.ones(1).double(), 1)
    x = torch.ones(repeats, 1, dtype=torch.float64)
    return Planted(vaezoo.Trace(x, px, (vaezoo.Site(q, p, z),)), *leaves)


def scored(objective: vaezoo.Objective, trace: vaezoo.Trace) -> Tensor:
    """The loss, (B,)."""
    return objective.score(trace, objective.weights(torch.tensor(0))).loss


def near(values: Tensor, expected: float = 0.0) -> bool:
    """Whether a mean is what is expected, within 4 standard errors."""
    error = values.std().item() / math.sqrt(len(values))
    return abs(values.mean().item() - expected) <= 4 * error + 1e-12
