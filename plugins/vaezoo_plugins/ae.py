"""The deterministic autoencoder, in the interface of a VAE, to compare one with.

min E_x[-log p(x | z = f(x))]

Without noise in z there is no KL, and so no bound on log p(x). Nor is there a prior worth the
name: nothing brings the codes near to N(0, I), from which samples are drawn all the same. They
look like nothing in particular, which is what the comparison is to show.
"""

from __future__ import annotations

from torch import Tensor

import vaezoo
from vaezoo.heads import PointMassHead
from vaezoo.objectives import Terms, Weights
from vaezoo.options import NoOptions
from vaezoo.priors import StandardNormal


class Autoencoder(vaezoo.VAE):
    """z is the encoder's mean, whatever its spread; a Trace without sites, hence without a KL."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        code = self.encoder(x, y).mean  # (B, *latent)
        z = code.expand(max(samples, 1), *code.shape)
        px = self.decoder(z, y)  # p(x|z), batch shape (K, B)
        return vaezoo.Trace(x, px, (), bound=self.bound)


class Reconstruction(vaezoo.Objective):
    """The loss -log p(x|z), (B,) in nats."""

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        logs = {"reconstruction": trace.log_px.mean().detach()}
        return Terms(-trace.log_px.mean(0), logs)


def ae(options: NoOptions, parts: vaezoo.Parts) -> vaezoo.VAE:
    return Autoencoder(
        parts.encoder(head=PointMassHead(parts.latent_shape)),
        parts.decoder(),
        StandardNormal(parts.latent_shape),  # the caller's would go unused in training: refused
        objective=Reconstruction(),
        bound="none",
    )
