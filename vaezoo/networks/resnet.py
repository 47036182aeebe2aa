"""Residual blocks with group norm, for images of any size, with flat or spatial codes.

B batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vaezoo.errors import OptionError
from vaezoo.networks.layers import (
    ACTIVATIONS,
    Activation,
    Direction,
    ReadPatches,
    bias_of_channels,
    group_norm,
    patches,
)

SMALLEST = 4  # pixels along the shorter side before the dense layer of a flat code
FEWEST = 4  # channels: a group norm over fewer values leaves too little of them
MOST_BLOCKS, MOST_GROUPS = 64, 256  # a damaged config shall not keep anybody waiting

Shape = tuple[int, ...]
Size = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class ResNet:
    """Options of the network ``resnet``."""

    channels: tuple[int, ...] = (32, 64, 128, 128)
    """Channels at each resolution, from the image's own to the code's, each of half the size of
    the one before. A spatial code says how many resolutions there are; for a flat one, as many as
    leave at least 4 pixels. The last width repeats if there are more."""
    blocks: int = 1
    """Residual blocks at each resolution, each of two convolutions."""
    groups: int = 8
    """Groups of group norm, at most: there are as many as divide the channels into equal groups
    of at least 4."""
    activation: Activation = "silu"
    """The non-linearity within the blocks."""
    patch: int = 1
    """Pixels along a side of the patches that the first layer reads, and the last one writes, at
    once: the first resolution is then that of the patches, which costs less."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < FEWEST:
            raise OptionError(
                f"channels must hold at least one width, each at least {FEWEST}, not "
                f"{self.channels}"
            )
        if not 1 <= self.blocks <= MOST_BLOCKS:
            raise OptionError(f"blocks must lie in 1..{MOST_BLOCKS}, not {self.blocks}")
        if not 1 <= self.groups <= MOST_GROUPS:
            raise OptionError(f"groups must lie in 1..{MOST_GROUPS}, not {self.groups}")
        if self.patch < 1:
            raise OptionError(f"patch must be at least 1 pixel, not {self.patch}")

    def widths(self, resolutions: int) -> list[int]:
        """The channels at each of so many resolutions."""
        last = self.channels[-1]
        return [*self.channels, *[last] * (resolutions - len(self.channels))][:resolutions]


