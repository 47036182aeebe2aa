"""What the latents of a model hold: the codes of examples, and the KL of each dimension.

Shapes: B batch, K importance samples, N examples, D latent dimensions of a site.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from vaezoo.batch import Batch
from vaezoo.errors import DataError
from vaezoo.inference import evaluating, seeded
from vaezoo.model import VAE
from vaezoo.trace import Site, closed_form_kl

ACTIVE = 0.01
"""Variance of the posterior mean over the data above which a unit is active (Burda et al. 2016,
section 5.2), where the prior's is 1."""
SAMPLES = 10
"""Draws over which the posterior mean of a site is averaged that depends on another's draw."""


@dataclass(frozen=True, kw_only=True)
class SiteFigures:
    """One group of latents over a set of examples."""

    name: str
    size: int
    """D, how many dimensions there are."""
    kl: Tensor
    """Nats, the mean over the examples: (D,), or (1,) where it does not split up."""
    variance: Tensor | None
    """(D,), of the posterior mean over the examples, as a share of the prior's variance: of
    (E_q[z|x,y] - E_p[z|y]) / std_p[z|y]. None where z is not real, or has no such moments."""

    @property
    def splits(self) -> bool:
        """Whether the KL is the sum of one for each dimension."""
        return len(self.kl) == self.size

    @property
    def active(self) -> Tensor | None:
        """(D,) bool: Var_x(E_q[z|x]) is more than 0.01 of the prior's variance."""
        return None if self.variance is None else self.variance > ACTIVE

    @property
    def inactive(self) -> list[int]:
        """The dimensions that are not active; none where that is not defined."""
        return [] if self.active is None else (~self.active).nonzero().flatten().tolist()


def site_figures(
    model: VAE, batches: Iterable[Batch], *, seed: int = 0
) -> tuple[SiteFigures, ...]:
    """KL and variance of the posterior mean of every site, each dimension by itself.

    The mean of a site whose q depends on the draw of another is one over ten draws. Draws come
    from ``seed``; the caller's random state is left alone. Raises DataError without examples.
    """
    sums: list[_Sums] = []
    count, samples = 0, 0
    with evaluating(model), seeded(seed, model.device):
        for x, y, _ in batches:
            if not samples:
                samples = (
                    1 if len(model(x[:1], None if y is None else y[:1]).sites) < 2 else SAMPLES
                )
            sites = model(x, y, samples).sites
            sums = sums or [_Sums(site) for site in sites]
            for total, site in zip(sums, sites, strict=True):
                total.add(site)
            count += len(x)
    if not count:
        raise DataError("there are no examples to measure latents on")
    return tuple(total.figures(count) for total in sums)


def dimension_kls(site: Site) -> Tensor | None:
    """KL(q(z_d|x,y) || p(z_d|y)) of each dimension: (K, B, *event), nats.

    In closed form if there is one, else log q(z_d) - log p(z_d). None where q or p is not
    factorised, so that the KL is no sum over dimensions.
    """
    q: Distribution = site.q
    p: Distribution = site.p
    while isinstance(q, Independent) and isinstance(p, Independent):
        q, p = q.base_dist, p.base_dist
    if q.event_shape != () or p.event_shape != () or site.code is not site.z:
        return None
    kl = closed_form_kl(q, p)
    if kl is None:
        kl = q.log_prob(site.z) - p.log_prob(site.z)
    kl = kl.expand(site.z.shape)
    # A site may know log q from elsewhere (a flow): these are then no parts of its KL.
    whole = kl.flatten(2).sum(2)
    return kl if torch.allclose(whole, site.kl, rtol=1e-4, atol=1e-4) else None


class _Sums:
    """Of one site, over the examples so far; in float64."""

    def __init__(self, site: Site) -> None:
        self.name = site.name
        self.size = site.z[0, 0].numel()
        self.splits = dimension_kls(site) is not None
        self.kl: Tensor | float = 0.0
        self.mean: Tensor | float | None = 0.0
        self.square: Tensor | float = 0.0

    def add(self, site: Site) -> None:
        kl = dimension_kls(site) if self.splits else None
        kl = site.kl.unsqueeze(2) if kl is None else kl.flatten(2)
        self.kl = self.kl + kl.double().mean(0).sum(0)
        means = self._means(site)
        if means is None or self.mean is None:
            self.mean = None
            return
        self.mean = self.mean + means.sum(0)
        self.square = self.square + means.square().sum(0)

    def _means(self, site: Site) -> Tensor | None:
        """(E_q[z|x] - E_p[z]) / std_p[z]: (B, D), or None."""
        q, p = site.q, site.p
        try:
            if getattr(q.support, "base_constraint", q.support) is not constraints.real:
                return None
            mean = ((q.mean - p.mean) / p.stddev).double()
        except NotImplementedError:
            return None
        mean = mean.reshape(*mean.shape[: mean.ndim - len(q.event_shape)], -1)  # (..., B, D)
        return mean.reshape(-1, *mean.shape[-2:]).mean(0) if mean.shape[-1] == self.size else None

    def figures(self, count: int) -> SiteFigures:
        variance = None
        if isinstance(self.mean, Tensor) and isinstance(self.square, Tensor):
            variance = (self.square / count - (self.mean / count).square()).clamp(min=0).cpu()
        assert isinstance(self.kl, Tensor)
        kl = (self.kl / count).cpu()
        return SiteFigures(name=self.name, size=self.size, kl=kl, variance=variance)
