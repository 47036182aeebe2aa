"""The VAE with a neural spline flow as posterior (Durkan et al. 2019, arXiv:1906.04032).

z = T(μ(x) + σ(x) ε; h(x)),  log q(z|x) = log q(z_0|x) - log |det ∂T/∂z_0|

T couples the latents: half of them go through monotone rational-quadratic splines, whose knots
come from the other half and h; then the halves change places. Unlike with ``iaf-vae``, the density
of any z takes one pass. Each step starts as the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import vaezoo
from vaezoo.flows import Coupling, Flow
from vaezoo.heads import FlowHead
from vaezoo.splines import Spline


@dataclass(frozen=True, kw_only=True)
class Options:
    transforms: int = 4
    """Steps of the flow; each changes half of the latents."""
    hidden: int = 128
    """Width of the two hidden layers of each step's network."""
    context: int = 64
    """Values h that the encoder gives each step beside z: what the flow knows of x."""
    bins: int = 8
    """Pieces of a spline."""
    bound: float = 5.0
    """A spline reaches from -bound to bound, in units of z; outside it is the identity."""

    def __post_init__(self) -> None:
        for name in ("transforms", "hidden", "context", "bound"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.bins < 2:
            raise ValueError(f"bins must be 2 or more, not {self.bins}")


def nsf_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    flow = Flow(
        Coupling,
        Spline(options.bins, options.bound),
        dim=parts.latent_dim,
        context_dim=options.context,
        transforms=options.transforms,
        hidden=options.hidden,
    )
    head = FlowHead(parts.latent_shape, flow, options.context)
    return vaezoo.VAE(parts.encoder(head=head), parts.decoder(), parts.prior())
