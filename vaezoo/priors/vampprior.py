"""p(z): the mean of the encoder's posteriors at learned pseudo-inputs.

Tomczak & Welling 2018, VAE with a VampPrior, arXiv:1705.07120. K components here, not importance
samples.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo.errors import OptionError
from vaezoo.parts import Borrowed, Prior
from vaezoo.priors.mixture import in_pieces

if TYPE_CHECKING:
    from vaezoo.assembly import Parts
    from vaezoo.batch import Batch


@dataclass(frozen=True, kw_only=True)
class VampOptions:
    """Options of the prior ``vampprior``."""

    components: int = 500
    """K, how many pseudo-inputs. Each training step encodes them all."""
    start: Literal["data", "noise"] = "data"
    """data: training examples of the first batch, and mixtures of two of them where there are
    fewer than components. noise: uniform over the range of that batch."""

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ValueError(f"components must be positive, not {self.components}")


class PosteriorMixture(Distribution):
    """1/K Σ_k q(z|u_k). encode: ``(n, *input) -> q(z|u)``, batch shape (n,). inputs: all u.

    There is no reparameterised sample, since the choice of a component has no gradient.
    """

    arg_constraints = {}  # noqa: RUF012  (torch's own way)
    has_rsample = False

    def __init__(self, encode: Callable[[Tensor], Distribution], inputs: Tensor) -> None:
        self.each = encode(inputs)
        self._encode = encode
        self._inputs = inputs
        super().__init__(event_shape=self.each.event_shape, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        """log 1/K Σ_k q(z|u_k) of z (..., *event), in nats."""

        def density(z: Tensor) -> Tensor:
            each: Tensor = self.each.log_prob(z.unsqueeze(-1 - event))
            return each.logsumexp(-1) - math.log(len(self._inputs))

        event = len(self.event_shape)
        return in_pieces(density, value, event, len(self._inputs))

    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """The components first, then z from these alone: (*sample_shape, *event)."""
        with torch.no_grad():
            n, total = math.prod(sample_shape), len(self._inputs)
            k = torch.randint(total, (n,), device=self._inputs.device)
            z = self._encode(self._inputs[k]).sample()
        return z.reshape(*sample_shape, *self.event_shape)

    @property
    def mean(self) -> Tensor:
        """1/K Σ_k of the components' means: (*event)."""
        return self.each.mean.mean(0)


class VampPrior(Prior):
    """p(z) = 1/K Σ_k q(z|u_k), with learned u_k and the encoder that the model has (eq. 9).

    The encoder is borrowed: the model, which hands it over by ``attach``, owns and saves it.

    The u_k stay in the range of the data by a clamp (the paper's hardtanh). That range, (0, 1)
    unless ``prepare`` sees other data, is saved.
    """

    low: Tensor
    high: Tensor

    def __init__(
        self,
        event_shape: tuple[int, ...],
        input_shape: tuple[int, ...],
        components: int = 500,
        *,
        start: Literal["data", "noise"] = "data",
    ) -> None:
        super().__init__()
        self.event_shape = event_shape
        self.start = start
        self.inputs = nn.Parameter(torch.rand(components, *input_shape))
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.ones(()))
        self._encoder: Borrowed[nn.Module] | None = None

    def attach(self, encoder: nn.Module) -> None:
        """Raises OptionError for an encoder that is conditioned on labels."""
        if getattr(encoder, "num_classes", None) is not None:
            raise OptionError(
                "the prior 'vampprior' is made of q(z|u) at inputs u without a label, and the "
                "encoder of this model is conditioned on labels: take another prior, such as "
                "'mixture' or 'class-normal'"
            )
        self._encoder = Borrowed(encoder)

    @property
    def pseudo_inputs(self) -> Tensor:
        """The u_k, within the range of the data: (K, *input_shape)."""
        return self.inputs.clamp(self.low, self.high)

    def prepare(self, batch: Batch) -> None:
        x = batch.x.to(self.inputs)
        with torch.no_grad():
            self.low.copy_(x.min())
            self.high.copy_(x.max())
            if self.start == "noise":
                self.inputs.mul_(self.high - self.low).add_(self.low)
                return
            n = len(self.inputs)
            every = torch.randperm(len(x), device=x.device).repeat(-(-n // len(x)))[:n]
            step = torch.randint(1, max(len(x), 2), (n,), device=x.device)
            other = (every + step) % len(x)  # another one: equal components would stay equal
            share = torch.rand(n, *[1] * (x.ndim - 1)).to(x)
            share[: len(x)] = 1
            self.inputs.copy_(share * x[every] + (1 - share) * x[other])

    def forward(self, y: Tensor | None = None) -> Distribution:
        return PosteriorMixture(self._posterior, self.pseudo_inputs)

    def _posterior(self, inputs: Tensor) -> Distribution:
        """q(z|u): batch shape (n,)."""
        if self._encoder is None:
            raise OptionError(
                "the prior 'vampprior' is made of a model's encoder: give it to a vaezoo.VAE, or "
                "call its attach(encoder)"
            )
        q = self._encoder.module(inputs, None)
        found = (q.batch_shape, q.event_shape) if isinstance(q, Distribution) else None
        if found != (inputs.shape[:1], torch.Size(self.event_shape)):
            raise OptionError(
                f"the prior 'vampprior' is a mixture of q(z|u) over z of shape "
                f"{self.event_shape}, which the encoder of this model does not make: it is for "
                f"models of one group of latents; take another prior, such as 'mixture'"
            )
        return q  # type: ignore[no-any-return]


def vampprior(options: VampOptions, parts: Parts) -> VampPrior:
    """The recipe of the prior ``vampprior``."""
    return VampPrior(
        parts.latent_shape, parts.input_shape, options.components, start=options.start
    )
