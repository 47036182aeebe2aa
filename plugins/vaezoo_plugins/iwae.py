"""The importance-weighted autoencoder (Burda, Grosse & Salakhutdinov 2016, arXiv:1509.00519).

L_K = E[log 1/K Σ_k p(x,z_k) / q(z_k|x)] <= log p(x),  z_1..z_K ~ q(z|x)    (eq. 8)

L_1 is the ELBO. The estimators of its gradient are told apart in ``importance_weighting``.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.objectives import Terms, Weights
from vaezoo_plugins.importance_weighting import (
    Estimator,
    at_least_one,
    log_mean_exp,
    log_weights,
    maximised,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    samples: int = 5
    """K, draws of z for each example that are weighted together; 1 is the VAE, with log q - log p
    for its KL. The paper has 5 and 50. Time and memory grow with it."""
    estimator: Estimator = "standard"
    """Of the encoder's gradient. standard: the whole (Burda et al. 2016). stl: without the score
    of q, less noisy near the optimum, biased for K > 1 (Roeder et al. 2017). dreg: doubly
    reparameterised, less noisy and unbiased (Tucker et al. 2019)."""

    def __post_init__(self) -> None:
        at_least_one(samples=self.samples)


class IWAE(vaezoo.Objective):
    """The loss -log 1/K Σ_k w_k, (B,) in nats (eq. 8)."""

    maximises = "iwae"

    def __init__(self, samples: int, estimator: Estimator = "standard") -> None:
        super().__init__(samples=samples)
        self.estimator: Estimator = estimator

    def check(self, trace: vaezoo.Trace) -> None:
        log_weights(trace, self.estimator)

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        log_w = log_weights(trace, self.estimator)  # (K, B)
        return maximised("iwae", log_mean_exp(log_w), trace)


def iwae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = IWAE(options.samples, options.estimator)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
