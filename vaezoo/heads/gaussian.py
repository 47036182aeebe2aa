"""Independent normal values, with sigma fixed, learned, predicted or optimal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent, Normal

from vaezoo.heads.base import Head

LOG_SIGMA_BOUND = 10.0
SMALLEST_VARIANCE = 1e-8


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Options of the likelihood ``gaussian``."""

    sigma: Literal["fixed", "learned", "elementwise", "predicted", "optimal"] = "learned"
    """fixed: `value`. learned: one parameter, starting at `value`. elementwise: such a parameter
    for each value of x. predicted: by the network, for each value of each x. optimal: the
    maximum-likelihood sigma of each training batch, of which a running mean serves afterwards
    (Rybkin et al. 2021)."""
    value: float = 1.0
    """Standard deviation, in the data's own unit, to fix or to start from."""

    def __post_init__(self) -> None:
        checked_scale("value, a standard deviation,", self.value)


class SharedSigma(Head):
    """N(x; μ, σ²) with the same σ for all x: one for all values of x, or (elementwise) for each.

    Fixed, or a learned parameter.
    """

    def __init__(
        self,
        event_shape: tuple[int, ...],
        sigma: float,
        *,
        learned: bool,
        elementwise: bool = False,
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape
        log_sigma = torch.full(event_shape if elementwise else (), sigma).log()
        if learned:
            self.log_sigma = nn.Parameter(log_sigma)
        else:
            self.register_buffer("log_sigma", log_sigma)

    log_sigma: Tensor

    def forward(self, parameters: Tensor) -> Distribution:
        # Bounded by a clamp, which leaves the sigma that was asked for as it is.
        sigma = self.log_sigma.clamp(-LOG_SIGMA_BOUND, LOG_SIGMA_BOUND).exp()
        return normal(parameters, sigma, len(self.event_shape))

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean


class PredictedSigma(Head):
    """N(x; μ, σ²) with μ and log σ both from the network. Also the usual q(z|x)."""

    def __init__(self, event_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = (2 * event_shape[0], *event_shape[1:])

    def forward(self, parameters: Tensor) -> Distribution:
        mean, log_sigma = parameters.chunk(2, dim=-len(self.event_shape))
        return normal(mean, bounded(log_sigma).exp(), len(self.event_shape))

    def parameters_of(self, mean: Tensor) -> Tensor:
        return torch.cat([mean, torch.zeros_like(mean)])


class OptimalSigma(Head):
    """N(x; μ, σ*²) with σ*² = mean (x - μ)² over the batch (Rybkin et al. 2021, eq. 5).

    That is the best shared σ for the batch at hand, so it is used in training mode only, and
    couples the batch. In eval mode σ² is a running mean over training, a number like any other,
    so that the density is normalised.
    """

    DECAY = 0.99

    def __init__(self, event_shape: tuple[int, ...], sigma: float) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.input_shape = event_shape
        self.register_buffer("variance", torch.tensor(sigma).square())
        self.register_buffer("steps", torch.zeros(()))

    variance: Tensor
    steps: Tensor

    def forward(self, parameters: Tensor) -> Distribution:
        if self.training:
            values: Distribution = BatchOptimalNormal(parameters)
            return Independent(values, len(self.event_shape), validate_args=False)
        variance = self.variance.clamp(min=SMALLEST_VARIANCE)
        return normal(parameters, variance.sqrt(), len(self.event_shape))

    def parameters_of(self, mean: Tensor) -> Tensor:
        return mean

    def observe(self, px: Distribution, x: Tensor) -> dict[str, Tensor]:
        return {"squared_error": (x - px.mean).square().mean().detach()}

    def after_step(self, state: dict[str, Tensor]) -> None:
        # A plain mean at first, then exponential: no bias from the starting value.
        keep = (self.steps / (self.steps + 1)).clamp(max=self.DECAY)
        self.variance.copy_(keep * self.variance + (1 - keep) * state["squared_error"])
        self.steps += 1


class BatchOptimalNormal(Normal):
    """A Normal that takes as σ the maximum-likelihood one of the values that it scores."""

    def __init__(self, loc: Tensor) -> None:
        super().__init__(loc, torch.ones_like(loc), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        variance = (value - self.loc).square().mean().clamp(min=SMALLEST_VARIANCE)
        return normal_log_prob(value, self.loc, variance)


def normal_log_prob(value: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """-½ [(x - μ)²/σ² + log σ² + log 2π], elementwise."""
    log_two_pi = 1.8378770664093453
    return -0.5 * ((value - mean).square() / variance + variance.log() + log_two_pi)


def normal(mean: Tensor, sigma: Tensor, event_ndim: int) -> Distribution:
    """A factorised normal over the last ``event_ndim`` dimensions, validation off throughout."""
    values = Normal(mean, sigma, validate_args=False)
    return Independent(values, event_ndim, validate_args=False)


def checked_scale(what: str, value: float) -> None:
    """Raise ValueError for a scale that is not positive, or so extreme that it is a mistake."""
    if not 1e-4 <= value <= 1e4:
        raise ValueError(f"{what} must lie in [1e-4, 1e4], not {value}")


def bounded(log_sigma: Tensor) -> Tensor:
    """Keeps log σ within ±10 (float32-safe when squared) with a gradient that never vanishes."""
    return LOG_SIGMA_BOUND * torch.tanh(log_sigma / LOG_SIGMA_BOUND)


def gaussian(options: Gaussian, event_shape: tuple[int, ...]) -> Head:
    """The recipe of the likelihood ``gaussian``."""
    if options.sigma == "predicted":
        return PredictedSigma(event_shape)
    if options.sigma == "optimal":
        return OptimalSigma(event_shape, options.value)
    elementwise = options.sigma == "elementwise"
    learned = elementwise or options.sigma == "learned"
    return SharedSigma(event_shape, options.value, learned=learned, elementwise=elementwise)
