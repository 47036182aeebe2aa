"""p(z) = N(0, I)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.heads.gaussian import normal
from vaezoo.options import NoOptions
from vaezoo.parts import Prior

if TYPE_CHECKING:
    from vaezoo.assembly import Parts


class StandardNormal(Prior):
    """p(z) = N(0, I), whatever the label."""

    loc: Tensor
    sigma: Tensor

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.register_buffer("loc", torch.zeros(event_shape), persistent=False)
        self.register_buffer("sigma", torch.ones(event_shape), persistent=False)

    def forward(self, y: Tensor | None = None) -> Distribution:
        return normal(self.loc, self.sigma, len(self.event_shape))


def standard_normal(options: NoOptions, parts: Parts) -> StandardNormal:
    """The recipe of the prior ``standard-normal``."""
    return StandardNormal(parts.latent_shape)