class ResidualBlock(nn.Module):
    """x + f(x), with normalisation and activation before each convolution (He et al. 2016b).

    The last convolution starts at zero, so that every block starts as the identity: signal and
    gradient keep their size however many there are (Zhang et al. 2019, Fixup).
    """

    def __init__(self, channels: int, groups: int, activation: type[nn.Module]) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.layers = nn.Sequential(
            group_norm(channels, groups),
            activation(),
            nn.Conv2d(channels, channels, 3, padding=1),
            group_norm(channels, groups),
            activation(),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Nearest neighbours, then a convolution: no checkerboards (Odena et al. 2016)."""

    def __init__(self, before: int, after: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.conv = nn.Conv2d(before, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(interpolate(x, size=self.size, mode="nearest"))  # type: ignore[no-any-return]


class Biased(nn.Module):
    """A layer whose output (B, C, H, W) gets the context, projected to a bias of each channel.

    It comes first, so that all blocks see the context.
    """

    def __init__(self, layer: nn.Module, channels: int, context_dim: int) -> None:
        super().__init__()
        self.layer = layer
        self.bias = nn.Linear(context_dim, channels) if context_dim else None

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h: Tensor = self.layer(x)
        if self.bias is None or context is None:
            return h
        return h + self.bias(context)[:, :, None, None]  # type: ignore[no-any-return]


class ResNetDown(nn.Module):
    """Image -> flat or spatial code."""

    def __init__(
        self, options: ResNet, input_shape: Shape, output_shape: Shape, context_dim: int
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        sizes = resolutions(patches(input_shape, options.patch), output_shape)
        widths = options.widths(len(sizes))
        stem = (
            ReadPatches(input_shape[0], widths[0], options.patch)
            if options.patch > 1
            else nn.Conv2d(input_shape[0], widths[0], 3, padding=1)
        )
        self.start = Biased(stem, widths[0], context_dim)
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            if i > 0:
                stages.append(nn.Conv2d(widths[i - 1], width, 3, stride=2, padding=1))
            stages += residual_blocks(options, width)
        self.stages = nn.Sequential(*stages, *last_norm(options, widths[-1]))
        self.end: nn.Module
        if len(output_shape) == 3:
            self.end = nn.Conv2d(widths[-1], output_shape[0], 3, padding=1)
        else:
            features = widths[-1] * prod(sizes[-1])
            self.end = nn.Sequential(nn.Flatten(), nn.Linear(features, prod(output_shape)))
        # What tensor cores want; the values are the same.
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        h = self.end(self.stages(self.start(x, context)))
        return h.reshape(h.shape[0], *self.output_shape)  # type: ignore[no-any-return]


class ResNetUp(nn.Module):
    """Flat or spatial code -> image: the mirror of ResNetDown."""

    def __init__(
        self, options: ResNet, input_shape: Shape, output_shape: Shape, context_dim: int
    ) -> None:
        super().__init__()
        self.output_shape = output_shape
        sizes = resolutions(patches(output_shape, options.patch), input_shape)[::-1]
        widths = options.widths(len(sizes))[::-1]
        start: nn.Module
        if len(input_shape) == 3:
            start = nn.Conv2d(input_shape[0], widths[0], 3, padding=1)
        else:
            first = (widths[0], *sizes[0])
            dense = nn.Linear(prod(input_shape), prod(first))
            start = nn.Sequential(nn.Flatten(), dense, nn.Unflatten(1, first))
        self.start = Biased(start, widths[0], context_dim)
        stages: list[nn.Module] = []
        for i, width in enumerate(widths):
            if i > 0:
                stages.append(Upsample(widths[i - 1], width, sizes[i]))
            stages += residual_blocks(options, width)
        self.stages = nn.Sequential(*stages, *last_norm(options, widths[-1]))
        pixels = output_shape[0] * options.patch**2
        last = nn.Conv2d(widths[-1], pixels, 3, padding=1)
        self.end: nn.Module = last
        if options.patch > 1:  # a convolution that puts out all pixels of each (Shi et al. 2016)
            self.end = nn.Sequential(last, nn.PixelShuffle(options.patch))
        self.to(memory_format=torch.channels_last)

    one_bias_a_channel = True

    def start_at(self, output: Tensor) -> None:
        """Make it the last convolution's bias: (*output_shape), the same at all pixels."""
        bias_of_channels(self.end, output)

    def forward(self, z: Tensor, context: Tensor | None = None) -> Tensor:
        _, height, width = self.output_shape
        x: Tensor = self.end(self.stages(self.start(z, context)))
        return x[..., :height, :width]


def residual_blocks(options: ResNet, width: int) -> list[nn.Module]:
    activation = ACTIVATIONS[options.activation]
    return [ResidualBlock(width, options.groups, activation) for _ in range(options.blocks)]


def last_norm(options: ResNet, width: int) -> list[nn.Module]:
    """What pre-activation blocks leave to do at the end."""
    return [group_norm(width, options.groups), ACTIVATIONS[options.activation]()]


def resolutions(first: Size, code_shape: Shape) -> list[Size]:
    """(H, W) at each resolution, from the first, of the pixels or patches, to the code's: 28, 14,
    7, 4.

    Raises OptionError for a spatial code of a size to which halving does not lead.
    """
    sizes = [first]
    if len(code_shape) != 3:
        while min(halved(sizes[-1])) >= SMALLEST:
            sizes.append(halved(sizes[-1]))
        return sizes
    while sizes[-1] != (1, 1):
        sizes.append(halved(sizes[-1]))
    size = (code_shape[1], code_shape[2])
    if size not in sizes:
        possible = ", ".join(f"{height}x{width}" for height, width in sizes)
        raise OptionError(
            f"a spatial code of {size[0]}x{size[1]} cannot be reached by network 'resnet', which "
            f"halves these images from {first[0]}x{first[1]} on: choose a latent_shape (channels, "
            f"height, width) of one of the sizes {possible}, or network='conv' or 'mlp', which "
            f"take any"
        )
    return sizes[: sizes.index(size) + 1]


def halved(size: Size) -> Size:
    """What a convolution of stride 2 makes of it: half, rounded up."""
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def resnet(
    options: ResNet,
    *,
    input_shape: Shape,
    output_shape: Shape,
    context_dim: int = 0,
    direction: Direction = "down",
) -> nn.Module:
    """The recipe of the network ``resnet``. A code of three dimensions (C, H, W) stays spatial.

    Raises OptionError for data that are no images, and for a spatial code of an impossible size.
    """
    image = input_shape if direction == "down" else output_shape
    if len(image) != 3:
        raise OptionError(
            f"network 'resnet' needs images (C, H, W), not data of shape {image}; "
            f"use network='mlp'"
        )
    network = ResNetDown if direction == "down" else ResNetUp
    return network(options, input_shape, output_shape, context_dim)
