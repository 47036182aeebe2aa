"""Dense networks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from vaezoo.errors import OptionError
from vaezoo.networks.layers import ACTIVATIONS, Activation, Direction, GatedLinear, positive


@dataclass(frozen=True, kw_only=True)
class MLP:
    """Options of the network ``mlp``."""

    hidden: tuple[int, ...] = (400,)
    """Widths of the hidden layers from the data to the code; a decoder takes them reversed."""
    activation: Activation = "relu"
    """The non-linearity between layers."""
    gated: bool = False
    """Hidden layers h * sigmoid(g), both linear in their input, instead of the activation."""
    norm: Literal["none", "layer"] = "none"
    """layer: layer norm of each hidden layer, before its activation, or after its gate. There is
    no batch norm: with it, an example's ELBO would depend on the others in its batch."""
    dropout: float = 0.0
    """Probability with which a hidden value is zeroed in training."""

    def __post_init__(self) -> None:
        positive("hidden", self.hidden)
        if not 0 <= self.dropout < 1:
            raise OptionError(f"dropout must lie in [0, 1), not {self.dropout}")


class DenseNetwork(nn.Module):
    """Flattens, appends the context, and applies dense layers."""

    def __init__(
        self,
        options: MLP,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        context_dim: int,
        direction: Direction,
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        hidden = options.hidden if direction == "down" else options.hidden[::-1]
        layers: list[nn.Module] = []
        width = prod(input_shape) + context_dim
        for next_width in hidden:
            linear = GatedLinear if options.gated else nn.Linear
            layers.append(linear(width, next_width))
            if options.norm == "layer":
                layers.append(nn.LayerNorm(next_width))
            if not options.gated:
                layers.append(ACTIVATIONS[options.activation]())
            if options.dropout > 0:
                layers.append(nn.Dropout(options.dropout))
            width = next_width
        self.layers = nn.Sequential(*layers, nn.Linear(width, prod(output_shape)))

    @torch.no_grad()
    def start_at(self, output: Tensor) -> None:
        """Make it the last layer's bias: (*output_shape)."""
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        last.bias.copy_(output.flatten())

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = x.flatten(1)
        if context is not None:
            h = torch.cat([h, context], dim=1)
        h = self.layers(h)
        return h.reshape(h.shape[0], *self.output_shape)  # type: ignore[no-any-return]


def mlp(
    options: MLP,
    *,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    context_dim: int = 0,
    direction: Direction = "down",
) -> nn.Module:
    """The recipe of the network ``mlp``."""
    return DenseNetwork(options, input_shape, output_shape, context_dim, direction)
