"""Independent Laplace values, with a scale that is fixed, learned or predicted."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.distributions import Laplace as TorchLaplace

from vaezoo.heads.base import Head
from vaezoo.heads.log_scale import LogScale, ScaleOptions


@dataclass(frozen=True, kw_only=True)
class Laplace(ScaleOptions):
    """Options of the likelihood ``laplace``."""


class LaplaceHead(Head):
    """log p(x|z) = Σ_d -|x_d - μ_d| / b - log 2b: the absolute error, robust to outliers."""

    def __init__(self, event_shape: tuple[int, ...], options: Laplace) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.log_scale = LogScale(options.scale, options.value, event_shape)
        self.input_shape = self.log_scale.input_shape

    def forward(self, parameters: Tensor) -> Distribution:
        location, log_scale = self.log_scale(parameters)
        values = TorchLaplace(location, log_scale.exp(), validate_args=False)
        return Independent(values, len(self.event_shape), validate_args=False)

    def parameters_of(self, mean: Tensor) -> Tensor:
        return self.log_scale.parameters_of(mean)


def laplace(options: Laplace, event_shape: tuple[int, ...]) -> LaplaceHead:
    """The recipe of the likelihood ``laplace``."""
    return LaplaceHead(event_shape, options)
