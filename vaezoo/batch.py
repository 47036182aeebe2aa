"""A batch of examples, as the trainer hands it to an objective."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """Examples with their labels and their places in the data set.

    x: (B, *shape) floating point. y: (B,) int64, -1 where unlabelled, or None.
    index: (B,) int64, or None.
    """

    x: Tensor
    y: Tensor | None = None
    index: Tensor | None = None  # type: ignore[assignment]  # not tuple.index


Drawn = tuple[Tensor | None, ...]
"""What a batch is made of on the device: the places of its examples, or the examples as stored."""
