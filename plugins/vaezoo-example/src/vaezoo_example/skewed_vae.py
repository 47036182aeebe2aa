"""A VAE under the skew geometric Jensen-Shannon divergence (Deasy et al. 2020, arXiv:2006.10599).

L = E_q(z|x)[log p(x|z)] - JS_s(q(z|x) || p(z))

JS_s(q || p) = (1 - s) KL(q || g) + s KL(p || g),    g(z) = q(z)^s p(z)^(1-s) / c

With s = 0 it is the VAE, whose KL(q || p) lets q be narrow; with s = 1 there is KL(p || q), which
makes q cover p. This is the form that the paper argues for: its g weighs q by s where that of the
plain divergence weighs p by s, so that its limits are the two KLs, where the plain one has zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal

import vaezoo
from vaezoo.heads.gaussian import normal
from vaezoo.objectives import Weights
from vaezoo.schedules import Schedule
from vaezoo.trace import closed_form_kl


@dataclass(frozen=True, kw_only=True)
class Options:
    skew: float = 0.5
    """s, from 0 to 1: the share of KL(p || g), and q's share in the mean g. 0 is the VAE."""

    def __post_init__(self) -> None:
        if not 0 <= self.skew <= 1:
            raise ValueError(f"skew must lie in [0, 1], but is {self.skew}")


def geometric_mean(q: Distribution, p: Distribution, skew: Tensor) -> Distribution:
    """q^skew p^(1-skew), normalised: of factorised normals a normal, between them in precision.

    q: batch shape (B,) or (K, B). p: batch shape (), (B,) or (K, B). Raises OptionError where one
    of them is no factorised normal.
    """
    a, b = _normal(q), _normal(p)
    precision = skew / a.variance + (1 - skew) / b.variance
    loc = (skew * a.loc / a.variance + (1 - skew) * b.loc / b.variance) / precision
    return normal(loc, precision.rsqrt(), len(q.event_shape))


def divergence(q: Distribution, p: Distribution, skew: Tensor) -> Tensor:
    """JS_skew(q || p): (B,) or (K, B), in nats. Raises what ``geometric_mean`` raises."""
    g = geometric_mean(q, p, skew)
    kl_q, kl_p = closed_form_kl(q, g), closed_form_kl(p, g)
    assert kl_q is not None
    assert kl_p is not None
    return (1 - skew) * kl_q + skew * kl_p


def _normal(distribution: Distribution) -> Normal:
    base = distribution.base_dist if type(distribution) is Independent else None
    if type(base) is not Normal:
        found = type(distribution if base is None else base).__name__
        raise vaezoo.OptionError(
            f"example/skewed-vae has its divergence in closed form for factorised normals, but "
            f"q(z|x) or p(z) is a {found}: leave out the prior or encoder that was chosen"
        )
    return base


class GeometricJS(vaezoo.ELBO):
    """The loss -E_q[log p(x|z)] + JS_s(q(z|x) || p(z)), (B,) in nats; figures have the KL."""

    def __init__(self, skew: float | Schedule) -> None:
        super().__init__(None, skew=skew)  # there is no beta

    def regularizer(self, trace: vaezoo.Trace, weights: Weights) -> Tensor:
        found = [divergence(site.q, site.p, weights["skew"]) for site in trace.sites]
        return torch.stack(found).sum(0)

    def check(self, trace: vaezoo.Trace) -> None:
        for site in trace.sites:
            geometric_mean(site.q, site.p, torch.tensor(0.5))


def skewed_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    """The recipe: what the caller chose, or the defaults, under this objective."""
    objective = GeometricJS(options.skew)
    return vaezoo.VAE(parts.encoder(), parts.decoder(), parts.prior(), objective=objective)
