"""A running mean of the weights (Polyak averaging); it often scores better than the last ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """mean <- decay * mean + (1 - decay) * weights after each step, from the first weights on.

    Of the parameters, in float32 or wider; buffers are not averaged: the latest hold. Nothing
    here waits for the device.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        parameters = dict(model.named_parameters())
        self.parameters = [p.detach() for p in parameters.values()]  # shares their memory
        wide = [torch.promote_types(p.dtype, torch.float32) for p in self.parameters]
        means = [p.to(d, copy=True) for p, d in zip(self.parameters, wide, strict=True)]
        self.means = dict(zip(parameters, means, strict=True))

    def update(self) -> None:
        """After a step."""
        means = [*self.means.values()]
        now = [p.to(m.dtype) for p, m in zip(self.parameters, means, strict=True)]
        torch._foreach_lerp_(means, now, 1 - self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model with the mean for its weights, and with its own ones again afterwards."""
        own = [p.clone() for p in self.parameters]
        self.apply()
        try:
            yield
        finally:
            torch._foreach_copy_(self.parameters, own)

    def apply(self) -> None:
        """Leave the model with the mean for its weights."""
        torch._foreach_copy_(self.parameters, [*self.means.values()])

    def load(self, means: Mapping[str, Tensor]) -> None:
        """Take up saved means. Raises ValueError unless they are those of the same model."""
        if means.keys() != self.means.keys():
            raise ValueError("the running means are of other weights")
        for name, mean in self.means.items():
            mean.copy_(means[name])
