"""Networks of the user's own, which map tensors to tensors and know nothing of vaezoo."""

from __future__ import annotations

import inspect
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from vaezoo.errors import OptionError
from vaezoo.inference import evaluating, forked_generators

TRIAL = 2  # examples in the trial run


def wrap(network: nn.Module, *, features: int | None = None) -> Wrapped:
    """A network of one's own for ``create(..., encoder=..., decoder=...)``.

    network: a module that maps a batch of tensors to a batch of tensors. An encoder's maps x
    (B, *input_shape) to means and log σ, one after the other: (B, 2 * latent_dim), or
    (B, 2 * C, h, w) for latent_shape=(C, h, w). A decoder's maps z (B, *latent_shape) to what
    the likelihood takes: for bernoulli the logits and for gaussian the means, (B, *input_shape).
    What is right but for being flat, is reshaped. A module whose ``forward`` takes a second
    argument gets the labels of a conditional variant there, one-hot: (B, num_classes).

    features: how many numbers the network puts out for an example, where they are features of
    another width; a linear layer is put behind it.

    Raises OptionError for what is no module, or for features that are not positive.
    """
    if not isinstance(network, nn.Module):
        raise OptionError(f"wrap takes a torch.nn.Module, not {type(network).__name__}")
    if isinstance(network, Wrapped):
        raise OptionError("this network is wrapped already")
    if features is not None and features < 1:
        raise OptionError(f"features must be positive, not {features}")
    return Wrapped(network, features)


class Wrapped(nn.Module):
    """What ``wrap`` returns, of which ``create`` makes an encoder or a decoder."""

    def __init__(self, network: nn.Module, features: int | None) -> None:
        super().__init__()
        self.network = network
        self.features = features

    def forward(self, *inputs: Any) -> Tensor:
        raise OptionError(
            "a wrapped network is for vaezoo.create(..., encoder=...) or decoder=...; for "
            "vaezoo.VAE, put it together as vaezoo.NetworkEncoder(vaezoo.Folded(network, "
            "event_ndim=...), head)"
        )

    def takes_labels(self) -> bool:
        """Whether ``forward`` takes a second argument."""
        return takes(self.network, 2)

    def fitted(
        self, slot: str, input_shape: tuple[int, ...], output_shape: tuple[int, ...], classes: int
    ) -> Fitted:
        """The network, tried out, as a part that maps these shapes; classes 0: without labels.

        slot: "encoder" or "decoder". Raises OptionError where the network fails, or returns
        another shape.
        """
        who = f"{slot}=wrap({type(self.network).__name__})"
        if not classes and not takes(self.network, 1):
            raise OptionError(
                f"{who} must take one tensor; a second one is for the labels of a conditional "
                f"variant, such as cvae"
            )
        output = self._try(who, input_shape, classes)
        if isinstance(output, Distribution):
            raise OptionError(f"{who} returns a distribution: pass {slot}=network, without wrap")
        if isinstance(output, tuple | list):
            raise OptionError(
                f"{who} returns a {type(output).__name__} and not one tensor; of a mean and a log "
                f"variance, return torch.cat([mean, log_variance / 2], dim=1)"
            )
        if not isinstance(output, Tensor) or output.shape[:1] != (TRIAL,):
            found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
            raise OptionError(f"{who} returns {found} for {TRIAL} examples: no batch of tensors")
        found, width = tuple(output.shape[1:]), prod(output.shape[1:])
        if self.features is not None:
            if width != self.features:
                raise OptionError(f"{who} returns {_batch(found)}: say features={width}")
        elif found not in (output_shape, (prod(output_shape),)):
            takers = {"encoder": "means and log σ of the code", "decoder": "the likelihood"}
            raise OptionError(
                f"{who} returns {_batch(found)} for {_batch(input_shape)}, but for {takers[slot]} "
                f"it must return {_batch(output_shape)}: change its last layer, or pass "
                f"wrap(network, features={width}), which puts a linear layer behind it"
            )
        return Fitted(self.network, self.features, output_shape)

    def _try(self, who: str, input_shape: tuple[int, ...], classes: int) -> object:
        """What it returns for a few zeros, in eval mode; lazy layers learn their widths."""
        floating = (p for p in self.network.parameters() if p.is_floating_point())
        like = next(floating, torch.zeros(()))
        shapes = [(TRIAL, *input_shape), (TRIAL, classes)][: 2 if classes else 1]
        inputs = [torch.zeros(shape, device=like.device, dtype=like.dtype) for shape in shapes]
        try:
            with evaluating(self.network), forked_generators(like.device):
                return self.network(*inputs)
        except Exception as error:  # whatever a module of the user's own raises
            reason = " ".join(str(error).split())[:300]
            raise OptionError(
                f"{who} fails on {' and '.join(map(_batch, (s[1:] for s in shapes)))} "
                f"({type(error).__name__}: {reason})"
            ) from error


class Fitted(nn.Module):
    """A network of the user's own, whose output gets the shape that a head takes."""

    def __init__(
        self, network: nn.Module, features: int | None, output_shape: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.inner = network
        self.output_shape = output_shape
        self.last = None if features is None else nn.Linear(features, prod(output_shape))

    def forward(self, *inputs: Tensor) -> Tensor:
        h: Tensor = self.inner(*inputs)
        if self.last is not None:
            h = self.last(h.flatten(1))
        return h.reshape(h.shape[0], *self.output_shape)


def takes(module: nn.Module, count: int) -> bool:
    """Whether ``forward`` can be called with so many tensors; assumed, where it cannot be seen."""
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _batch(shape: tuple[int, ...]) -> str:
    return f"(B, {', '.join(map(str, shape))})"
