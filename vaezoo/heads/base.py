"""Heads: from a network's output to a distribution."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn
from torch.distributions import Distribution


class Head(nn.Module, ABC):
    """Maps a network's output to a distribution over events of a fixed shape.

    The same kind of head serves q(z|x), p(z) and p(x|z). It takes any leading dimensions.
    """

    event_shape: tuple[int, ...]
    """The shape of one event: an image, a latent vector."""
    input_shape: tuple[int, ...]
    """What a network must put out for one event."""
    discrete: bool = False
    """Whether it is a probability mass on binary data, so that bits/dim are defined on those."""

    @abstractmethod
    def forward(self, parameters: Tensor) -> Distribution:
        """(..., *input_shape) -> a distribution with that batch shape and ``event_shape``."""

    def check(self, x: Tensor) -> None:
        """Raise DataError when ``x`` lies outside the support. Default: all reals are inside."""

    def observe(self, px: Distribution, x: Tensor) -> dict[str, Tensor]:
        """What ``after_step`` must know of this training batch, detached. Default: nothing."""
        return {}

    def after_step(self, state: dict[str, Tensor]) -> None:
        """Once after each training step, with what ``observe`` returned. Default: nothing."""
