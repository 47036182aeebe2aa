"""The deterministic autoencoder, in the interface of a VAE, to compare one with.

min E_x[-log p(x | z = f(x))]

Without noise in z there is no KL, and so no bound on log p(x). Nor is there a prior worth the
name: nothing brings the codes near to N(0, I), from which samples are drawn all the same. They
look like nothing in particular, which is what the comparison is to show.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

import vaezoo
from vaezoo.heads import Head
from vaezoo.objectives import Terms, Weights
from vaezoo.options import NoOptions
from vaezoo.priors import StandardNormal


class PointMass(Distribution):
    """All mass at ``point``, (*batch_shape, *event_shape). It has no density."""

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)
    has_rsample = True

    def __init__(self, point: Tensor, event_ndim: int) -> None:
        self.point = point
        batch_ndim = point.ndim - event_ndim
        super().__init__(point.shape[:batch_ndim], point.shape[batch_ndim:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.point

    @property
    def mode(self) -> Tensor:
        return self.point

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.point)

    def rsample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        return self.point.expand(self._extended_shape(torch.Size(sample_shape)))


class Code(Head):
    """The network's output as it is: one number for each latent, and no spread."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape

    def forward(self, parameters: Tensor) -> Distribution:
        return PointMass(parameters, len(self.event_shape))


class Autoencoder(vaezoo.VAE):
    """z is the encoder's mean, whatever its spread; a Trace without sites, hence without a KL."""

    def forward(self, x: Tensor, y: Tensor | None = None, samples: int = 1) -> vaezoo.Trace:
        code = self.encoder(x, y).mean  # (B, *latent)
        z = code.expand(samples, *code.shape)
        px = self.decoder(z, y)  # p(x|z), batch shape (K, B)
        return vaezoo.Trace(x, px, (), state=self._observe(px, x), bound=self.bound)


class Reconstruction(vaezoo.Objective):
    """The loss -log p(x|z), (B,) in nats."""

    def score(self, trace: vaezoo.Trace, weights: Weights) -> Terms:
        logs = {"reconstruction": trace.log_px.mean().detach()}
        return Terms(-trace.log_px.mean(0), logs, trace.state)


def ae(options: NoOptions, parts: vaezoo.Parts) -> vaezoo.VAE:
    return Autoencoder(
        parts.encoder(head=Code(parts.latent_shape)),
        parts.decoder(),
        StandardNormal(parts.latent_shape),  # the caller's would go unused in training: refused
        objective=Reconstruction(),
        bound="none",
    )
