"""Examples that stay in their files: read as they are asked for, so that memory is bounded.

Shapes: N examples in the source, n examples asked for, *shape one example.
"""

from __future__ import annotations

import copy
import math
import tempfile
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.data.source import (
    Source,
    TensorSource,
    as_values,
    check_shape,
    checked_labels,
    not_finite,
    not_finite_error,
)

Read = Callable[[int, int], Tensor]
"""``(start, stop)`` to the examples start..stop-1: (n, *shape)."""
VALUES = 2**18
"""So many numbers are looked at together, roughly."""


class FileSource(Source):
    """Examples that are read from a file or folder each time.

    read: gives them as uint8 or finite float32. y (N,) of any integer dtype, or None. Of each
    example its label and its name alone are held. Raises DataError as TensorSource does.
    """

    def __init__(
        self,
        read: Read,
        size: int,
        shape: tuple[int, ...],
        *,
        y: Tensor | None = None,
        num_classes: int | None = None,
        names: Sequence[str] = (),
        unit_range: bool = True,
        slow: bool = False,
    ) -> None:
        check_shape((size, *shape))
        self._read, self._size = read, size
        self.shape = shape
        self.y, self.num_classes = checked_labels(y, size, num_classes)
        self.names = names
        self.unit_range = unit_range
        self.slow = slow

    def __len__(self) -> int:
        return self._size

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        places = index.cpu()
        breaks = (places[1:] != places[:-1] + 1).nonzero().flatten() + 1
        runs = torch.tensor_split(places, breaks)  # of neighbours, which are read together
        x = torch.cat([self._read(int(run[0]), int(run[-1]) + 1) for run in runs])
        y = None if self.y is None else self.y[places].to(self.device)
        return x.to(self.device), y

    def to(self, device: torch.device | str) -> FileSource:
        other = copy.copy(self)
        other.device = torch.empty(0, device=device).device
        return other

    def held(self) -> TensorSource:
        """All of it, in memory."""
        x = self._read(0, len(self))
        return TensorSource(x, self.y, self.num_classes, names=self.names)


def look_through(read: Read, size: int, shape: tuple[int, ...], noun: str = "example") -> bool:
    """Whether all values lie in [0, 1], as uint8 always does. Raises DataError for NaN among them.

    noun: what they are, for the message.
    """
    check_shape((size, *shape))
    bad, first, unit_range = 0, 0, True
    for start, stop in pieces(size, shape):
        x = as_values(read(start, stop))
        if x.dtype == torch.uint8:
            return True
        if len(places := not_finite(x)):
            first = first if bad else start + int(places[0])
            bad += len(places)
        unit_range = unit_range and bool((x.min() >= 0) & (x.max() <= 1))
    if bad:
        raise not_finite_error(bad, size, first, noun)
    return unit_range


def pieces(size: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Starts and ends of pieces of ``size`` examples that can be held together."""
    some = max(1, VALUES // max(1, math.prod(shape)))
    return [(start, min(start + some, size)) for start in range(0, size, some)]


class Spool:
    """A temporary file, for what can be read from its beginning only. It goes with this object.

    It lies where tempfile puts it, in $TMPDIR if that is set.
    """

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self.file.close)


def mapped_rows(
    spool: Spool | Path, dtype: Any, shape: tuple[int, ...], start: int, stop: int, **place: Any
) -> NDArray[Any]:
    """A copy of the rows start..stop-1 of the array of that shape in a file.

    place: its offset and order, as numpy.memmap has them. The file is mapped anew each time: the
    pages of a lasting map would stay in memory.
    """
    file = spool.file if isinstance(spool, Spool) else spool
    return np.array(np.memmap(file, dtype, "r", shape=shape, **place)[start:stop])
