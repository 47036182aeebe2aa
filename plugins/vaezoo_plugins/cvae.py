"""The conditional VAE (Sohn et al. 2015), with labels as the condition.

log p(x|y) >= E_q(z|x,y)[log p(x|z,y)] - KL(q(z|x,y) || p(z|y))    (eq. 4)
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo


@dataclass(frozen=True, kw_only=True)
class Options:
    learned_prior: bool = True
    """Learn a normal p(z|y) for each label; else p(z) = N(0, I) for all, from which samples show
    their label less reliably. A prior that is chosen by name goes before."""
    beta: float = 1.0
    """Weight of the KL, which is in nats and summed over latents."""
    free_bits: float = 0.0
    """Nats of KL that each latent dimension may have at no cost, on average over a batch
    (Kingma et al. 2016); figures show the whole KL."""

    def __post_init__(self) -> None:
        if self.beta < 0:
            raise ValueError(f"beta must not be negative, but is {self.beta}")


def cvae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    return vaezoo.VAE(
        parts.encoder(conditional=True),
        parts.decoder(conditional=True),
        parts.prior("class-normal" if options.learned_prior else "standard-normal"),
        objective=vaezoo.ELBO(options.beta, free_bits=options.free_bits),
    )
