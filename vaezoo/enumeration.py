"""A Trace in which a discrete latent is summed over instead of drawn.

C its values, B batch, K importance samples. The Trace of every value comes from one ordinary
pass over C·B examples: place c·B + b is example b with value c.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, Normal, constraints

from vaezoo.trace import Site, Trace, derived, register_kl


class OneHot(Distribution):
    """One of C values, as a one-hot vector. logits (..., C), normalised or not.

    torch's OneHotCategorical validates its arguments whatever it is told, which does not compile.
    """

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)
    support = constraints.one_hot

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits.log_softmax(-1)
        """log p of each value: (..., C)."""
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    @property
    def probs(self) -> Tensor:
        """(..., C)."""
        return self.logits.exp()

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        shape = self._extended_shape(torch.Size(sample_shape))
        rows = self.probs.expand(shape).reshape(-1, shape[-1])
        index = torch.multinomial(rows, 1)
        return torch.zeros_like(rows).scatter(1, index, 1.0).reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return (value * self.logits).sum(-1)


@register_kl(OneHot, OneHot)  # type: ignore[no-untyped-call, untyped-decorator]
def _kl_one_hot(q: OneHot, p: OneHot) -> Tensor:
    return (q.probs * (q.logits - p.logits)).sum(-1)


class Chosen(Distribution):
    """Of C distributions, for each example the one that ``index`` names.

    each: batch shape (C·B,) or (K, C·B). index: (K, B), which is the batch shape of this one.
    """

    arg_constraints = {}  # noqa: RUF012

    def __init__(self, each: Distribution, index: Tensor) -> None:
        self.each = each
        self.index = index
        super().__init__(index.shape, each.event_shape, validate_args=False)

    @property
    def support(self) -> constraints.Constraint | None:
        return self.each.support

    @property
    def mean(self) -> Tensor:
        return self._choose(self.each.mean)

    @property
    def variance(self) -> Tensor:
        return self._choose(self.each.variance)

    def sample(self, sample_shape: torch.Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """One draw for each place of (K, B); no other shape."""
        assert not len(sample_shape)
        each = self.each
        if len(each.batch_shape) == 1:
            return choose(each.sample(self.index.shape[:1]), self.index)
        return choose(each.sample(), self.index)

    def log_prob(self, value: Tensor) -> Tensor:
        samples, size = self.index.shape
        value = value.expand(samples, size, *self.event_shape).unsqueeze(1)
        count = self.each.batch_shape[-1] // size
        value = value.expand(-1, count, *value.shape[2:]).flatten(1, 2)
        return choose(self.each.log_prob(value), self.index)

    def _choose(self, values: Tensor) -> Tensor:
        return choose(values if len(self.each.batch_shape) == 2 else values[None], self.index)


def choose(values: Tensor, index: Tensor) -> Tensor:
    """values (K, C·B, *event) or (1, C·B, *event), index (K, B) -> (K, B, *event)."""
    samples, size = index.shape
    values = _by_value(values, size)
    values = values.expand(samples, *values.shape[1:])
    index = index.reshape(samples, 1, size, *[1] * (values.ndim - 3))
    return values.take_along_dim(index, 1).squeeze(1)


def average(values: Tensor, probs: Tensor) -> Tensor:
    """values (K, C·B, *event), probs (B, C): their mean over the values, (K, B, *event)."""
    values = _by_value(values, len(probs))
    weights = probs.T.reshape(*probs.T.shape, *[1] * (values.ndim - 3))
    return (values * weights).sum(1)


def _by_value(values: Tensor, size: int) -> Tensor:
    """(K, C·B, *event) -> (K, C, B, *event)."""
    return values.reshape(len(values), -1, size, *values.shape[2:])


class EnumeratedSite(Site):
    """The latents of one site, whose q and p depend on the enumerated value.

    q, p and z are those of one value for each example, ``index``; the KL is the mean over all.
    """

    def __init__(self, each: Site, index: Tensor, probs: Tensor) -> None:
        p = Chosen(each.p, index) if len(each.p.batch_shape) else each.p
        super().__init__(
            Chosen(each.q, index),
            p,
            choose(each.z, index),
            log_q=choose(each.log_q, index),
            code=choose(each.code, index),
            name=each.name,
        )
        self._each = each
        self._probs = probs

    @derived
    def kl(self) -> Tensor:
        """Σ_c q(c|x) KL(q(z|x,c) || p(z|c)): (K, B)."""
        return average(self._each.kl, self._probs)

    @derived
    def kl_by_dimension(self) -> Tensor | None:
        """What each dimension adds to ``kl``: (K, B, *event), or None if it is no such sum."""
        each = self._each.kl_by_dimension
        return None if each is None else average(each, self._probs)

    @derived
    def kl_kind(self) -> Literal["analytic", "monte-carlo"]:
        """Which of the two ``kl`` is, given a value."""
        return self._each.kl_kind


class EnumeratedTrace(Trace):
    """All values c of a discrete latent, weighed by q(c|x).

    each: the Trace of every value, whose shapes are (K, C·B). value: the site of c: q(c|x) and
    p(c), both ``OneHot``, and a draw of it, for which ``px`` and the sites stand. possible: (B, C)
    bool, which values have not been ruled out by an observation of c; q is 0 for the others.

    elbo = Σ_c q(c|x) [log p(x|z_c,c) - KL(q(z|x,c) || p(z|c))] - KL(q(c|x) || p(c)), exact in c.
    """

    def __init__(
        self,
        x: Tensor,
        each: Trace,
        value: Site,
        possible: Tensor,
        *,
        penalties: Mapping[str, Tensor] | None = None,
    ) -> None:
        assert isinstance(value.q, OneHot)
        assert isinstance(value.p, OneHot)
        index, probs = value.z.argmax(-1), value.q.probs
        sites = (EnumeratedSite(site, index, probs) for site in each.sites)
        px = Chosen(each.px, index)
        super().__init__(x, px, (value, *sites), penalties=penalties, bound=each.bound)
        self._each = each
        self._probs = probs
        self._log_prior = value.p.logits.expand(probs.shape).masked_fill(~possible, -torch.inf)

    @derived
    def log_px(self) -> Tensor:
        """Σ_c q(c|x) log p(x|z_c,c): (K, B)."""
        return average(self._each.log_px, self._probs)

    @derived
    def log_w(self) -> Tensor:
        """log Σ_c p(c) p(x|z_c,c) p(z_c|c) / q(z_c|x,c), over the possible c: (K, B).

        Its exponential has the mean p(x), or p(x, c) where c was observed. Its own mean is
        above ``elbo`` where c was not: the sum over c is exact, whatever q(c|x).
        """
        log_w = _by_value(self._each.log_w, len(self.x))  # (K, C, B)
        return (log_w + self._log_prior.T).logsumexp(1)


def draw_alike(q: Distribution, samples: int, count: int) -> Tensor:
    """K draws of q, batch shape (C·B,), with the same noise for all C values: (K, C·B, *event).

    What differs between values then differs little by chance. Of other than factorised normals,
    whose noise is not known, the draws are independent.
    """
    if not (isinstance(q, Independent) and type(q.base_dist) is Normal):
        return q.rsample((samples,))
    mean, sigma = q.base_dist.loc, q.base_dist.scale
    size = len(mean) // count
    noise = torch.randn(samples, 1, size, *mean.shape[1:], dtype=mean.dtype, device=mean.device)
    return mean + sigma * noise.expand(-1, count, *noise.shape[2:]).flatten(1, 2)
