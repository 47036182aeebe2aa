"""The VAE of annealed capacity (Burgess et al. 2018, arXiv:1804.03599).

L(theta, phi; x, z, C) = E_q(z|x)[log p(x|z)] - gamma * |KL(q(z|x) || p(z)) - C|    (eq. 8)

C rises linearly during training. The absolute value is taken for each x, as the equation has it.
disentanglement_lib (Locatello et al. 2019) takes it of the batch's mean KL instead, under which
some images may have more than C while others have less.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

import vaezoo
from vaezoo.objectives import Weights
from vaezoo.schedules import Schedule, warmup


@dataclass(frozen=True, kw_only=True)
class Options:
    gamma: float = 30.0
    """Weight of |KL - C|. It holds the KL at C where it exceeds the nats of reconstruction that
    one more nat of KL would buy; far more only adds noise. The paper has 1000, for long runs."""
    max_capacity: float = 25.0
    """C at the end of its rise: nats of KL, summed over latents, that each example shall have."""
    capacity_steps: int = 5_000
    """Steps over which C rises linearly from 0: a third of the run is a good choice. The paper
    has 100,000. A run that ends before leaves C lower. 0: C is max_capacity from the start."""

    def __post_init__(self) -> None:
        for name in ("gamma", "max_capacity", "capacity_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")


class AnnealedCapacity(vaezoo.ELBO):
    """The loss -E_q[log p(x|z)] + gamma * |KL - C(t)|, (B,) in nats (eq. 8)."""

    def __init__(self, gamma: float | Schedule, capacity: float | Schedule) -> None:
        super().__init__(None, gamma=gamma, capacity=capacity)

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        return weights["gamma"] * (trace.kl - weights["capacity"]).abs()


def annealed_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    capacity = warmup(options.max_capacity, options.capacity_steps)
    objective = AnnealedCapacity(options.gamma, capacity)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
