"""p(z): a learned mixture of factorised normals.

D latents (any event shape), K components here, not importance samples.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo.heads.gaussian import bounded, normal
from vaezoo.parts import Prior

if TYPE_CHECKING:
    from vaezoo.assembly import Parts

AT_ONCE = 2**18
"""Densities of one dimension and component that are computed at once without gradient."""
SPREAD = 0.5  # of a dimension's variance at the start, what is between the components


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Options of the prior ``mixture``."""

    components: int = 10
    """How many normals."""
    learn_weights: bool = True
    """Learn how often each component is drawn; else all are equally frequent."""

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"components must be positive, not {self.components}")


def in_pieces(
    density: Callable[[Tensor], Tensor], value: Tensor, event_ndim: int, components: int
) -> Tensor:
    """``density`` of value (..., *event) -> (...), of a few at a time where there is no gradient.

    Of thousands of importance samples and hundreds of components, what lies between the two must
    fit into a cache: it is ten times as fast.
    """
    leading, event = value.shape[: value.ndim - event_ndim], value.shape[value.ndim - event_ndim :]
    rows = max(1, AT_ONCE // (components * prod(event)))
    if torch.is_grad_enabled() or prod(leading) <= rows:
        return density(value)
    pieces = torch.split(value.reshape(-1, *event), rows)
    return torch.cat([density(piece) for piece in pieces]).reshape(leading)


class NormalMixture(Distribution):
    """Σ_k π_k N(z; μ_k, diag σ_k²), over events of the shape of one μ_k.

    log_weights (K,), normalised: log π. loc and sigma (K, *event). There is no reparameterised
    sample, since the choice of a component has no gradient, and no closed form of a KL.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own way)
    has_rsample = False

    def __init__(self, log_weights: Tensor, loc: Tensor, sigma: Tensor) -> None:
        super().__init__(event_shape=loc.shape[1:], validate_args=False)
        self.log_weights = log_weights
        self.loc = loc
        self.sigma = sigma

    def log_prob(self, value: Tensor) -> Tensor:
        """log Σ_k π_k N(z; μ_k, diag σ_k²) of z (..., *event), in nats."""

        def density(z: Tensor) -> Tensor:
            each: Tensor = normal(self.loc, self.sigma, event).log_prob(z.unsqueeze(-1 - event))
            return (self.log_weights + each).logsumexp(-1)

        event = len(self.event_shape)
        return in_pieces(density, value, event, len(self.loc))

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """The component first, then z from that one alone: (*sample_shape, *event)."""
        with torch.no_grad():
            # The largest of log π_k - log E_k, E_k exponential, is k with probability π_k (the
            # Gumbel-max trick); torch.multinomial may wait for the device.
            waits = self.log_weights.new_empty(prod(sample_shape), len(self.loc)).exponential_()
            k = (self.log_weights - waits.log()).argmax(-1)
            z = torch.normal(self.loc[k], self.sigma[k])
        return z.reshape(*sample_shape, *self.event_shape)

    @property
    def mean(self) -> Tensor:
        """Σ_k π_k μ_k: (*event)."""
        return self._average(self.loc)

    @property
    def variance(self) -> Tensor:
        """Σ_k π_k (σ_k² + μ_k²) - mean²: (*event), always positive."""
        return self._average(self.sigma.square() + (self.loc - self.mean).square())

    def _average(self, values: Tensor) -> Tensor:
        return torch.tensordot(self.log_weights.exp(), values, dims=1)  # type: ignore[no-any-return]


class MixturePrior(Prior):
    """p(z) = Σ_k π_k N(μ_k, diag σ_k²) with learned μ, σ and, unless told otherwise, π.

    The means start apart, drawn from torch's global generator, since components that are equal
    stay equal; the whole mixture starts with mean and variance near 0 and 1.
    """

    def __init__(
        self, event_shape: tuple[int, ...], components: int, *, learn_weights: bool = True
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        shape = (components, *event_shape)
        self.loc = nn.Parameter(SPREAD**0.5 * torch.randn(shape))
        self.log_sigma = nn.Parameter(torch.full(shape, 1 - SPREAD).log() / 2)
        logits = torch.zeros(components)
        if learn_weights:
            self.logits = nn.Parameter(logits)
        else:
            self.register_buffer("logits", logits, persistent=False)

    logits: Tensor

    def forward(self, y: Tensor | None = None) -> Distribution:
        sigma = bounded(self.log_sigma).exp()
        return NormalMixture(self.logits.log_softmax(0), self.loc, sigma)


def mixture(options: Mixture, parts: Parts) -> MixturePrior:
    """The recipe of the prior ``mixture``."""
    shape, weights = parts.latent_shape, options.learn_weights
    return MixturePrior(shape, options.components, learn_weights=weights)
