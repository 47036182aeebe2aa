"""The InfoVAE with a maximum mean discrepancy (Zhao, Song & Ermon 2019, arXiv:1706.02262).

L = E_q(z|x)[log p(x|z)] - (1 - α) KL(q(z|x) || p(z)) - (α + λ - 1) MMD²(q(z), p(z))      (eq. 6)

α takes the KL away, which presses the information about x out of z, and λ brings q(z), that of all
data, to the prior. Whatever is minimised, log p(x|z) - KL remains a bound: figures are of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import vaezoo
from vaezoo.aggregate import check_batch, only_site
from vaezoo.discrepancy import KernelName, prior_mmd
from vaezoo.objectives import Terms, Weights, figures
from vaezoo_plugins.wae_mmd import require_fixed


@dataclass(frozen=True, kw_only=True)
class Options:
    alpha: float = 0.5
    """From the VAE's KL, 0, to none, 1. The lower, the less x can be told from z."""
    lambda_mmd: float = 100.0
    """λ: MMD², which lies in [0, 2], is weighed by α + λ - 1, in nats. Its estimate is noisy, by
    about one over the batch size, so that a large λ slows the start. α = 0, λ = 1 is the VAE."""
    kernel: Literal["imq", "rbf"] = "rbf"
    """Of squared distances s, with C = 2 latent_dim. rbf: exp(-s/C). imq: C/(C+s), which reaches
    farther."""

    def __post_init__(self) -> None:
        if self.alpha > 1:
            raise ValueError(
                f"alpha must not exceed 1, but is {self.alpha}: the KL would be sought"
            )
        if self.alpha + self.lambda_mmd < 1:
            raise ValueError(
                f"alpha + lambda_mmd must be at least 1, but is {self.alpha + self.lambda_mmd}: "
                f"q(z) would be driven from the prior"
            )


class InfoObjective(vaezoo.Objective):
    """The loss -log p(x|z) + (1 - α) KL + (α + λ - 1) MMD²(q(z), p(z)), in nats (eq. 6)."""

    per_example = False

    def __init__(self, alpha: float, lambda_mmd: float, kernel: KernelName = "rbf") -> None:
        super().__init__(alpha=alpha, lambda_mmd=lambda_mmd)
        self.kernel: KernelName = kernel

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        check_batch(batch, "info-vae")

    def check(self, trace: vaezoo.Trace) -> None:
        only_site(trace, "info-vae")

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        alpha = weights["alpha"]
        distance = prior_mmd(trace.sites[0], self.kernel).mean()  # over the draws, K
        regularizer = (1 - alpha) * trace.kl + (alpha + weights["lambda_mmd"] - 1) * distance
        loss = -trace.log_px + regularizer
        return Terms(loss.mean(0), {**figures(trace), "mmd": distance.detach()})


def info_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    objective = InfoObjective(options.alpha, options.lambda_mmd, options.kernel)
    prior = parts.prior()
    if options.alpha == 1:
        require_fixed(prior, "info-vae with alpha=1")
    return vaezoo.VAE(parts.encoder(), parts.decoder(), prior, objective=objective)
