"""The variational autoencoder (Kingma & Welling 2014, arXiv:1312.6114).

log p(x) >= E_q(z|x)[log p(x|z)] - KL(q(z|x) || p(z))    (eq. 3)
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.schedules import warmup


@dataclass(frozen=True, kw_only=True)
class Options:
    warmup_steps: int = 0
    """Steps over which the KL's weight rises linearly from 0 to 1."""
    warmup_period: int = 0
    """Steps after which the warm-up starts again (cyclical, Fu et al. 2019); 0: never."""
    free_bits: float = 0.0
    """Nats of KL that each latent dimension may have at no cost, on average over a batch
    (Kingma et al. 2016); figures show the whole KL."""
    samples: int = 1
    """Draws of z for each example in a training step."""


def vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    beta = warmup(1.0, options.warmup_steps, options.warmup_period)
    return vaezoo.VAE(
        parts.encoder(),
        parts.decoder(),
        parts.prior(),
        objective=vaezoo.ELBO(beta, samples=options.samples, free_bits=options.free_bits),
    )
