"""The combination importance-weighted autoencoder (Rainforth et al. 2018, arXiv:1802.04537).

L = β 1/K Σ_k log w_k + (1-β) log 1/K Σ_k w_k,  w = p(x,z) / q(z|x)    (section 5)

Between the ELBO of K draws, β = 1, and the bound of the IWAE, β = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.objectives import Terms, Weights
from vaezoo.schedules import Schedule
from vaezoo_plugins.importance_weighting import (
    at_least_one,
    log_mean_exp,
    log_weights,
    maximised,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    beta: float = 0.5
    """Weight of the ELBO, from 0 to 1; the importance-weighted bound has the rest."""
    samples: int = 5
    """K, draws of z for each example. Time and memory grow with it; the paper has 64."""

    def __post_init__(self) -> None:
        at_least_one(samples=self.samples)
        if not 0 <= self.beta <= 1:
            raise ValueError(f"beta must lie in [0, 1], but is {self.beta}")


class CIWAE(vaezoo.Objective):
    """The loss -β 1/K Σ_k log w_k - (1-β) log 1/K Σ_k w_k, (B,) in nats."""

    maximises = "ciwae"

    def __init__(self, beta: float | Schedule, samples: int) -> None:
        super().__init__(samples=samples, beta=beta)

    def check(self, trace: vaezoo.Trace) -> None:
        log_weights(trace)

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        log_w, beta = log_weights(trace), weights["beta"]  # (K, B), ()
        bound = beta * log_w.mean(0) + (1 - beta) * log_mean_exp(log_w)
        return maximised("ciwae", bound, trace)


def ciwae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = CIWAE(options.beta, options.samples)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
