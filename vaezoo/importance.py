"""Importance sampling: log p(x) in bounded memory, the same in pieces of any size.

Draws are made in fixed units, each from a seed of its own, whatever is decoded at once. So a
result is a function of (seed, the example's place, samples), and memory is no part of it.

Shapes: E examples of a block, K samples of a unit, *event one z.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from vaezoo.data.hashing import mix_integers
from vaezoo.inference import chunks, forked_generators, seed_generators
from vaezoo.trace import Site

if TYPE_CHECKING:
    from vaezoo.model import VAE

BLOCK = 100
"""Examples that are drawn for together."""
SAMPLES = 50
"""Samples of a unit, where a model's z can be drawn apart from what is decoded."""
ATOMIC_SAMPLES = 5
"""Samples of a unit, where the model draws z within its own forward: decoded at once, too."""
VALUES = {"cpu": 2**17, "cuda": 2**25}
"""Numbers of x that are decoded at once. On a CPU they fit its cache: with 4,096 images of 28x28
in place of 167, the same work took a quarter longer."""
FEWEST = 32
"""Decoded examples, however large they are."""


def log_likelihood(
    model: VAE,
    x: Tensor,
    y: Tensor | None,
    *,
    samples: int,
    seed: int,
    chunk: int | None = None,
    first: int = 0,
    own_forward: bool = False,
) -> Tensor:
    """log 1/S Σ_s p(x|z_s) p(z_s) / q(z_s|x): (N,), as ``VAE.log_likelihood`` documents it.

    own_forward: whether the model draws z within a forward of its own. To be called in evaluation
    mode and without gradient; the caller's random state is left alone.
    """
    chunk = default_chunk(x) if chunk is None else chunk
    unit = ATOMIC_SAMPLES if own_forward else SAMPLES
    sums = []
    with forked_generators(model.device):
        for place, (x_E, y_E) in enumerate(chunks(x, y, BLOCK), first // BLOCK):
            draw = _draw_whole(model, x_E, y_E) if own_forward else _draw(model, x_E, y_E, chunk)
            total = torch.full((len(x_E),), -math.inf, dtype=torch.float64, device=x.device)
            for start in range(0, samples, unit):
                seed_generators(mix_integers(seed, place, start) >> 1, model.device)
                log_w = draw(min(unit, samples - start))  # (K, E)
                total = torch.logaddexp(total, log_w.double().logsumexp(0))
            sums.append((total - math.log(samples)).to(log_w.dtype))
    return torch.cat(sums)


def default_chunk(x: Tensor) -> int:
    """How many examples like those of x (N, *shape) are decoded at once."""
    return max(FEWEST, VALUES.get(x.device.type, VALUES["cuda"]) // x[0].numel())


def _draw_whole(model: VAE, x: Tensor, y: Tensor | None) -> Callable[[int], Tensor]:
    """K -> the log-weights (K, E) of so many new draws. x: (E, *shape)."""
    return lambda k: model(x, y, samples=k).log_w


def _draw(model: VAE, x: Tensor, y: Tensor | None, chunk: int) -> Callable[[int], Tensor]:
    """The same, with the encoder run once, and at most ``chunk`` decoded at a time."""
    q, p = model.encoder(x, y), model.prior(y)

    def draw(k: int) -> Tensor:
        site = Site(q, p, q.rsample((k,)))
        return _log_px(model, x, y, site.z, chunk) + site.log_p - site.log_q

    return draw


def _log_px(model: VAE, x: Tensor, y: Tensor | None, z: Tensor, chunk: int) -> Tensor:
    """log p(x|z,y), at most ``chunk`` at once: z (K, E, *event) -> (K, E)."""
    rows, columns = max(1, chunk // len(x)), min(chunk, len(x))
    pieces = []
    for start in range(0, len(z), rows):
        parts = [
            model.decoder(z[start : start + rows, i : i + columns], y_E).log_prob(x_E)
            for i, (x_E, y_E) in zip(range(0, len(x), columns), chunks(x, y, columns), strict=True)
        ]
        pieces.append(torch.cat(parts, dim=1))
    return torch.cat(pieces)
