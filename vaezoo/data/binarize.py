"""Binarization: grey values in [0, 1] to zeros and ones.

It is part of what a data set is, and of every figure reported on it.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from vaezoo.data.hashing import uniform
from vaezoo.options import convert

Binarization = Literal["none", "threshold", "static", "dynamic"]


def to_float(x: Tensor) -> Tensor:
    """uint8 as float32 in [0, 1]; floating point as it is."""
    return x.to(torch.float32).div_(255) if x.dtype == torch.uint8 else x


def binarize(x: Tensor, kind: Binarization, *, index: Tensor, seed: int) -> Tensor:
    """x, binarized as ``kind`` says. Its values must lie in [0, 1] unless that is "none".

    x: (n, *shape) floating point. index: (n,) int64, the examples' places in their source.

    - none: x itself.
    - threshold: x > 1/2.
    - static: one draw of Bernoulli(x), a pure function of (seed, index, pixel): nothing is
      stored, and the same example comes out the same in every batch, on every device.
    - dynamic: a fresh draw of Bernoulli(x) from the global generator, for training only.
    """
    if kind == "threshold":
        return (x > 0.5).to(x.dtype)
    if kind == "static":
        u = uniform(seed, index, x[0].numel()).view(x.shape)
        return (u < x).to(x.dtype)
    if kind == "dynamic":
        return torch.bernoulli(x)
    return x


def checked_binarization(kind: Any) -> Binarization:
    """``kind``, if it is one. Raises OptionError."""
    checked: Binarization = convert(kind, Binarization, "binarization")
    return checked
