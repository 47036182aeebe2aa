"""Sources: the examples of one split, addressed by index, on one device.

Shapes: N examples in the source, n examples asked for, *shape one example.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.words import counted


class Source(ABC):
    """One split: examples addressed by index, living on one device."""

    shape: tuple[int, ...]
    """Of one example."""
    num_classes: int | None
    """Labels are 0..num_classes-1, or -1 where unlabelled. None: there are no labels."""
    device: torch.device = torch.device("cpu")
    """Where ``examples`` takes its index and leaves its answer."""
    rendered: bool = False
    """Whether examples are computed, all alike, so that a few of them tell of all."""
    slow: bool = False
    """Whether examples take long to read, as photographs do: checks look at a few of them."""
    names: Sequence[str] = ()
    """What the examples are called, such as their files, for people: none, or N."""
    unit_range: bool = True
    """Whether all values stand for numbers in [0, 1], as binarization needs. uint8 always does."""
    factor_names: tuple[str, ...] = ()
    """The known factors of variation; empty where none are known."""
    factor_sizes: tuple[int, ...] = ()
    """How many values each of them takes."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of examples, N."""

    @abstractmethod
    def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """The examples at ``index``, without a host synchronisation.

        index: (n,) int64 on the source's device. Returns x: (n, *shape), uint8 (0..255 stands
        for [0, 1]) or float32, and y: (n,) int64, or None where ``num_classes`` is None.
        """

    def factors(self, index: Tensor) -> Tensor:
        """What the examples at ``index`` show: (n,) int64 to (n, factors) int64, from 0.

        Raises DataError where no factors are known.
        """
        raise DataError("these examples have no known factors of variation; sprites have")

    @property
    def nbytes(self) -> int:
        """The memory that its examples take on a device. Default: 0, they are made as needed."""
        return 0

    @abstractmethod
    def to(self, device: torch.device | str) -> Source:
        """This source on ``device``: a moved copy, or itself. Never changes this one."""


class TensorSource(Source):
    """Examples held in one tensor.

    x: (N, *shape), uint8, or floating or bool, kept as float32. y: (N,) of any integer dtype.
    ``num_classes`` is one more than the greatest label unless given. Raises DataError.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor | None = None,
        num_classes: int | None = None,
        *,
        names: Sequence[str] = (),
    ) -> None:
        self.x = _checked_examples(x)
        self.names = tuple(names)
        assert len(self.names) in (0, len(x))
        self.y, self.num_classes = checked_labels(y, len(x), num_classes)
        self.y = None if self.y is None else self.y.to(self.x.device)
        self.shape = tuple(self.x.shape[1:])
        self.device = self.x.device
        self.unit_range = self.x.dtype == torch.uint8 or bool(
            (self.x.min() >= 0) & (self.x.max() <= 1)
        )

    def __len__(self) -> int:
        return len(self.x)

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        # On a CPU this copies whole rows, and is many times faster than x[index].
        x = self.x.index_select(0, index)
        return x, None if self.y is None else self.y.index_select(0, index)

    def to(self, device: torch.device | str) -> TensorSource:
        return self._with(self.x.to(device), None if self.y is None else self.y.to(device))

    @property
    def nbytes(self) -> int:
        return self.x.nbytes + (0 if self.y is None else self.y.nbytes)

    def take(self, indices: Tensor) -> TensorSource:
        """A source that holds a copy of only these examples. indices: (n,) int64."""
        taken = self._with(*self.examples(indices))
        taken.names = tuple(self.names[i] for i in indices.tolist()) if self.names else ()
        return taken

    def _with(self, x: Tensor, y: Tensor | None) -> TensorSource:
        """This source with other, already checked, tensors."""
        other = copy.copy(self)
        other.x, other.y, other.device = x, y, x.device
        return other


class Subset(Source):
    """A source restricted to some of its examples, lazily.

    indices: (n,), the places in ``source`` that this one shows, in this order. Raises DataError
    for none, and for those outside of the source.
    """

    def __init__(self, source: Source, indices: Tensor | NDArray[Any] | Sequence[int]) -> None:
        indices = torch.as_tensor(indices)
        if indices.ndim != 1 or len(indices) == 0:
            raise DataError(
                f"a subset needs at least one index, as a vector; got {tuple(indices.shape)}"
            )
        if indices.is_floating_point() or indices.dtype == torch.bool:
            raise DataError(f"a subset's indices must be integers, not {indices.dtype}")
        low, high = int(indices.min()), int(indices.max())
        if low < 0 or high >= len(source):
            raise DataError(
                f"a subset's indices must lie in 0..{len(source) - 1}; these reach {low}..{high}"
            )
        self.source = source
        self.indices = indices.to(source.device, torch.int64)
        self.shape = source.shape
        self.num_classes = source.num_classes
        self.device = source.device
        self.unit_range = source.unit_range
        self.rendered = source.rendered
        self.slow = source.slow
        self.factor_names = source.factor_names
        self.factor_sizes = source.factor_sizes

    def __len__(self) -> int:
        return len(self.indices)

    def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        return self.source.examples(self.indices[index])

    def factors(self, index: Tensor) -> Tensor:
        return self.source.factors(self.indices[index])

    @property
    def nbytes(self) -> int:
        return self.source.nbytes * len(self) // max(1, len(self.source))

    def to(self, device: torch.device | str) -> Source:
        if torch.empty(0, device=device).device == self.device:
            return self
        if isinstance(self.source, TensorSource):
            # Moves these rows only: else both halves of one tensor would each bring all of it.
            return self.source.take(self.indices).to(device)
        return Subset(self.source.to(device), self.indices)


class Repeated(Subset):
    """A source some of whose examples come several times; made from it lazily, as a subset."""

    @property
    def nbytes(self) -> int:
        return self.source.nbytes

    def to(self, device: torch.device | str) -> Source:
        if torch.empty(0, device=device).device == self.device:
            return self
        return Repeated(self.source.to(device), self.indices)  # each example once on the device


def _checked_examples(x: Tensor) -> Tensor:
    """x: (N, *shape), as uint8 or float32. Raises DataError."""
    if not isinstance(x, Tensor):
        raise DataError(f"examples must be a Tensor, not {type(x).__name__}")
    check_shape(tuple(x.shape))
    x = as_values(x)
    if x.dtype == torch.uint8:
        return x
    bad = not_finite(x)
    if len(bad):
        raise not_finite_error(len(bad), len(x), int(bad[0]))
    return x


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise DataError unless examples can lie so: (N, *shape)."""
    if len(shape) < 2:
        raise DataError(
            f"examples must have shape (N, *shape), at least two dimensions; got {shape}"
        )
    if 0 in shape:
        raise DataError(f"there are no examples: their tensor has shape {shape}")


