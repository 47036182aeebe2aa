"""What a VAE is put together from: q(z|x,y), p(x|z,y) and p(z|y).

B batch, K importance samples; ``...`` any leading dimensions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.utils.checkpoint import checkpoint

from vaezoo.errors import DataError
from vaezoo.heads import Head

if TYPE_CHECKING:
    from vaezoo.batch import Batch

GREY_EXAMPLES = 2

M = TypeVar("M", bound=nn.Module)


class Encoder(nn.Module, ABC):
    """The approximate posterior q(z|x,y)."""

    num_classes: int | None = None
    """How many labels it is conditioned on; None: it ignores y."""

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        """x (B, *input_shape), y (B,) -> q with batch shape (B,)."""


class Decoder(nn.Module, ABC):
    """The likelihood p(x|z,y)."""

    num_classes: int | None = None
    """How many labels it is conditioned on; None: it ignores y."""

    @abstractmethod
    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        """z (..., *latent_shape), y (B,) matching z's last leading dimension -> p(x|z,y)."""

    def prepare(self, batch: Batch) -> None:
        """Once, eagerly, before the first training step. Default: nothing."""

    def observe(self, px: Distribution, x: Tensor) -> dict[str, Tensor]:
        """What ``after_step`` must know of this training batch, detached. Default: nothing."""
        return {}

    def after_step(self, state: dict[str, Tensor]) -> None:
        """Once after each training step, with what ``observe`` returned. Default: nothing."""


class Prior(nn.Module, ABC):
    """The prior p(z|y)."""

    num_classes: int | None = None
    """How many labels it is conditioned on; None: it ignores y."""
    event_shape: tuple[int, ...]
    """The shape of one z."""

    @abstractmethod
    def forward(self, y: Tensor | None = None) -> Distribution:
        """y (B,) or None -> p(z|y) with batch shape (), or (B,) if it depends on y."""

    def attach(self, encoder: nn.Module) -> None:
        """Told once, as a model is made, of the model's encoder. Default: has no use for it.

        A prior that has holds it as ``Borrowed``, and raises OptionError for one that cannot be.
        """

    def prepare(self, batch: Batch) -> None:
        """Once, eagerly, before the first training step. Default: nothing."""


class Folded(nn.Module):
    """Runs a network, which sees exactly one batch dimension, over any leading dimensions.

    Mixed precision surrounds the network here and nothing else: what comes out has the
    precision of what went in.
    """

    def __init__(self, network: nn.Module, *, event_ndim: int) -> None:
        super().__init__()
        self.inner = network
        self.event_ndim = event_ndim
        self.autocast: torch.dtype | None = None
        self.recompute = False  # for the gradient, what lies within the network

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """x (..., *event), context (B, context_dim) -> (..., *output)."""
        leading = x.shape[: x.ndim - self.event_ndim]
        flat = x.reshape(-1, *x.shape[x.ndim - self.event_ndim :])
        inputs = [flat]
        if context is not None:
            context = context.to(x.dtype).expand(*leading, context.shape[-1])
            inputs.append(context.reshape(-1, context.shape[-1]))
        if self.autocast is None:
            output = self._run(inputs)
        else:
            with torch.autocast(x.device.type, dtype=self.autocast):
                output = self._run(inputs)
        return output.to(x.dtype).reshape(*leading, *output.shape[1:])

    def _run(self, inputs: list[Tensor]) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(self.inner, *inputs, use_reentrant=False)  # type: ignore[no-any-return]
        return self.inner(*inputs)  # type: ignore[no-any-return]


class NetworkEncoder(Encoder):
    """q(z|x,y) = head(network(features(x), one_hot(y))).

    x may have any leading dimensions, as a z (K, B, ...) has: it serves between latents, too.
    features: how the network sees x, as the likelihood's head says; by default, as it is.
    """

    def __init__(
        self,
        network: nn.Module,
        head: Head,
        *,
        num_classes: int | None = None,
        features: Callable[[Tensor], Tensor] = Head.features,
    ) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.num_classes = num_classes
        self.features = features

    def forward(self, x: Tensor, y: Tensor | None = None) -> Distribution:
        context = one_hot(y, self.num_classes, "the encoder")
        return self.head(self.network(self.features(x), *context))  # type: ignore[no-any-return]


class NetworkDecoder(Decoder):
    """p(x|z,y) = head(network(z, one_hot(y)))."""

    def __init__(self, network: nn.Module, head: Head, *, num_classes: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.num_classes = num_classes

    def forward(self, z: Tensor, y: Tensor | None = None) -> Distribution:
        return self.head(self.network(z, *one_hot(y, self.num_classes, "the decoder")))  # type: ignore[no-any-return]

    def prepare(self, batch: Batch) -> None:
        """Let the output start at the mean of the data, whatever z, as Burda et al. 2016 do.

        Where it starts at a grey of 1/2 instead, the first thing that a code learns is to say how
        dark the images are: some steps are lost, and discrete codes may stay what they are then.

        A network takes part that has ``start_at``, and a likelihood that has ``parameters_of``.
        """
        inner = getattr(self.network, "inner", None)
        start_at = getattr(inner, "start_at", None)
        if start_at is None:
            return
        each_pixel = not getattr(inner, "one_bias_a_channel", False)
        output = self.head.parameters_of(mean_of(batch.x, each_pixel=each_pixel))
        if output is not None:
            start_at(output)

    def observe(self, px: Distribution, x: Tensor) -> dict[str, Tensor]:
        return self.head.observe(px, x)

    def after_step(self, state: dict[str, Tensor]) -> None:
        self.head.after_step(state)


def mean_of(x: Tensor, *, each_pixel: bool) -> Tensor:
    """The mean example of a batch (B, C, ...): (C, ...), the same at all pixels if so asked.

    That of each pixel counts ``GREY_EXAMPLES`` more, all of them of the mean at all pixels: a
    batch is small, and a pixel that is black in it is not black in all of the data.
    """
    places = [0, *range(2, x.ndim)]
    of_channels = x.mean(places, keepdim=True)[0]  # (C, 1, ...)
    if not each_pixel:
        return of_channels.expand(x.shape[1:])
    return (x.sum(0) + GREY_EXAMPLES * of_channels) / (len(x) + GREY_EXAMPLES)


def one_hot(y: Tensor | None, num_classes: int | None, owner: str) -> tuple[Tensor, ...]:
    """The context that labels give a network: () without labels, else ((B, num_classes),).

    The row of an unlabelled example (y = -1) is zero. Raises DataError when labels are missing.
    """
    if num_classes is None:
        return ()
    if y is None:
        raise DataError(
            f"{owner} is conditioned on labels: pass y, int64 in 0..{num_classes - 1}, "
            f"one for each example"
        )
    classes = torch.arange(num_classes, device=y.device)
    return ((y.unsqueeze(-1) == classes).float(),)


class Borrowed(Generic[M]):
    """A module that another part owns: saved and moved there, only used here.

    Assigning a module to two parents would register, and save, it twice; a Borrowed one is not
    registered.
    """

    def __init__(self, module: M) -> None:
        self.module = module
