"""Normalizing flows: bijections of vectors with a log-determinant, and what they make of a normal.

D values of a vector; C values of context, h; P parameters of an elementwise bijection; ``...`` any
leading dimensions. Each transformation starts as the identity, exactly: its network's last layer
is zero.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo.errors import OptionError

LOG_SCALE_BOUND = 3.0
Pushed = tuple[Tensor, Tensor]  # the image (..., D), and log |det| of the Jacobian (...)


class Monotone(ABC):
    """An increasing function of one value, whose parameters a network puts out."""

    size: int
    """P, how many parameters it has; all zero mean the identity."""

    @abstractmethod
    def forward(self, x: Tensor, parameters: Tensor) -> Pushed:
        """x (..., D), parameters (..., D, P) -> y and log dy/dx, both (..., D)."""

    @abstractmethod
    def inverse(self, y: Tensor, parameters: Tensor) -> Pushed:
        """y (..., D) -> x, and log dy/dx there."""


class Affine(Monotone):
    """y = exp(a) x + b, with a bounded softly to ±3, so that a stack of them stays finite."""

    size = 2

    def forward(self, x: Tensor, parameters: Tensor) -> Pushed:
        shift, log_scale = self._split(parameters)
        return x * log_scale.exp() + shift, log_scale

    def inverse(self, y: Tensor, parameters: Tensor) -> Pushed:
        shift, log_scale = self._split(parameters)
        return (y - shift) * (-log_scale).exp(), log_scale

    def _split(self, parameters: Tensor) -> Pushed:
        shift, a = parameters.unbind(-1)
        return shift, LOG_SCALE_BOUND * torch.tanh(a / LOG_SCALE_BOUND)


class MaskedLinear(nn.Linear):
    """A linear layer of which only the weights where mask (out, in) is true take part."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return nn.functional.linear(input, self.weight * self.mask, self.bias)


class MaskedNetwork(nn.Module):
    """Puts out P parameters for each of D values, from the values before it and the context.

    Dense layers with masks (Germain et al. 2015, MADE). Reversed, "before" means after.
    """

    def __init__(
        self, dim: int, context_dim: int, size: int, hidden: int, *, reverse: bool
    ) -> None:
        super().__init__()
        place = torch.arange(dim, 0, -1) if reverse else torch.arange(1, dim + 1)
        within = torch.arange(hidden) % dim  # a hidden unit sees values up to this place
        inputs = torch.cat([place, torch.zeros(context_dim, dtype=place.dtype)])
        last = MaskedLinear((place[:, None] > within).repeat_interleave(size, 0))
        self.layers = nn.Sequential(
            MaskedLinear(within[:, None] >= inputs),
            nn.ELU(),
            MaskedLinear(within[:, None] >= within),
            nn.ELU(),
            zeroed(last),
        )
        self.size = size

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """x (..., D), context (..., C) or None -> (..., D, P)."""
        return self.layers(joined(x, context)).unflatten(-1, (-1, self.size))  # type: ignore[no-any-return]


class Transformation(nn.Module, ABC):
    """A bijection y = T(x; h) of vectors."""

    @abstractmethod
    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        """x (..., D), context (..., C) -> y (..., D), and log |det ∂y/∂x| (...)."""

    @abstractmethod
    def inverse(self, y: Tensor, context: Tensor | None = None) -> Pushed:
        """y (..., D) -> x with T(x; h) = y, and log |det ∂y/∂x| there."""


class Autoregressive(Transformation):
    """y_i = f(x_i; parameters from x_1..x_{i-1} and h): one pass. The inverse takes D passes."""

    def __init__(
        self, dim: int, context_dim: int, monotone: Monotone, hidden: int, *, reverse: bool
    ) -> None:
        super().__init__()
        self.dim = dim
        self.monotone = monotone
        self.network = MaskedNetwork(dim, context_dim, monotone.size, hidden, reverse=reverse)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        y, log_slope = self.monotone.forward(x, self.network(x, context))
        return y, log_slope.sum(-1)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Pushed:
        # Each pass makes one value more right; the last one's parameters are those of x itself.
        x, log_slope = torch.zeros_like(y), y
        for _ in range(self.dim):
            x, log_slope = self.monotone.inverse(y, self.network(x, context))
        return x, log_slope.sum(-1)


