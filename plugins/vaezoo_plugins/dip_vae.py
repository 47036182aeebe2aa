"""The DIP-VAE (Kumar, Sattigeri & Balakrishnan 2018, arXiv:1711.00848).

ELBO - λ_od Σ_{i≠j} [C_ij]² - λ_d Σ_i (C_ii - 1)²                                    (eqs. 6, 7)

C is, over the data, the covariance of the posterior means, Cov_x[μ(x)] (I), or that of the draws,
Cov_q(z)[z] = E_x[Σ(x)] + Cov_x[μ(x)] (II), estimated from a batch. The prior's is the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

import vaezoo
from vaezoo.aggregate import check_batch, factors, only_site
from vaezoo.objectives import Weights
from vaezoo.trace import Site

Kind = Literal["i", "ii"]


@dataclass(frozen=True, kw_only=True)
class Options:
    kind: Literal["i", "ii"] = "ii"
    """Whose covariance is to be the identity. i: the posterior means'; draws spread more, by the
    posterior's own variance. ii: the draws'."""
    lambda_od: float = 10.0
    """Weight of the squared covariances, off the diagonal; nats, where z has the prior's unit."""
    lambda_d: float | None = None
    """Weight of the squared differences of the variances from 1, on the diagonal. Default, as in
    Locatello et al. 2019: 10 lambda_od for kind i, lambda_od for kind ii."""

    def __post_init__(self) -> None:
        for name in ("lambda_od", "lambda_d"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} must not be negative, but is {getattr(self, name)}")


class DisentangledInferredPrior(vaezoo.ELBO):
    """The loss -log p(x|z) + KL + λ_od Σ_{i≠j} C_ij² + λ_d Σ_i (C_ii - 1)², in nats."""

    per_example = False

    def __init__(self, kind: Kind, lambda_od: float, lambda_d: float) -> None:
        super().__init__(None, lambda_od=lambda_od, lambda_d=lambda_d)
        self.kind = kind

    def prepare(self, batch: vaezoo.Batch, num_examples: int) -> None:
        check_batch(batch, "dip-vae")

    def check(self, trace: vaezoo.Trace) -> None:
        q = only_site(trace, "dip-vae").q
        if self.kind == "ii" and factors(q) is None:
            raise vaezoo.OptionError(
                f"dip-vae of kind 'ii' adds the variance of each single latent to the covariance "
                f"of the means, and this q(z|x) ({type(q).__name__}) is joint: make it "
                f"Independent over all dimensions, or take kind='i', which needs its mean alone"
            )

    def covariance(self, site: Site) -> Tensor:
        """C, of this batch: (D, D)."""
        mean = site.q.mean.flatten(1)  # (B, D)
        centred = mean - mean.mean(0)
        covariance = centred.mT @ centred / max(len(mean) - 1, 1)
        if self.kind == "i":
            return covariance
        return covariance + site.q.variance.flatten(1).mean(0).diag()

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        covariance = self.covariance(trace.sites[0])
        variances = covariance.diagonal()
        off = (covariance - torch.diag(variances)).square().sum()
        on = (variances - 1).square().sum()
        return trace.kl + weights["lambda_od"] * off + weights["lambda_d"] * on


def dip_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    times = 10 if options.kind == "i" else 1
    on = times * options.lambda_od if options.lambda_d is None else options.lambda_d
    objective = DisentangledInferredPrior(options.kind, options.lambda_od, on)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
