"""Independent values in [0, 1] (Loaiza-Ganem & Cunningham 2019, arXiv:1907.06845).

All formulas are in the logit l = log λ/(1-λ), in which p(x|l) = e^{lx} l / (e^l - 1). Near l = 0,
where that is 0/0, series in l take over. (torch's own class clamps λ, which stops the gradient
beyond logits of 16.)
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, constraints

from vaezoo.heads.base import Head, Shape
from vaezoo.heads.data_checks import check_unit_interval
from vaezoo.options import NoOptions

SMALL, SMALL_ICDF = 0.5, 0.05
"""|l| below which the series are taken. Their first term left out is below 1e-9 there."""


class ContinuousBernoulliDistribution(Distribution):
    """p(x|l) = C(λ) λ^x (1-λ)^(1-x) with λ = σ(l), for x in [0, 1]; logits l: (*batch)."""

    arg_constraints: ClassVar[dict[str, Any]] = {"logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape, validate_args=False)

    def expand(
        self, batch_shape: Shape, _instance: object = None
    ) -> ContinuousBernoulliDistribution:
        return ContinuousBernoulliDistribution(self.logits.expand(batch_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """lx - log[(e^l - 1)/l], elementwise, nats."""
        small, u = self._split()
        # log[(e^l - 1)/l] = max(l, 0) + log[(1 - e^-u)/u] with u = |l|: nothing overflows.
        far = self.logits * value - self.logits.relu() - (-torch.expm1(-u) / u).log()
        # log[sinh(l/2) / (l/2)]
        s = self.logits.clamp(-SMALL, SMALL).square()
        series = s / 24 * (1 - s / 120 * (1 - s / 63 * (1 - 3 * s / 160)))
        return torch.where(small, self.logits * (value - 0.5) - series, far)

    @property
    def mean(self) -> Tensor:
        """1/(1 - e^-l) - 1/l."""
        small, u = self._split()
        above = -1 / torch.expm1(-u) - 1 / u  # for positive l
        far = torch.where(self.logits > 0, above, 1 - above)
        near = self.logits.clamp(-SMALL, SMALL)
        s = near.square()
        series = 0.5 + near / 12 * (1 - s / 60 * (1 - s / 42 * (1 - s / 40)))
        return torch.where(small, series, far)

    @property
    def variance(self) -> Tensor:
        """1/l² - 1/(4 sinh²(l/2))."""
        small, u = self._split()
        far = u.square().reciprocal() - (-u).exp() / torch.expm1(-u).square()
        s = self.logits.clamp(-SMALL, SMALL).square()
        series = (1 - s / 20 * (1 - 5 * s / 126 * (1 - 7 * s / 200))) / 12
        return torch.where(small, series, far)

    def icdf(self, value: Tensor) -> Tensor:
        """log[1 + u (e^l - 1)] / l for u strictly between 0 and 1, elementwise."""
        small, size = self._split(SMALL_ICDF)
        # The tail towards which the density falls: x(l, u) = 1 - x(-l, 1 - u).
        falls = self.logits <= 0
        tail = torch.where(falls, value, 1 - value)
        far = -torch.log1p(tail * torch.expm1(-size)) / size
        far = torch.where(falls, far, 1 - far)
        near = self.logits.clamp(-SMALL_ICDF, SMALL_ICDF)
        # x = Σ κ_n(u) l^(n-1) / n!, with the cumulants κ of Bernoulli(u), up to signs.
        spread = value * (1 - value)
        cubic = near / 4 * (1 - 6 * spread)
        series = value + spread * near / 2 * (1 + near / 3 * (1 - 2 * value + cubic))
        return torch.where(small, series, far)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """Inverse-transform samples with gradient: (*sample_shape, *batch)."""
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.logits.dtype, device=self.logits.device)
        tiny = torch.finfo(u.dtype).eps
        return self.icdf(u.clamp(tiny, 1 - tiny))

    def _split(self, small: float = SMALL) -> tuple[Tensor, Tensor]:
        """Whether |l| is small, and |l|, kept away from 0 so that no unused branch is NaN."""
        size = self.logits.abs()
        return size < small, size.clamp(min=small)


class ContinuousBernoulliHead(Head):
    """Logits -> continuous Bernoulli values: a density for grey values, unlike Bernoulli's."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape

    def forward(self, parameters: Tensor) -> Distribution:
        values = ContinuousBernoulliDistribution(parameters)
        return Independent(values, len(self.event_shape), validate_args=False)

    def check(self, x: Tensor) -> None:
        check_unit_interval(x, "a continuous Bernoulli likelihood")


def continuous_bernoulli(
    options: NoOptions, event_shape: tuple[int, ...]
) -> ContinuousBernoulliHead:
    """The recipe of the likelihood ``continuous-bernoulli``."""
    return ContinuousBernoulliHead(event_shape)
