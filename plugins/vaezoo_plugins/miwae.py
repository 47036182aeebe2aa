"""The multiply importance-weighted autoencoder (Rainforth et al. 2018, arXiv:1802.04537).

L_M,K = 1/M Σ_m log 1/K Σ_k w_mk,  w = p(x,z) / q(z|x)    (section 5)

The signal of an encoder's gradient falls against its noise as K grows, and rises with M. L_M,1 is
the ELBO of M draws, L_1,K the bound of the IWAE.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.objectives import Terms, Weights
from vaezoo_plugins.importance_weighting import (
    Estimator,
    at_least_one,
    grouped,
    log_mean_exp,
    log_weights,
    maximised,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    m: int = 4
    """M, groups of draws for each example, over which the bound is averaged. Time and memory grow
    with M·K; the paper has M·K = 64."""
    k: int = 4
    """K, draws of a group, which are weighted together."""
    estimator: Estimator = "standard"
    """Of the encoder's gradient, as for iwae: standard, stl (biased for K > 1) or dreg."""

    def __post_init__(self) -> None:
        at_least_one(m=self.m, k=self.k)


class MIWAE(vaezoo.Objective):
    """The loss -1/M Σ_m log 1/K Σ_k w_mk, (B,) in nats."""

    maximises = "miwae"

    def __init__(self, m: int, k: int, estimator: Estimator = "standard") -> None:
        super().__init__(samples=m * k)
        self.k = k
        self.estimator: Estimator = estimator

    def check(self, trace: vaezoo.Trace) -> None:
        log_weights(trace, self.estimator)

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        log_w = grouped(log_weights(trace, self.estimator, self.k), self.k)  # (M, K, B)
        return maximised("miwae", log_mean_exp(log_w, 1).mean(0), trace)


def miwae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = MIWAE(options.m, options.k, options.estimator)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