def as_values(x: Tensor) -> Tensor:
    """Examples as uint8 or float32. Raises DataError for other numbers.

    Integers are taken of vectors (N, D) alone, as counts are: of images they have no known range.
    """
    if x.dtype == torch.uint8:
        return x
    counts = x.ndim == 2 and not x.is_complex()
    if not (x.is_floating_point() or x.dtype == torch.bool or counts):
        raise DataError(
            f"examples must be uint8 (0..255 stands for [0, 1]) or floating point, not {x.dtype}; "
            f"convert them, for example with x.to(torch.float32)"
        )
    return x.detach().to(torch.float32)


def not_finite(x: Tensor) -> Tensor:
    """The places of the examples x (N, *shape) that hold NaN or infinity: (n,) int64."""
    return torch.nonzero(~torch.isfinite(x).flatten(1).all(dim=1)).flatten()


def not_finite_error(bad: int, size: int, first: int, noun: str = "example") -> DataError:
    """That ``bad`` of ``size`` examples do, and which first."""
    return DataError(
        f"{bad} of {counted(size, noun)} hold NaN, infinity, or values beyond float32, the first "
        f"at index {first}; remove or repair them"
    )


def checked_labels(
    y: Tensor | None, size: int, num_classes: int | None
) -> tuple[Tensor | None, int | None]:
    """y (N,) int64 of ``size`` examples, and how many classes there are. Raises DataError."""
    if y is None:
        if num_classes is not None:
            raise DataError(f"num_classes is {num_classes}, but there are no labels; pass y too")
        return None, None
    if len(y) != size:
        raise DataError(
            f"there came {counted(size, 'example')} but {counted(len(y), 'label')}; "
            f"give one label per example"
        )
    y = _checked_labels(y)
    return y, _checked_num_classes(y, num_classes)


def _checked_labels(y: Tensor) -> Tensor:
    """y: (N,), as int64. Raises DataError."""
    if y.ndim != 1:
        raise DataError(
            f"labels must be one integer per example, shape (N,), not {tuple(y.shape)}; "
            f"turn one-hot labels into these with y.argmax(1)"
        )
    if y.is_floating_point() or y.is_complex():
        raise DataError(f"labels must be integers, not {y.dtype}; convert them with y.long()")
    return y.to(torch.int64)


def _checked_num_classes(y: Tensor, num_classes: int | None) -> int:
    """The number of classes, given or counted. y: (N,) int64. Raises DataError."""
    low, high = int(y.min()), int(y.max())
    if low < -1:
        raise DataError(
            f"labels must be 0 or more, or -1 where unlabelled; the least is {low}, at index "
            f"{int(y.argmin())}"
        )
    if num_classes is None:
        if high < 0:
            raise DataError("every label is -1, unlabelled; give num_classes, or no labels")
        return high + 1
    if num_classes < 1 or high >= num_classes:
        raise DataError(
            f"labels must be less than num_classes={num_classes}; the greatest is {high}, at "
            f"index {int(y.argmax())}"
        )
    return num_classes
