"""Independent grey levels, each a logistic variable rounded to them.

Kingma et al. 2016 (arXiv:1606.04934); PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517, eq. 2),
in which the outermost levels take the tails.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent
from torch.nn.functional import logsigmoid

from vaezoo.heads.base import Shape
from vaezoo.heads.grid import GridDistribution, GridHead, checked_levels
from vaezoo.heads.log_scale import LogScale, ScaleKind, ScaleOptions


@dataclass(frozen=True, kw_only=True)
class DiscretizedLogistic(ScaleOptions):
    """Options of the likelihood ``discretized-logistic``."""

    levels: int = 256
    """How many values the data take: k/(levels-1) in [0, 1], as uint8 images do with 256."""
    scale: ScaleKind = "predicted"
    value: float = 0.1
    """Scale of the logistic, where black is 0 and white 1, to fix or to start from."""

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_levels(self.levels)


class DiscretizedLogisticDistribution(GridDistribution):
    """P(x = k/(levels-1)) = σ(b) - σ(a), with a and b the edges of the level's bin.

    location, log_scale: (*batch), where the data lie in [0, 1]. Edges are relative to the
    location, in units of the scale.
    """

    def __init__(self, location: Tensor, log_scale: Tensor, levels: int) -> None:
        self.location, self.log_scale = torch.broadcast_tensors(location, log_scale)  # type: ignore[no-untyped-call]
        super().__init__(levels, self.location.shape)
        self.width = (-self.log_scale).exp() / (levels - 1)  # of a bin, b - a

    location: Tensor
    log_scale: Tensor

    def expand(
        self, batch_shape: Shape, _instance: object = None
    ) -> DiscretizedLogisticDistribution:
        location, log_scale = (t.expand(batch_shape) for t in (self.location, self.log_scale))
        return DiscretizedLogisticDistribution(location, log_scale, self.levels)

    def log_prob(self, value: Tensor) -> Tensor:
        """log[σ(b) - σ(a)] = log σ(b) + log σ(-a) + log(1 - e^-(b-a)), elementwise, nats.

        That holds its precision however small the difference is, so nothing need be clamped.
        The lowest level has no a, the highest no b.
        """
        k = self.level(value)
        below_b, above_a = logsigmoid(self._edge(k + 0.5)), logsigmoid(-self._edge(k - 0.5))
        between = (-torch.expm1(-self.width)).log()
        lowest, highest = k < 0.5, k > self.levels - 1.5
        log_mass = torch.where(lowest, below_b, below_b + above_a + between)
        return torch.where(highest, above_a, log_mass)

    def level_moment(self, power: int) -> Tensor:
        # Σ [k^p - (k-1)^p] P(level >= k), one level at a time: all at once would take as many
        # times the memory of the images.
        moment, below = torch.zeros_like(self.location), self._edge(-0.5)
        for k in range(1, self.levels):
            at_least = torch.add(below, self.width, alpha=k).neg().sigmoid()
            moment = torch.add(moment, at_least, alpha=k**power - (k - 1) ** power)
        return moment

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        u = torch.rand(shape, dtype=self.location.dtype, device=self.location.device)
        k = self.location * (self.levels - 1) + u.logit() / self.width
        return k.round().clamp(0, self.levels - 1) / (self.levels - 1)

    def _edge(self, k: Tensor | float) -> Tensor:
        """A place on the axis of levels, relative to the location, in units of the scale."""
        return (k - self.location * (self.levels - 1)) * self.width


class DiscretizedLogisticHead(GridHead):
    """A location for each value, and a scale from the network or from parameters."""

    called = "a discretized logistic likelihood"

    def __init__(self, event_shape: tuple[int, ...], options: DiscretizedLogistic) -> None:
        super().__init__(event_shape, options.levels)
        self.log_scale = LogScale(options.scale, options.value, event_shape)
        self.input_shape = self.log_scale.input_shape

    def forward(self, parameters: Tensor) -> Distribution:
        location, log_scale = self.log_scale(parameters)
        values = DiscretizedLogisticDistribution(location, log_scale, self.levels)
        return Independent(values, len(self.event_shape), validate_args=False)

    def parameters_of(self, mean: Tensor) -> Tensor:
        return self.log_scale.parameters_of(mean)


def discretized_logistic(
    options: DiscretizedLogistic, event_shape: tuple[int, ...]
) -> DiscretizedLogisticHead:
    """The recipe of the likelihood ``discretized-logistic``."""
    return DiscretizedLogisticHead(event_shape, options)
