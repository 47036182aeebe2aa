"""A Trace: everything that one pass through a model computed, and all that an objective sees.

B batch, K importance samples. All quantities are in nats, summed over event dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, Literal, TypeVar, overload

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, TransformedDistribution
from torch.distributions.kl import _KL_REGISTRY, register_kl

__all__ = ["Bound", "Site", "Trace", "closed_form_kl", "draw", "register_kl"]

T = TypeVar("T")
Bound = Literal["exact", "relaxed", "none"]


class derived(Generic[T]):
    """A property computed once. functools.cached_property takes a lock, which Dynamo refuses."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self.compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> derived[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Any:
        if instance is None:
            return self
        value = self.compute(instance)
        instance.__dict__[self.name] = value
        return value


class Site:
    """One group of latents: where it came from, and what it costs.

    q: q(z|x,y) with batch shape (B,) or (K, B). p: p(z|y), batch shape (), (B,) or (K, B).
    z: (K, B, *event), a reparameterised sample of q. log_q: given by those who have it from the
    same pass as z. code: what p scores, where that is not z itself (discrete latents).
    """

    def __init__(
        self,
        q: Distribution,
        p: Distribution,
        z: Tensor,
        *,
        log_q: Tensor | None = None,
        code: Tensor | None = None,
        name: str = "z",
    ) -> None:
        self.q = q
        self.p = p
        self.z = z
        self.code = z if code is None else code
        self.name = name
        self._log_q = log_q

    @derived
    def log_q(self) -> Tensor:
        """log q(z|x,y): (K, B)."""
        return self.q.log_prob(self.z) if self._log_q is None else self._log_q

    @derived
    def log_p(self) -> Tensor:
        """log p(z|y): (K, B)."""
        return self.p.log_prob(self.code)

    @derived
    def log_q_path(self) -> Tensor:
        """log q(z|x,y) with gradient through z only, not through q's parameters: (K, B).

        The path derivative of Roeder et al. 2017. Nothing can detach a distribution in general,
        so the score term is subtracted instead.
        """
        score = self.q.log_prob(self.z.detach())
        return self.log_q - score + score.detach()

    @derived
    def kl(self) -> Tensor:
        """KL(q(z|x,y) || p(z|y)): (K, B). Closed form if there is one, else log q - log p."""
        closed = closed_form_kl(self.q, self.p)
        if closed is None:
            return self.log_q - self.log_p
        return closed.expand(self.z.shape[:2])

    @derived
    def kl_by_dimension(self) -> Tensor | None:
        """What each dimension of z adds to ``kl``: (K, B, *event), or None if it is no such sum.

        It is one where q and p both are Independent over all dimensions of an event.
        """
        formula, q, p, ndims = _kl_formula(self.q, self.p)
        if not ndims == len(self.q.event_shape) == len(self.p.event_shape):
            return None
        if formula is None:
            return q.log_prob(self.z) - p.log_prob(self.code)
        return formula(q, p).expand(self.z.shape)

    @derived
    def kl_kind(self) -> Literal["analytic", "monte-carlo"]:
        """Which of the two ``kl`` is."""
        return "monte-carlo" if _kl_formula(self.q, self.p)[0] is None else "analytic"


class Trace:
    """x (B, *shape) scored by px, whose batch shape is (K, B), through the sites.

    penalties: named terms (B,) that the model adds to the loss of any ELBO. state: detached
    tensors for the model's ``after_step``, which the default loss hands on. bound: the model's,
    whether log p(x|z) - KL is a bound on log p(x) ("exact"), one on a relaxation of the model
    ("relaxed"), or none.
    """

    def __init__(
        self,
        x: Tensor,
        px: Distribution,
        sites: tuple[Site, ...],
        *,
        penalties: Mapping[str, Tensor] | None = None,
        state: Mapping[str, Tensor] | None = None,
        bound: Bound = "exact",
    ) -> None:
        self.x = x
        self.px = px
        self.sites = sites
        self.penalties = dict(penalties or {})
        self.state = dict(state or {})
        self.bound = bound

    @derived
    def log_px(self) -> Tensor:
        """log p(x|z,y): (K, B)."""
        return self.px.log_prob(self.x)

    @derived
    def kls(self) -> tuple[Tensor, ...]:
        """The KL of each site: (K, B) each."""
        return tuple(site.kl for site in self.sites)

    @derived
    def kl(self) -> Tensor:
        """The KL of all sites together: (K, B)."""
        return torch.stack(self.kls).sum(0) if self.kls else torch.zeros_like(self.log_px)

    @derived
    def elbo(self) -> Tensor:
        """log p(x|z,y) - KL: (K, B). Never contains beta."""
        return self.log_px - self.kl

    @derived
    def log_w(self) -> Tensor:
        """log [p(x|z,y) p(z|y) / q(z|x,y)], the log importance weights: (K, B)."""
        log_w = self.log_px
        for site in self.sites:
            log_w = log_w + site.log_p - site.log_q
        return log_w


def draw(q: Distribution, samples: int) -> Tensor:
    """``samples`` reparameterised draws of q: (K, B, *event). 0: its mean stands for them, K = 1.

    q has batch shape (B,), or (K, B) where it depends on what was drawn before: then one draw of
    each is taken.
    """
    drawn = len(q.batch_shape) > 1
    if samples == 0:
        return q.mean if drawn else q.mean.unsqueeze(0)
    return q.rsample(() if drawn else (samples,))


def closed_form_kl(q: Distribution, p: Distribution) -> Tensor | None:
    """KL(q || p) by the formula registered for exactly these types, or None if there is none.

    Where p is Independent, the types are those within: (Normal, Laplace) for two factorised
    ones, and (MultivariateNormal, Normal) for a joint q, whose formula sums over dimensions.

    torch's own ``kl_divergence`` cannot be traced before its first eager call, and falls back to
    the formula of a parent class, which need not hold for the child.
    """
    formula, q, p, ndims = _kl_formula(q, p)
    if formula is None:
        return None
    kl = formula(q, p)
    return kl.sum(tuple(range(-ndims, 0))) if ndims else kl


def _kl_formula(
    q: Distribution, p: Distribution
) -> tuple[Callable[[Any, Any], Tensor] | None, Distribution, Distribution, int]:
    """The formula, the distributions it takes, and over how many dimensions to sum."""
    ndims = 0
    while (
        type(q) is Independent
        and type(p) is Independent
        and q.reinterpreted_batch_ndims == p.reinterpreted_batch_ndims
    ):
        ndims += q.reinterpreted_batch_ndims
        q, p = q.base_dist, p.base_dist
    if type(q) is type(p) and type(q) in (Independent, TransformedDistribution):
        return None, q, p, ndims  # torch's formulas for these dispatch anew, and may refuse
    if type(p) is Independent and len(q.event_shape) == p.reinterpreted_batch_ndims:
        p = p.base_dist  # a joint q, such as a multivariate normal, against a factorised p
    return _KL_REGISTRY.get((type(q), type(p))), q, p, ndims
