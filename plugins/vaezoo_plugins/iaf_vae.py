"""The VAE with inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934).

z_0 = μ(x) + σ(x) ε,  z_t = μ_t + σ_t z_{t-1},  μ_t and log σ_t of value i from those before it
log q(z_T|x) = log q(z_0|x) - Σ_t Σ_i log σ_{t,i}    (eqs. 10, 11)

Between two steps the order of the values is reversed. Each step starts as the identity, log σ_t is
bounded softly to ±3; the paper's gate (eq. 14) bounds σ_t to 1 instead. It needs no other package.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.flows import Affine, Autoregressive, Flow
from vaezoo.heads import FlowHead


@dataclass(frozen=True, kw_only=True)
class Options:
    transforms: int = 2
    """T, steps of the flow."""
    hidden: int = 128
    """Width of the two hidden layers of each step's autoregressive network."""
    context: int = 64
    """Values h that the encoder gives each step beside z: what the flow knows of x."""

    def __post_init__(self) -> None:
        for name in ("transforms", "hidden", "context"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")


def iaf_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    flow = Flow(
        Autoregressive,
        Affine(),
        dim=parts.latent_dim,
        context_dim=options.context,
        transforms=options.transforms,
        hidden=options.hidden,
    )
    head = FlowHead(parts.latent_shape, flow, options.context)
    return vaezoo.VAE(parts.encoder(head=head), parts.decoder(), parts.prior())
