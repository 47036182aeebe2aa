"""Independent counts with more zeros than a negative binomial has (Lopez et al. 2018, scVI)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints
from torch.nn.functional import logsigmoid

from vaezoo.heads.base import Shape
from vaezoo.heads.negative_binomial import (
    CountHead,
    NegativeBinomial,
    NegativeBinomialDistribution,
)


@dataclass(frozen=True, kw_only=True)
class ZeroInflatedNegativeBinomial(NegativeBinomial):
    """Options of the likelihood ``zero-inflated-negative-binomial``."""


class ZeroInflatedNegativeBinomialDistribution(Distribution):
    """P(x) = π [x = 0] + (1 - π) NB(x; μ, r), with π = σ(zero_logits), the dropout rate."""

    arg_constraints: ClassVar[dict[str, Any]] = {"zero_logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, zero_logits: Tensor, log_r: Tensor) -> None:
        log_mean, self.zero_logits, log_r = torch.broadcast_tensors(log_mean, zero_logits, log_r)  # type: ignore[no-untyped-call]
        self.counts = NegativeBinomialDistribution(log_mean, log_r)
        super().__init__(log_mean.shape, validate_args=False)

    zero_logits: Tensor

    def expand(
        self, batch_shape: Shape, _instance: object = None
    ) -> ZeroInflatedNegativeBinomialDistribution:
        each = (self.counts.log_mean, self.zero_logits, self.counts.log_r)
        return ZeroInflatedNegativeBinomialDistribution(*(t.expand(batch_shape) for t in each))

    def log_prob(self, value: Tensor) -> Tensor:
        """Elementwise, nats; the mixture is taken between logarithms."""
        counted = logsigmoid(-self.zero_logits) + self.counts.log_prob(value)
        zero = torch.logaddexp(logsigmoid(self.zero_logits), counted)
        return torch.where(value == 0, zero, counted)

    @property
    def mean(self) -> Tensor:
        return (-self.zero_logits).sigmoid() * self.counts.mean

    @property
    def variance(self) -> Tensor:
        kept, mean = (-self.zero_logits).sigmoid(), self.counts.mean
        return kept * (self.counts.variance + (1 - kept) * mean.square())

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        counts = self.counts.sample(sample_shape)
        kept = (-self.zero_logits).sigmoid().expand_as(counts)
        return counts * torch.bernoulli(kept)


class ZeroInflatedNegativeBinomialHead(CountHead):
    """The logarithm of each count's mean, and the logit of its dropout, from the network."""

    def __init__(
        self, event_shape: tuple[int, ...], options: ZeroInflatedNegativeBinomial
    ) -> None:
        super().__init__(event_shape, options, others=2)

    def forward(self, parameters: Tensor) -> Distribution:
        values = ZeroInflatedNegativeBinomialDistribution(*self.log_r(parameters))
        return Independent(values, len(self.event_shape), validate_args=False)


def zero_inflated_negative_binomial(
    options: ZeroInflatedNegativeBinomial, event_shape: tuple[int, ...]
) -> ZeroInflatedNegativeBinomialHead:
    """The recipe of the likelihood ``zero-inflated-negative-binomial``."""
    return ZeroInflatedNegativeBinomialHead(event_shape, options)
