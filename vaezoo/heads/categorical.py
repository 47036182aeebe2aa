"""Independent grey levels, each with a probability of its own (van den Oord et al. 2016)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Categorical as TorchCategorical
from torch.distributions import Distribution, Independent

from vaezoo.heads.base import Shape
from vaezoo.heads.grid import GridDistribution, GridHead, checked_levels
from vaezoo.heads.log_scale import channels


@dataclass(frozen=True, kw_only=True)
class Categorical:
    """Options of the likelihood ``categorical``."""

    levels: int = 256
    """How many values the data take: k/(levels-1) in [0, 1], as uint8 images do with 256."""

    def __post_init__(self) -> None:
        checked_levels(self.levels)


class CategoricalDistribution(GridDistribution):
    """log p(x) = log softmax(logits)_k at x = k/(levels-1). logits: (*batch, levels)."""

    def __init__(self, logits: Tensor) -> None:
        self.logits = logits
        super().__init__(logits.shape[-1], logits.shape[:-1])

    def expand(self, batch_shape: Shape, _instance: object = None) -> CategoricalDistribution:
        return CategoricalDistribution(self.logits.expand(*batch_shape, self.levels))

    def log_prob(self, value: Tensor) -> Tensor:
        log_mass = self.logits.log_softmax(-1)
        k = self.level(value).clamp(0, self.levels - 1).long()
        shape = torch.broadcast_shapes(k.shape, log_mass.shape[:-1])  # type: ignore[no-untyped-call]
        log_mass = log_mass.expand(*shape, self.levels)
        return log_mass.gather(-1, k.expand(shape).unsqueeze(-1)).squeeze(-1)

    def level_moment(self, power: int) -> Tensor:
        k = torch.arange(self.levels, dtype=self.logits.dtype, device=self.logits.device)
        return self.logits.softmax(-1) @ k**power

    @torch.no_grad()
    def sample(self, sample_shape: Shape = ()) -> Tensor:
        k: Tensor = TorchCategorical(logits=self.logits, validate_args=False).sample(sample_shape)  # type: ignore[no-untyped-call]
        return k.to(self.logits.dtype) / (self.levels - 1)


class CategoricalHead(GridHead):
    """A logit for each level of each value: any shape of p(x_d|z), and no notion of order."""

    called = "a categorical likelihood"

    def __init__(self, event_shape: tuple[int, ...], options: Categorical) -> None:
        super().__init__(event_shape, options.levels)
        self.input_shape = channels(event_shape, options.levels)

    def forward(self, parameters: Tensor) -> Distribution:
        axis = -len(self.event_shape)
        # (..., levels * C, H, W) -> (..., C, H, W, levels)
        logits = parameters.unflatten(axis, (self.levels, -1)).movedim(axis - 1, -1)  # type: ignore[no-untyped-call]
        values = CategoricalDistribution(logits)
        return Independent(values, len(self.event_shape), validate_args=False)


def categorical(options: Categorical, event_shape: tuple[int, ...]) -> CategoricalHead:
    """The recipe of the likelihood ``categorical``."""
    return CategoricalHead(event_shape, options)