class Coupling(Transformation):
    """Every second value goes through f, with parameters from the others and h; those stay.

    Both directions take one pass (Dinh et al. 2017). Raises OptionError for less than two values.
    """

    moved: Tensor
    kept: Tensor
    back: Tensor

    def __init__(
        self, dim: int, context_dim: int, monotone: Monotone, hidden: int, *, reverse: bool
    ) -> None:
        super().__init__()
        if dim < 2:
            raise OptionError(
                "a coupling flow changes some latents by the others, and so needs at least 2: "
                "give a latent_dim of 2 or more"
            )
        order = torch.arange(dim)
        first, second = order[::2], order[1::2]
        moved, kept = (second, first) if reverse else (first, second)
        self.register_buffer("moved", moved, persistent=False)
        self.register_buffer("kept", kept, persistent=False)
        self.register_buffer("back", torch.cat([moved, kept]).argsort(), persistent=False)
        self.monotone = monotone
        self.network = nn.Sequential(
            nn.Linear(len(kept) + context_dim, hidden),
            nn.ELU(),
            nn.Linear(hidden, hidden),
            nn.ELU(),
            zeroed(nn.Linear(hidden, len(moved) * monotone.size)),
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        return self._apply_to(self.monotone.forward, x, context)

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Pushed:
        return self._apply_to(self.monotone.inverse, y, context)

    def _apply_to(
        self, function: Callable[[Tensor, Tensor], Pushed], x: Tensor, context: Tensor | None
    ) -> Pushed:
        kept = x[..., self.kept]
        parameters = self.network(joined(kept, context)).unflatten(-1, (-1, self.monotone.size))
        moved, log_slope = function(x[..., self.moved], parameters)
        kept = kept.expand(*moved.shape[:-1], -1)
        return torch.cat([moved, kept], -1)[..., self.back], log_slope.sum(-1)


class Flow(Transformation):
    """Several transformations, one after the other; every second one goes through the values in
    reverse, or moves the other half."""

    def __init__(
        self,
        kind: type[Autoregressive] | type[Coupling],
        monotone: Monotone,
        *,
        dim: int,
        context_dim: int = 0,
        transforms: int,
        hidden: int,
    ) -> None:
        super().__init__()
        self.steps = nn.ModuleList(
            kind(dim, context_dim, monotone, hidden, reverse=i % 2 == 1) for i in range(transforms)
        )

    def forward(self, x: Tensor, context: Tensor | None = None) -> Pushed:
        log_det = x.new_zeros(())
        for step in self.steps:
            x, more = step(x, context)
            log_det = log_det + more
        return x, log_det

    def inverse(self, y: Tensor, context: Tensor | None = None) -> Pushed:
        log_det = y.new_zeros(())
        for step in reversed(self.steps):
            y, more = step.inverse(y, context)  # type: ignore[operator]
            log_det = log_det + more
        return y, log_det


class Transformed(Distribution):
    """z = T(u), u from base, with log q(z) = log q(u) - log |det ∂z/∂u|.

    push: ``u -> z, log |det ∂z/∂u|``. pull: ``z -> u, log |det ∂z/∂u|``. base: over vectors u.
    It remembers log q of the z that it drew last, which came of the same pass: of any other z, it
    takes ``pull``. torch's TransformedDistribution holds a weak reference for this, which cannot
    be compiled, and has no mean.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own way)
    has_rsample = True

    def __init__(
        self,
        base: Distribution,
        push: Callable[[Tensor], Pushed],
        pull: Callable[[Tensor], Pushed],
        event_shape: tuple[int, ...] | None = None,
    ) -> None:
        event = base.event_shape if event_shape is None else torch.Size(event_shape)
        super().__init__(base.batch_shape, event, validate_args=False)
        self.base = base
        self.push = push
        self.pull = pull
        self._drawn: tuple[Tensor, Tensor, bool] | None = None

    def rsample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """(*sample_shape, *batch_shape, *event_shape), with gradient."""
        u = self.base.rsample(torch.Size(sample_shape))
        z, log_det = self.push(u)
        self._drawn = z, self.base.log_prob(u) - log_det, torch.is_grad_enabled()
        return z

    def log_prob(self, value: Tensor) -> Tensor:
        """log q(z), in nats."""
        if self._drawn is not None:
            z, log_prob, differentiable = self._drawn
            if value is z and (differentiable or not torch.is_grad_enabled()):
                return log_prob
        u, log_det = self.pull(value)
        return self.base.log_prob(u) - log_det

    @property
    def mean(self) -> Tensor:
        """T of the base's mean, which stands for the mean: that has no closed form."""
        return self.push(self.base.mean)[0]


def zeroed(layer: nn.Linear) -> nn.Linear:
    """The layer, with weights and biases at zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def joined(x: Tensor, context: Tensor | None) -> Tensor:
    """(..., D) and (..., C) -> (..., D + C), the leading dimensions broadcast."""
    if context is None:
        return x
    leading = torch.broadcast_shapes(x.shape[:-1], context.shape[:-1])  # type: ignore[no-untyped-call]
    return torch.cat([x.expand(*leading, -1), context.expand(*leading, -1)], -1)
