"""Paths between two codes.

T places on the path, B pairs; a code may have any shape, and counts as one vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import normalize

Mode = Literal["linear", "spherical"]
SMALLEST_NORM = 1e-12


def linear(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """(1 - t) a + t b: a and b (B, *latent), t (T,) in [0, 1] -> (T, B, *latent)."""
    t = t.view(-1, *[1] * a.ndim)
    return (1 - t) * a + t * b


def spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Turn from a to b about the origin: a and b (B, *latent), t (T,) -> (T, B, *latent).

    z_t = |z|_t · [sin((1 - t) θ) a/|a| + sin(t θ) b/|b|] / sin θ, with θ the angle between a and b
    and |z|_t = (1 - t) |a| + t |b|. White 2016, Sampling Generative Networks (arXiv:1609.04468),
    section 2.1, gives this for codes of one length. A line between two draws from N(0, I) in many
    dimensions passes nearer to the origin than nearly any draw lies; this path does not.

    The line stands in where there is no arc: from or to a code of zero, between parallel codes
    (of which it is the limit), and between opposite ones, which no single arc joins.
    """
    line = linear(a, b, t)
    u, v, t = a.flatten(1), b.flatten(1), t.view(-1, 1, 1)
    length_a, length_b = (w.norm(dim=1, keepdim=True) for w in (u, v))  # (B, 1)
    u, v = (normalize(w, eps=SMALLEST_NORM) for w in (u, v))
    # Exact for small angles too, which an arc cosine is not.
    chords = (w.norm(dim=1, keepdim=True) for w in (u - v, u + v))
    angle = 2 * torch.atan2(*chords)
    sine = angle.sin()
    direction = (((1 - t) * angle).sin() * u + (t * angle).sin() * v) / sine
    arc = ((1 - t) * length_a + t * length_b) * direction  # (T, B, D)
    # With a smaller angle, arc and line differ by less than the rounding.
    curved = sine > torch.finfo(a.dtype).eps ** 0.5
    curved = curved & (length_a > SMALLEST_NORM) & (length_b > SMALLEST_NORM)
    return torch.where(curved, arc, line.flatten(2)).view_as(line)


PATHS: Mapping[Mode, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "linear": linear,
    "spherical": spherical,
}
