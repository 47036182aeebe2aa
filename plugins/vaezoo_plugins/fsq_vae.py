"""Finite scalar quantization: codes without a codebook (Mentzer et al. 2024, arXiv:2309.15505).

Each of the C numbers of a code is bounded to L_c values by a tanh, and rounded to one of them
(section 3.1), which makes N = Π_c L_c codes. There is nothing to learn, and no term in the loss:
-log p(x|z) - log p(code), with the gradient straight through the rounding.

Before, the encoder's output is divided by its root mean square. Nothing in the loss holds it back,
and from a network without normalisation (the paper's have some) it grows until every tanh is
saturated and has no gradient: on MNIST, 10 of 1000 codes were in use after 400 steps, now 690.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import rms_norm

import vaezoo
from vaezoo.codes import CodeELBO, CodeEncoder, Codes, CodeVAE, StageOptions
from vaezoo.heads import PointMassHead

MARGIN = 1e-3  # by which the bounds lie beyond the outermost values, so that these are reached


@dataclass(frozen=True, kw_only=True)
class Options(StageOptions):
    levels: tuple[int, ...] = (8, 5, 5, 5)
    """How many values each of the numbers of a code can take. Their product is the number of
    codes, here 1000; the paper advises at least 5 each."""

    def __post_init__(self) -> None:
        if not self.levels or min(self.levels) < 3:  # of 2, one is beyond reach: tanh(3.8) / 2
            raise ValueError(f"levels must hold numbers of at least 3, not {self.levels}")


class ScalarQuantizer(CodeEncoder):
    """The output (B, C, *grid) of ``inner``, bounded and rounded: values in [-1, 1].

    An even number of levels has one more value below 0 than above.
    """

    levels: Tensor
    basis: Tensor

    def __init__(self, inner: nn.Module, levels: tuple[int, ...], grid_ndim: int) -> None:
        super().__init__()
        self.inner = inner
        self.num_codes = prod(levels)
        shape = (-1, *[1] * grid_ndim)  # along the numbers of a code
        basis = [prod(levels[:i]) for i in range(len(levels))]
        self.register_buffer("levels", torch.tensor(levels).float().view(shape), persistent=False)
        self.register_buffer("basis", torch.tensor(basis).view(shape), persistent=False)
        self.dim = -1 - grid_ndim

    def forward(self, x: Tensor, y: Tensor | None = None) -> Codes:
        output = self.inner(x, y).mean
        output = self.bounded(rms_norm(output, output.shape[1:]))
        rounded = output.round()
        digits = (rounded + self.half_width).to(self.basis.dtype)  # 0 to L - 1
        index = (digits * self.basis).sum(self.dim)
        return Codes(output / self.half_width, rounded / self.half_width, index)

    def bounded(self, output: Tensor) -> Tensor:
        """To within the L values, whose distance is 1: (L-1)/2 tanh(x + s) - ½[L even], 0 at 0."""
        reach = (self.levels - 1) * (1 + MARGIN) / 2
        offset = (1 - self.levels % 2) / 2
        return (output + (offset / reach).atanh()).tanh() * reach - offset

    @property
    def half_width(self) -> Tensor:
        """⌊L/2⌋, by which values are divided so that they lie in [-1, 1]."""
        return (self.levels / 2).floor()

    def lookup(self, index: Tensor) -> Tensor:
        digits = index.unsqueeze(self.dim) // self.basis % self.levels.to(self.basis.dtype)
        return (digits - self.half_width) / self.half_width


def fsq_vae(options: Options, parts: vaezoo.Parts) -> vaezoo.VAE:
    shape = parts.code_shape(len(options.levels), len(options.levels))
    if prod(shape) == 1:
        raise vaezoo.OptionError("a z of one number is always 1 or -1 here: raise latent_dim")
    inner = parts.encoder(head=PointMassHead(shape))
    encoder = ScalarQuantizer(inner, options.levels, len(shape) - 1)
    return CodeVAE(
        encoder,
        parts.decoder(latent_shape=shape),
        parts.prior("uniform-codes", codes=(encoder.num_codes, shape[1:])),
        objective=CodeELBO(encoder.num_codes),
        code_shape=shape,
        stage=options.stage,
    )
