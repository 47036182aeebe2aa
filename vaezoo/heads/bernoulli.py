"""Independent binary values from logits."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Bernoulli as TorchBernoulli
from torch.distributions import Distribution, Independent

from vaezoo.heads.base import Head
from vaezoo.heads.data_checks import check_unit_interval
from vaezoo.options import NoOptions

SMALLEST_MEAN = 1e-3
"""Of a pixel, from 0 and from 1, where training starts."""


class Bernoulli(Head):
    """log p(x|z) = Σ_d x_d log σ(l_d) + (1 - x_d) log σ(-l_d), with logits l.

    For grey x in [0, 1] this is the usual cross-entropy, the expected log-likelihood of the
    image's own binarization, and no density of the grey values.
    """

    discrete = True

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape

    def forward(self, parameters: Tensor) -> Distribution:
        # Validation would refuse grey values, at every level on its own.
        pixels = TorchBernoulli(logits=parameters, validate_args=False)
        return Independent(pixels, len(self.event_shape), validate_args=False)

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean.logit(SMALLEST_MEAN)

    def check(self, x: Tensor) -> None:
        check_unit_interval(x, "a Bernoulli likelihood")

    def supports(self, x: Tensor) -> bool:
        return bool(((x == 0) | (x == 1)).all())


def bernoulli(options: NoOptions, event_shape: tuple[int, ...]) -> Bernoulli:
    """The recipe of the likelihood ``bernoulli``."""
    return Bernoulli(event_shape)
