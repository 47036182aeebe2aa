"""Heads: from a network's output to a distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

Shape = torch.Size | list[int] | tuple[int, ...]


class Head(nn.Module, ABC):
    """Maps a network's output to a distribution over events of a fixed shape.

    The same kind of head serves q(z|x), p(z) and p(x|z). It takes any leading dimensions.
    """

    event_shape: tuple[int, ...]
    """The shape of one event: an image, a latent vector."""
    input_shape: tuple[int, ...]
    """What a network must put out for one event."""
    discrete: bool = False
    """Whether it is a probability mass, not a density. Only then are bits/dim a code length."""

    @abstractmethod
    def forward(self, parameters: Tensor) -> Distribution:
        """(..., *input_shape) -> a distribution with that batch shape and ``event_shape``."""

    def check(self, x: Tensor) -> None:
        """Raise DataError when ``x`` cannot be trained on. Default: all reals can."""

    def supports(self, x: Tensor) -> bool:
        """Whether the distribution gives probability to data that ``check`` lets through.

        Default: yes. Bernoulli trains on grey values, but gives them none.
        """
        return True

    def parameters_of(self, mean: Tensor) -> Tensor | None:
        """What a network must put out for the distribution to have about this mean.

        mean, of training data: (*event_shape) -> (*input_shape). It is where a decoder's output
        starts, whatever z. Default: None, the head does not say.
        """
        return None

    @staticmethod
    def features(x: Tensor) -> Tensor:
        """x as the network of an encoder takes it, of the same shape. Default: x itself."""
        return x

    def observe(self, px: Distribution, x: Tensor) -> dict[str, Tensor]:
        """What ``after_step`` must know of this training batch, detached. Default: nothing."""
        return {}

    def after_step(self, state: dict[str, Tensor]) -> None:
        """Once after each training step, with what ``observe`` returned. Default: nothing."""
