"""The VAE with a VampPrior (Tomczak & Welling 2018, arXiv:1705.07120).

p(z) = 1/K Σ_k q(z|u_k)    (eq. 9), with pseudo-inputs u_k that are learned with all else

The prior itself is the component ``vampprior``, which other variants take as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.schedules import warmup


@dataclass(frozen=True, kw_only=True)
class Options:
    warmup_steps: int = 0
    """Steps over which the KL's weight rises linearly from 0 to 1. The paper has 100 epochs.
    How many pseudo-inputs there are is an option of the prior."""


def vamp_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    prior = parts.prior("vampprior")
    objective = vaezoo.ELBO(warmup(1.0, options.warmup_steps))
    return vaezoo.VAE(parts.encoder(), parts.decoder(), prior, objective=objective)
