"""A point mass: the q(z|x) of an encoder that says one z for each x."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.heads.base import Head, Shape


class PointMass(Distribution):
    """All mass at ``point``, (*batch_shape, *event_shape). It has no density."""

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)
    has_rsample = True

    def __init__(self, point: Tensor, event_ndim: int) -> None:
        self.point = point
        batch_ndim = point.ndim - event_ndim
        super().__init__(point.shape[:batch_ndim], point.shape[batch_ndim:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.point

    @property
    def mode(self) -> Tensor:
        return self.point

    @property
    def variance(self) -> Tensor:
        return torch.zeros_like(self.point)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        return self.point.expand(self._extended_shape(torch.Size(sample_shape)))


class PointMassHead(Head):
    """The network's output as it is: one number for each latent, and no spread."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape

    def forward(self, parameters: Tensor) -> Distribution:
        return PointMass(parameters, len(self.event_shape))
