"""Independent counts, more spread than Poisson's (as in scVI: Lopez et al. 2018).

x ~ Poisson(λ) with λ ~ Gamma of mean μ and shape r, the inverse dispersion: variance μ + μ²/r.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Gamma, Independent, constraints
from torch.nn.functional import logsigmoid

from vaezoo.heads.base import Head, Shape
from vaezoo.heads.data_checks import check_counts
from vaezoo.heads.gaussian import checked_scale
from vaezoo.heads.log_scale import LogScale, ScaleKind

LARGEST_LOG_MEAN = 20.0
"""Up to which mean, variance and samples follow log μ: 5e8, more than the data can hold."""
STIRLING = 8.0
"""From where on Stirling's series is taken for log Γ."""


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial:
    """Options of the likelihood ``negative-binomial``."""

    dispersion: ScaleKind = "elementwise"
    """Whence the inverse dispersion r. fixed: `value`. learned: one parameter. elementwise: a
    parameter for each value of x, that is for each gene. predicted: by the network, for each
    value of each x."""
    value: float = 1.0
    """r to fix or to start from; the variance is μ + μ²/r."""

    def __post_init__(self) -> None:
        checked_scale("value, an inverse dispersion,", self.value)


class NegativeBinomialDistribution(Distribution):
    """P(x) = Γ(x+r) / [Γ(r) x!] (r/(r+μ))^r (μ/(r+μ))^x, x = 0, 1, ...

    log_mean, log_r: (*batch), log μ and log r.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "log_mean": constraints.real,
        "log_r": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, log_mean: Tensor, log_r: Tensor) -> None:
        self.log_mean, self.log_r = torch.broadcast_tensors(log_mean, log_r)  # type: ignore[no-untyped-call]
        super().__init__(self.log_mean.shape, validate_args=False)

    log_mean: Tensor
    log_r: Tensor

    def expand(self, batch_shape: Shape, _instance: object = None) -> NegativeBinomialDistribution:
        log_mean, log_r = (t.expand(batch_shape) for t in (self.log_mean, self.log_r))
        return NegativeBinomialDistribution(log_mean, log_r)

    def log_prob(self, value: Tensor) -> Tensor:
        """Elementwise, nats. μ itself is never formed, so no log μ is too large."""
        r, logit = self.log_r.exp(), self.log_mean - self.log_r
        return log_choose(value, r) + r * logsigmoid(-logit) + value * logsigmoid(logit)

    @property
    def mean(self) -> Tensor:
        return self.log_mean.clamp(max=LARGEST_LOG_MEAN).exp()

    @property
    def variance(self) -> Tensor:
        mean = self.mean
        return mean + mean.square() * (-self.log_r).exp()

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        r = self.log_r.exp()
        return torch.poisson(Gamma(r, r / self.mean, validate_args=False).sample(sample_shape))


SMALLEST_MEAN = 1e-2
"""Of a count, where training starts."""


class CountHead(Head):
    """What heads of counts share: their data, and a dispersion."""

    discrete = True

    def __init__(
        self, event_shape: tuple[int, ...], options: NegativeBinomial, *, others: int
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.log_r = LogScale(options.dispersion, options.value, event_shape, others=others)
        self.input_shape = self.log_r.input_shape

    def parameters_of(self, mean: Tensor) -> Tensor:
        return self.log_r.parameters_of(mean.clamp(min=SMALLEST_MEAN).log())

    def check(self, x: Tensor) -> None:
        check_counts(x, "a negative binomial likelihood")

    @staticmethod
    def features(x: Tensor) -> Tensor:
        """log(1 + x), as in scVI: counts in their thousands would swamp a network."""
        return x.log1p()


class NegativeBinomialHead(CountHead):
    """The logarithm of each count's mean from the network."""

    def __init__(self, event_shape: tuple[int, ...], options: NegativeBinomial) -> None:
        super().__init__(event_shape, options, others=1)

    def forward(self, parameters: Tensor) -> Distribution:
        values = NegativeBinomialDistribution(*self.log_r(parameters))
        return Independent(values, len(self.event_shape), validate_args=False)


def log_choose(x: Tensor, r: Tensor) -> Tensor:
    """log Γ(x+r) / [Γ(r) x!], elementwise, for x >= 0 and r > 0.

    The difference of two nearly equal lgamma, of r or x large, would lose all digits of float32:
    there it is taken between Stirling's series instead.
    """
    total, x1 = x + r, x + 1
    small, large = torch.minimum(r, x1), torch.maximum(r, x1)
    a, d = large.clamp(min=STIRLING), small - 1
    b = a + d  # = total, where it counts
    ratio = (b - 0.5) * torch.log1p(d / a) + d * a.log() - d + _remainder(b) - _remainder(a)
    ratio = torch.where(large < STIRLING, total.lgamma() - large.lgamma(), ratio)
    return ratio - small.lgamma()


def _remainder(a: Tensor) -> Tensor:
    """log Γ(a) - [(a - ½) log a - a + ½ log 2π], within 1e-10 for a >= 7."""
    s = a.square().reciprocal()
    return (1 - s / 30 * (1 - 2 * s / 7 * (1 - 3 * s / 4))) / (12 * a)


def negative_binomial(
    options: NegativeBinomial, event_shape: tuple[int, ...]
) -> NegativeBinomialHead:
    """The recipe of the likelihood ``negative-binomial``."""
    return NegativeBinomialHead(event_shape, options)
