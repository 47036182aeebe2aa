"""The beta-TCVAE (Chen, Li, Grosse & Duvenaud 2018, arXiv:1802.04942).

E_x KL(q(z|x) || p(z)) = I_q(z; x) + KL(q(z) || Π_j q(z_j)) + Σ_j KL(q(z_j) || p(z_j))    (eq. 2)
L = E_q(z|x)[log p(x|z)] - α I_q(z; x) - β KL(q(z) || Π_j q(z_j)) - γ Σ_j KL(q(z_j) || p(z_j))
                                                                                          (eq. 4)

q(z) = 1/N Σ_n q(z|x_n) is estimated from a batch: log q(z) by minibatch-stratified sampling
(appendix C.2) or minibatch-weighted sampling (eq. 3, appendix C.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import vaezoo
from vaezoo.aggregate import Estimator, check_batch, factors, log_aggregate, only_site
from vaezoo.objectives import Weights


@dataclass(frozen=True, kw_only=True)
class Options:
    alpha: float = 1.0
    """Weight of I(z; x), in nats: how well z tells the training examples apart."""
    beta: float = 6.0
    """Weight of the total correlation of q(z), in nats: what its dimensions say about each
    other. 1, with the others at 1, is the VAE in expectation."""
    gamma: float = 1.0
    """Weight of what is left of the KL, in nats: Σ_j KL(q(z_j) || p(z_j)) where p(z) is
    factorised, and E[log Π_j q(z_j) - log p(z)] where it is not, as a mixture is not."""
    estimator: Literal["stratified", "weighted"] = "stratified"
    """Of q(z), from a batch. stratified: unbiased, a draw's own example weighs 1/N among the N
    training examples. weighted: all examples of the batch weigh the same, the default of the
    authors' code."""

    def __post_init__(self) -> None:
        for name in ("alpha", "beta", "gamma"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")


class Decomposed(vaezoo.ELBO):
    """The loss -log p(x|z) + α I(z; x) + β TC + γ (KL - I - TC), (B,) in nats (eq. 4).

    All three terms are Monte Carlo estimates at the same draws, which add up to
    log q(z|x) - log p(z) whatever the estimate of q(z).
    """

    per_example = False
    num_examples: Tensor

    def __init__(
        self, alpha: float, beta: float, gamma: float, estimator: Estimator = "stratified"
    ) -> None:
        super().__init__(beta, alpha=alpha, gamma=gamma)
        self.estimator: Estimator = estimator
        # N. Until a run tells how many there are, the batch is all there is.
        self.register_buffer("num_examples", torch.ones(()))

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        check_batch(batch, "beta-tc-vae")
        self.num_examples.fill_(num_examples)

    def check(self, trace: vaezoo.Trace) -> None:
        q = only_site(trace, "beta-tc-vae").q
        if factors(q) is None:
            raise vaezoo.OptionError(
                f"beta-tc-vae needs the density of each single latent, q(z_j|x), and this q(z|x) "
                f"({type(q).__name__}) is joint: make it Independent over all dimensions, or "
                f"create 'factor-vae', which needs draws of q(z|x) alone"
            )

    def terms(self, trace: vaezoo.Trace) -> tuple[Tensor, Tensor, Tensor]:
        """I(z; x), TC, and what is left of the KL: (K, B) each, in nats."""
        site = trace.sites[0]
        log_q, log_marginals = log_aggregate(site.z, site.q, self.num_examples, self.estimator)
        return site.log_q - log_q, log_q - log_marginals, log_marginals - site.log_p

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        information, correlation, rest = self.terms(trace)
        return (
            weights["alpha"] * information
            + weights["beta"] * correlation
            + weights["gamma"] * rest
        )


def beta_tc_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = Decomposed(options.alpha, options.beta, options.gamma, options.estimator)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
