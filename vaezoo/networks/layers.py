"""What several networks are built from."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vaezoo.errors import OptionError

Direction = Literal["down", "up"]
"""down: from the data to the code. up: from the code to the data."""

Activation = Literal["relu", "leaky-relu", "elu", "gelu", "silu", "softplus", "tanh"]

ACTIVATIONS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class GatedLinear(nn.Module):
    """h * sigmoid(g), with h and g linear in the input (Dauphin et al. 2017, eq. 1)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, 2 * out_features)

    def forward(self, x: Tensor) -> Tensor:
        h, gate = self.linear(x).chunk(2, dim=-1)
        return h * gate.sigmoid()  # type: ignore[no-any-return]


class ReadPatches(nn.Conv2d):
    """Image -> map of its patches: a convolution of their size and stride (Dosovitskiy et al.
    2021). The last patches may reach beyond the image: zeros there."""

    def __init__(self, in_channels: int, out_channels: int, patch: int) -> None:
        super().__init__(in_channels, out_channels, patch, stride=patch)
        self.patch = patch

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if height % self.patch or width % self.patch:
            x = functional.pad(x, (0, -width % self.patch, 0, -height % self.patch))
        return super().forward(x)


def patches(image_shape: tuple[int, ...], patch: int) -> tuple[int, int]:
    """How many patches lie along the height and the width, the last ones perhaps in part."""
    _, height, width = image_shape
    return -(-height // patch), -(-width // patch)


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group norm (Wu & He 2018), which sees one example at a time, unlike batch norm.

    There are at most ``groups`` groups, of equal size and at least 4 channels: of a few channels,
    at one pixel, normalisation would leave little.
    """
    most = max(1, min(groups, channels // 4))
    divisor = next(n for n in range(most, 0, -1) if channels % n == 0)
    return nn.GroupNorm(divisor, channels)


@torch.no_grad()
def bias_of_channels(layers: nn.Module, output: Tensor) -> None:
    """Make ``output`` (C, H, W), the same at all pixels, the bias of the last convolution.

    One that writes patches has as many outputs a channel as a patch has pixels.
    """
    kinds = (nn.Conv2d, nn.ConvTranspose2d)
    last = [layer for layer in layers.modules() if isinstance(layer, kinds)][-1]
    assert last.bias is not None
    last.bias.copy_(output[:, 0, 0].repeat_interleave(last.out_channels // len(output)))


def positive(name: str, widths: tuple[int, ...]) -> None:
    """Raise OptionError unless all widths are positive."""
    if any(width < 1 for width in widths):
        raise OptionError(f"{name} must hold positive widths, not {widths}")
