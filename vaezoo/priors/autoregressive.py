"""p(code): each code of a grid given those before it, by a small causal transformer.

p(code) = Π_i p(code_i | code_1, ..., code_{i-1}), places in raster order (van den Oord et al.
2016, arXiv:1601.06759, eq. 1; by a transformer, Esser et al. 2021, arXiv:2012.09841, section 3.2).

R rows, L places, N codes to choose from, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributions import Distribution
from torch.nn.functional import scaled_dot_product_attention

from vaezoo.priors.codes import CodePrior

if TYPE_CHECKING:
    from vaezoo.assembly import Parts

SPREAD = 0.02  # standard deviation of the embeddings at the start, as is usual


@dataclass(frozen=True, kw_only=True)
class Autoregressive:
    """Options of the prior ``autoregressive``."""

    width: int = 64
    """Numbers that represent one code within the network."""
    layers: int = 2
    """Transformer blocks."""
    heads: int = 4
    """Attention heads of a block; they share the width equally."""

    def __post_init__(self) -> None:
        if min(self.width, self.layers, self.heads) < 1:
            raise ValueError("width, layers and heads must be positive")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not shared equally by {self.heads} heads")


class Block(nn.Module):
    """Causal self-attention, then a dense layer of each place (Vaswani et al. 2017, pre-norm)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(width)
        self.projections = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.dense = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(R, L, W) -> (R, L, W); a place sees itself and those before it."""
        projected = self.projections(self.before(x)).unflatten(-1, (3, self.heads, -1))
        q, k, v = projected.permute(2, 0, 3, 1, 4)  # (R, heads, L, W / heads) each
        seen = scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.dense(x)  # type: ignore[no-any-return]


class CausalTransformer(nn.Module):
    """The logits of every code, given those before it. They start at 0: all codes alike."""

    def __init__(self, num_codes: int, places: int, options: Autoregressive) -> None:
        super().__init__()
        width = options.width
        self.codes = nn.Embedding(num_codes, width)
        self.start = nn.Parameter(torch.empty(width))
        self.places = nn.Parameter(torch.empty(places, width))
        blocks = (Block(width, options.heads) for _ in range(options.layers))
        self.blocks = nn.Sequential(*blocks, nn.LayerNorm(width))
        self.logits = nn.Linear(width, num_codes)
        for start in (self.codes.weight, self.start, self.places):
            nn.init.normal_(start, std=SPREAD)
        for end in self.logits.parameters():
            nn.init.zeros_(end)

    def forward(self, before: Tensor) -> Tensor:
        """The first l codes (R, l), l < L -> logits of codes 0 to l, (R, l + 1, N)."""
        start = self.start.expand(len(before), 1, -1)
        x = torch.cat([start, self.codes(before)], 1)
        return self.logits(self.blocks(x + self.places[: x.shape[1]]))  # type: ignore[no-any-return]


class AutoregressiveCodes(Distribution):
    """Π_i p(code_i | those before it), places of the grid in raster order."""

    arg_constraints = {}  # noqa: RUF012  (as torch's own distributions have it)

    def __init__(self, network: CausalTransformer, grid: tuple[int, ...]) -> None:
        super().__init__(event_shape=torch.Size(grid), validate_args=False)
        self.network = network

    def log_prob(self, value: Tensor) -> Tensor:
        """value (..., *grid), indices -> (...), nats."""
        leading = value.shape[: value.ndim - len(self.event_shape)]
        rows = value.reshape(-1, self.event_shape.numel())  # (R, L)
        logits = self.network(rows[:, :-1]).log_softmax(-1)
        return logits.gather(-1, rows.unsqueeze(-1)).sum((1, 2)).reshape(leading)  # type: ignore[no-any-return]

    @torch.no_grad()
    def sample(self, sample_shape: torch.Size | tuple[int, ...] = ()) -> Tensor:  # type: ignore[override]
        """(*sample_shape, *grid), one code after the other."""
        device = self.network.start.device
        rows = torch.zeros(prod(sample_shape), 0, dtype=torch.int64, device=device)
        for _ in range(self.event_shape.numel()):
            logits = self.network(rows)[:, -1]
            # The Gumbel-max trick: torch.multinomial may wait for the device.
            waits = torch.empty_like(logits).exponential_()
            rows = torch.cat([rows, (logits - waits.log()).argmax(-1, keepdim=True)], 1)
        return rows.reshape(*sample_shape, *self.event_shape)


class AutoregressivePrior(CodePrior):
    """p(code), learned; before it has learned anything, every code is as probable."""

    def __init__(self, num_codes: int, grid: tuple[int, ...], options: Autoregressive) -> None:
        super().__init__(num_codes, grid)
        self.network = CausalTransformer(num_codes, prod(grid), options)

    def forward(self, y: Tensor | None = None) -> Distribution:
        return AutoregressiveCodes(self.network, self.event_shape)


def autoregressive(options: Autoregressive, parts: Parts) -> AutoregressivePrior:
    """The recipe of the prior ``autoregressive``."""
    return AutoregressivePrior(*parts.codes, options)
