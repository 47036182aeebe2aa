"""The beta-VAE (Higgins et al. 2017).

F(theta, phi, beta) = E_q(z|x)[log p(x|z)] - beta * KL(q(z|x) || p(z))    (eq. 4)
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.schedules import warmup


@dataclass(frozen=True, kw_only=True)
class Options:
    beta: float = 4.0
    """Weight of the KL, which is in nats and summed over latents; 1 is the VAE."""
    warmup_steps: int = 0
    """Steps over which the KL's weight rises linearly from 0 to beta."""
    warmup_period: int = 0
    """Steps after which the warm-up starts again (cyclical, Fu et al. 2019); 0: never."""
    free_bits: float = 0.0
    """Nats of KL that each latent dimension may have at no cost, on average over a batch
    (Kingma et al. 2016); figures show the whole KL."""

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, but is {self.beta}")


def beta_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    beta = warmup(options.beta, options.warmup_steps, options.warmup_period)
    objective = vaezoo.ELBO(beta, free_bits=options.free_bits)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
