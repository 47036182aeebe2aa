"""splitmix64, a counter-based hash, for numpy, torch and plain integers.

It makes random choices that depend on a seed and a place only: the same in every version of
every library, on every device, and in any order. Steele, Lea and Flood (2014), "Fast splittable
pseudorandom number generators", https://doi.org/10.1145/2660193.2660195.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd
FIRST = 0xBF58476D1CE4E5B9
SECOND = 0x94D049BB133111EB
MASK = 2**64 - 1


def mix_integers(*values: int) -> int:
    """A 64-bit hash of integers, in their order, 0 <= hash < 2^64."""
    state = 0
    for value in values:
        z = (state ^ (value & MASK)) + GAMMA & MASK
        z = (z ^ (z >> 30)) * FIRST & MASK
        z = (z ^ (z >> 27)) * SECOND & MASK
        state = z ^ (z >> 31)
    return state


def mix_array(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """splitmix64's finalizer: a bijection of 64-bit integers, element by element."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
    return z ^ (z >> np.uint64(31))


def mix_tensor(z: Tensor) -> Tensor:
    """As ``mix_array``, on the bits of int64: products wrap around, shifts are logical.

    In place on its own temporaries, which makes it six times as fast on a CPU.
    """
    z = (z ^ _shift(z, 30)).mul_(signed(FIRST))
    z = z.bitwise_xor_(_shift(z, 27)).mul_(signed(SECOND))
    return z.bitwise_xor_(_shift(z, 31))


def uniform(seed: int, index: Tensor, size: int) -> Tensor:
    """Numbers in [0, 1), a pure function of (seed, index, place): (n, size) float32.

    index: (n,) int64. Multiples of 2^-24, so that float32 holds them exactly.
    """
    place = torch.arange(size, device=index.device) * signed(GAMMA)
    start = mix_tensor(index * signed(GAMMA) + signed(mix_integers(seed)))
    bits = mix_tensor(start.unsqueeze(1) + place)  # (n, size)
    return _shift(bits, 40).to(torch.float32).mul_(2.0**-24)


def shuffled_indices(n: int, seed: int) -> NDArray[np.int64]:
    """A permutation of 0..n-1, (n,) int64, that no library's version ever changes."""
    counter = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GAMMA)
    keys = mix_array(counter + np.uint64(mix_integers(seed)))  # a bijection: no ties
    return np.argsort(keys, kind="stable").astype(np.int64)


def signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    return value - 2**64 if value >= 2**63 else value


def _shift(z: Tensor, bits: int) -> Tensor:
    """z >> bits, filling with zeros."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)
