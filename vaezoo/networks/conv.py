"""Strided convolutions down, transposed ones up, for images of any size."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn

from vaezoo.errors import OptionError
from vaezoo.networks.layers import (
    ACTIVATIONS,
    Activation,
    Direction,
    ReadPatches,
    bias_of_channels,
    group_norm,
    patches,
    positive,
)

SMALLEST = 4  # pixels along the shorter side after the last halving
GROUPS = 8  # of group norm, at most


@dataclass(frozen=True, kw_only=True)
class Conv:
    """Options of the network ``conv``."""

    channels: tuple[int, ...] = (32, 32, 64, 64)
    """Channels of the stages from the data to the code, each of which halves the image. As many
    stages are made as leave at least 4 pixels; the last width repeats if there are more."""
    patch: int = 1
    """Pixels along a side of the patches that a stage before these reads, and one after them
    writes, at once; 1: there is no such stage. It takes the first of the channels, and leaves the
    others a smaller map, which costs less."""
    hidden: tuple[int, ...] = (256,)
    """Widths of the dense layers between the last stage and the code."""
    activation: Activation = "relu"
    """The non-linearity between layers."""
    norm: Literal["none", "group"] = "none"
    """group: group norm after each convolution but the last, before the activation. There is no
    batch norm: with it, an example's ELBO would depend on the others in its batch."""

    def __post_init__(self) -> None:
        positive("channels", self.channels)
        positive("hidden", self.hidden)
        if not self.channels:
            raise ValueError("channels must not be empty")
        if self.patch < 1:
            raise ValueError(f"patch must be at least 1 pixel, not {self.patch}")


class ConvDown(nn.Module):
    """Image -> tensor: convolutions 4x4 of stride 2, then dense layers (Burgess et al. 2018)."""

    def __init__(
        self,
        options: Conv,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        context_dim: int,
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        activation = ACTIVATIONS[options.activation]
        sizes = halvings(patches(input_shape, options.patch))
        patched = options.patch > 1
        channels = [input_shape[0], *stage_channels(options, patched + len(sizes) - 1)]
        stages: list[nn.Module] = []
        for i, (before, after) in enumerate(pairwise(channels)):
            if patched and i == 0:
                stages += [ReadPatches(before, after, options.patch)]
            else:
                stages += [nn.Conv2d(before, after, 4, stride=2, padding=1)]
            stages += act(options, after)
        # A fifth faster on a CPU, and what tensor cores want; the values are the same.
        self.stages = nn.Sequential(*stages).to(memory_format=torch.channels_last)
        widths = [channels[-1] * prod(sizes[-1]) + context_dim, *options.hidden]
        self.dense = dense(widths, prod(output_shape), activation)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.stages(x).flatten(1)
        if context is not None:
            h = torch.cat([h, context], dim=1)
        h = self.dense(h)
        return h.reshape(h.shape[0], *self.output_shape)  # type: ignore[no-any-return]


class ConvUp(nn.Module):
    """Tensor -> image: the mirror of ConvDown.

    Patches are written by a convolution that puts out all pixels of each (Shi et al. 2016).
    """

    def __init__(
        self,
        options: Conv,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        context_dim: int,
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        activation = ACTIVATIONS[options.activation]
        sizes = halvings(patches(output_shape, options.patch))
        patched = options.patch > 1
        channels = [*reversed(stage_channels(options, patched + len(sizes) - 1)), output_shape[0]]
        self.start = (channels[0], *sizes[-1])
        widths = [prod(input_shape) + context_dim, *reversed(options.hidden)]
        self.dense = dense(widths, prod(self.start), activation)
        stages: list[nn.Module] = []
        # Of the channels, the last pair is left over where the patches make it.
        for (before, after), (height, width) in zip(
            pairwise(channels), sizes[-2::-1], strict=not patched
        ):
            # 2n pixels from n, plus one where halving had dropped one.
            odd = (height % 2, width % 2)
            stages += [
                *act(options, before),
                nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, output_padding=odd),
            ]
        if patched:
            pixels = output_shape[0] * options.patch**2
            stages += [*act(options, channels[-2]), nn.Conv2d(channels[-2], pixels, 3, padding=1)]
            stages += [nn.PixelShuffle(options.patch)]
        # A fifth faster on a CPU, and what tensor cores want; the values are the same.
        self.stages = nn.Sequential(*stages).to(memory_format=torch.channels_last)

    one_bias_a_channel = True

    def start_at(self, output: Tensor) -> None:
        """Make it the last convolution's bias: (*output_shape), the same at all pixels."""
        bias_of_channels(self.stages, output)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        h = z.flatten(1)
        if context is not None:
            h = torch.cat([h, context], dim=1)
        h = self.stages(self.dense(h).reshape(h.shape[0], *self.start))
        _, height, width = self.output_shape
        return h[..., :height, :width]  # type: ignore[no-any-return]


def act(options: Conv, channels: int) -> list[nn.Module]:
    """What follows a convolution."""
    norm = [group_norm(channels, GROUPS)] if options.norm == "group" else []
    return [*norm, ACTIVATIONS[options.activation]()]


def dense(widths: list[int], out_features: int, activation: type[nn.Module]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers, nn.Linear(widths[-1], out_features))


def halvings(size: tuple[int, int]) -> list[tuple[int, int]]:
    """(H, W) at the start, then after each stage that halves it: 64, 32, 16, 8, 4."""
    height, width = size
    sizes = [(height, width)]
    while min(sizes[-1]) // 2 >= SMALLEST:
        height, width = height // 2, width // 2
        sizes.append((height, width))
    return sizes


def stage_channels(options: Conv, stages: int) -> tuple[int, ...]:
    channels = options.channels
    return (channels + (channels[-1],) * (stages - len(channels)))[:stages]


def conv(
    options: Conv,
    *,
    input_shape: tuple[int, ...],
    output_shape: tuple[int, ...],
    context_dim: int = 0,
    direction: Direction = "down",
) -> nn.Module:
    """The recipe of the network ``conv``. Raises OptionError for data that are no images."""
    image = input_shape if direction == "down" else output_shape
    if len(image) != 3:
        raise OptionError(
            f"network 'conv' needs images (C, H, W), not data of shape {image}; use network='mlp'"
        )
    network = ConvDown if direction == "down" else ConvUp
    return network(options, input_shape, output_shape, context_dim)
