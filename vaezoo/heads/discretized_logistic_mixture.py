"""Independent grey levels, each from a mixture of discretized logistics.

PixelCNN++ (Salimans et al. 2017, arXiv:1701.05517, sec. 2.1), with a mixture for each value of x:
channels depend on each other through z alone, not on the channels before them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent

from vaezoo.heads.base import Shape
from vaezoo.heads.discretized_logistic import DiscretizedLogisticDistribution
from vaezoo.heads.gaussian import bounded, checked_scale
from vaezoo.heads.grid import GridDistribution, GridHead, checked_levels
from vaezoo.heads.log_scale import channels


@dataclass(frozen=True, kw_only=True)
class DiscretizedLogisticMixture:
    """Options of the likelihood ``discretized-logistic-mixture``."""

    components: int = 5
    """How many logistics are mixed; each takes three numbers from the network for each value."""
    levels: int = 256
    """How many values the data take: k/(levels-1) in [0, 1], as uint8 images do with 256."""
    value: float = 0.1
    """Scale that the components start from, where black is 0 and white 1."""

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"components must be at least 1, not {self.components}")
        checked_levels(self.levels)
        checked_scale("value, a scale,", self.value)


class DiscretizedLogisticMixtureDistribution(GridDistribution):
    """P(x) = Σ_m π_m P_m(x), with π = softmax(logits). All parameters: (*batch, components)."""

    def __init__(self, logits: Tensor, location: Tensor, log_scale: Tensor, levels: int) -> None:
        super().__init__(levels, logits.shape[:-1])
        self.logits = logits
        self.components = DiscretizedLogisticDistribution(location, log_scale, levels)

    def expand(
        self, batch_shape: Shape, _instance: object = None
    ) -> DiscretizedLogisticMixtureDistribution:
        each = (self.logits, self.components.location, self.components.log_scale)
        logits, location, log_scale = (t.expand(*batch_shape, t.shape[-1]) for t in each)
        return DiscretizedLogisticMixtureDistribution(logits, location, log_scale, self.levels)

    def log_prob(self, value: Tensor) -> Tensor:
        """log Σ_m π_m P_m(x), elementwise, nats."""
        log_masses = self.components.log_prob(value.unsqueeze(-1))
        return (self.logits.log_softmax(-1) + log_masses).logsumexp(-1)

    def level_moment(self, power: int) -> Tensor:
        return (self.logits.softmax(-1) * self.components.level_moment(power)).sum(-1)

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """The component is picked first, and it alone is drawn from."""
        picked: Tensor = Categorical(logits=self.logits, validate_args=False).sample(sample_shape)  # type: ignore[no-untyped-call]
        shape, index = (*picked.shape, self.logits.shape[-1]), picked.unsqueeze(-1)
        location, log_scale = (
            t.expand(shape).gather(-1, index).squeeze(-1)
            for t in (self.components.location, self.components.log_scale)
        )
        return DiscretizedLogisticDistribution(location, log_scale, self.levels).sample()


class DiscretizedLogisticMixtureHead(GridHead):
    """Weights, locations and scales of the components of each value, all from the network.

    Where the network says 0, the locations are evenly spread over [0, 1].
    """

    called = "a discretized logistic mixture"

    def __init__(self, event_shape: tuple[int, ...], options: DiscretizedLogisticMixture) -> None:
        super().__init__(event_shape, options.levels)
        self.components = options.components
        self.input_shape = channels(event_shape, 3 * options.components)
        self.register_buffer("start", torch.tensor(options.value).log())
        spread = (torch.arange(options.components) + 0.5) / options.components
        self.register_buffer("spread", spread)

    start: Tensor
    spread: Tensor

    def forward(self, parameters: Tensor) -> Distribution:
        axis = -len(self.event_shape)
        # (..., 3 * M * C, H, W) -> three times (..., C, H, W, M)
        parameters = parameters.unflatten(axis, (3, self.components, -1))  # type: ignore[no-untyped-call]
        logits, location, offset = parameters.movedim(axis - 1, -1).unbind(axis - 2)
        values = DiscretizedLogisticMixtureDistribution(
            logits, self.spread + location, self.start + bounded(offset), self.levels
        )
        return Independent(values, len(self.event_shape), validate_args=False)


def discretized_logistic_mixture(
    options: DiscretizedLogisticMixture, event_shape: tuple[int, ...]
) -> DiscretizedLogisticMixtureHead:
    """The recipe of the likelihood ``discretized-logistic-mixture``."""
    return DiscretizedLogisticMixtureHead(event_shape, options)
