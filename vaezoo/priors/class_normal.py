"""p(z|y): a learned factorised normal for each class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo.errors import DataError
from vaezoo.heads.gaussian import bounded, normal
from vaezoo.options import NoOptions
from vaezoo.parts import Prior

if TYPE_CHECKING:
    from vaezoo.assembly import Parts


class ClassNormal(Prior):
    """p(z|y) = N(μ_y, diag σ_y²), which starts at N(0, I) for every class."""

    def __init__(self, event_shape: tuple[int, ...], num_classes: int) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.num_classes = num_classes
        self.loc = nn.Parameter(torch.zeros(num_classes, *event_shape))
        self.log_sigma = nn.Parameter(torch.zeros(num_classes, *event_shape))

    def forward(self, y: Tensor | None = None) -> Distribution:
        if y is None:
            raise DataError("the prior p(z|y) needs labels: pass y")
        sigma = bounded(self.log_sigma[y]).exp()
        return normal(self.loc[y], sigma, len(self.event_shape))


def class_normal(options: NoOptions, parts: Parts) -> ClassNormal:
    """The recipe of the prior ``class-normal``."""
    return ClassNormal(parts.latent_shape, parts.num_classes)
