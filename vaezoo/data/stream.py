"""Streams: training examples in the order in which an iterable yields them, of any length.

Shapes: b examples in one batch of the iterable, *shape one example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count, tee
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from vaezoo.data.convert import as_example, as_source, brief, shows_its_dataset
from vaezoo.data.hashing import mix_integers
from vaezoo.data.source import Source, TensorSource
from vaezoo.errors import DataError, OptionError

Check = Callable[[Source], None]
GLANCE = 64
"""So many examples are read when a stream is made: checks and pictures look at these."""
ANY_CLASS = 2**31
"""More labels than there are: which of them a model takes is checked later."""


class Stream:
    """Training examples that come one batch after another and cannot be addressed.

    batches: a DataLoader, or any iterable of x (b, *shape) or (x, y), tensors or arrays, where b
    may differ from batch to batch; or an IterableDataset of single examples. Floating-point
    values of any precision, and bool, become float32, in whichever batch they come; uint8 among
    them is refused, since it has another scale. It is iterated anew
    for each pass; an iterator, which cannot be, gives one pass. size: how many examples a pass
    has, if that is known. num_classes: of the labels, if the first examples may lack some.

    Raises DataError if the first batches are of no use.
    """

    def __init__(
        self, batches: Iterable[Any], *, size: int | None = None, num_classes: int | None = None
    ) -> None:
        for name, value in (("size", size), ("num_classes", num_classes)):
            if value is not None and value < 1:
                raise OptionError(f"{name} of a stream must be at least 1, not {value}")
        self.name = type(batches).__name__
        self.size = size
        self.unit = "item" if isinstance(batches, IterableDataset) else "batch"
        self.once = isinstance(batches, Iterator)
        """Whether it can be iterated once only."""
        glanced: Iterable[Any] = batches
        if isinstance(batches, Iterator):
            batches, glanced = tee(batches)
        self._batches = batches
        self.form = ""
        """What all batches must agree in, in words: type, shape, and whether there are labels."""
        self.first = self._glance(glanced, num_classes)
        """The first examples of the first pass, at least 64 if there are as many."""

    @property
    def num_examples(self) -> int | None:
        """How many different examples there are, as far as that can be known."""
        if self.size is None and isinstance(self._batches, DataLoader):
            dataset = self._batches.dataset
            return None if isinstance(dataset, IterableDataset) else _length(dataset)
        return self.size

    def parts(self, seed: int, number: int, check: Check | None = None) -> Iterator[TensorSource]:
        """The batches of pass ``number`` as they come, checked, by ``check`` too.

        Torch's generator for the CPU is seeded with (seed, number) while the iterable is at work,
        and otherwise left alone: the order of a DataLoader that shuffles is a function of these.
        Raises DataError for what the iterable raises, and for a batch unlike the first.
        """
        return self._parts(self._batches, seed, number, check)

    def _glance(self, batches: Iterable[Any], num_classes: int | None) -> TensorSource:
        read: list[TensorSource] = []
        for part in self._parts(batches, 0, 0):
            read.append(part)
            if sum(map(len, read)) >= GLANCE:
                break
        if not read:
            raise DataError(f"{self.name} yields nothing; give at least one batch of examples")
        labels = [part.y for part in read if part.y is not None]
        x, y = torch.cat([part.x for part in read]), torch.cat(labels) if labels else None
        if y is not None:
            num_classes = num_classes or int(y.max().clamp(min=0)) + 1
        return TensorSource(x, y, num_classes)

    def _parts(
        self, batches: Iterable[Any], seed: int, number: int, check: Check | None = None
    ) -> Iterator[TensorSource]:
        random = _OwnRandom(seed, number)
        iterator: Iterator[Any] | None = None
        for place in count():
            where = f"{self.unit} {place} of {self.name}" + (f", pass {number}" if number else "")
            try:
                with random.used():
                    iterator = iter(batches) if iterator is None else iterator
                    item = next(iterator)
            except StopIteration:
                return
            except Exception as error:  # whatever the caller's code raises
                raise DataError(f"{where} cannot be read: {brief(error)}") from error
            try:
                part = self._checked(item, place)
                if check is not None:
                    check(part)
            except DataError as error:
                raise DataError(f"{where}: {error}") from error
            yield part

    def _checked(self, item: Any, place: int) -> TensorSource:
        """A batch as a source. Raises DataError unless it is like the first."""
        if self.unit == "item":
            example, label = as_example(item, place)
            x, y = example.unsqueeze(0), None if label is None else torch.tensor([label])
        else:
            pair = isinstance(item, tuple | list) and len(item) in (1, 2)
            x, y = (*item, None)[:2] if pair else (item, None)
        if not isinstance(x, Tensor | np.ndarray):
            raise DataError(
                f"it is a {type(item).__name__}; batches must be x or (x, y), with "
                f"x (b, *shape) a tensor or an array, and y (b,) integers"
            )
        part = as_source(x if y is None else (x, y), num_classes=ANY_CLASS)
        assert isinstance(part, TensorSource)
        labels = "without labels" if part.y is None else "with labels"
        form = f"{str(part.x.dtype).removeprefix('torch.')} of shape {part.shape} {labels}"
        if form != (self.form or form):
            raise DataError(
                f"it holds {form}, but {self.unit} 0 held {self.form}; bring all to one form"
            )
        self.form = form
        return part


def as_stream(data: Any) -> Stream | None:
    """``data`` as a Stream, where it can only be iterated; None where it can be addressed."""
    if isinstance(data, Stream):
        return data
    if isinstance(data, DataLoader):
        return None if shows_its_dataset(data) else Stream(data)
    if isinstance(data, IterableDataset):
        return Stream(data)
    addressed = (Tensor, np.ndarray, str, bytes, tuple, list, Mapping, Source, Dataset)
    if isinstance(data, addressed) or not isinstance(data, Iterable):
        return None
    return Stream(data)


class _OwnRandom:
    """A state of torch's generator for the CPU, apart from the one that training draws from."""

    def __init__(self, *seed: int) -> None:
        self.state = torch.Generator().manual_seed(mix_integers(*seed)).get_state()

    @contextmanager
    def used(self) -> Iterator[None]:
        outer = torch.get_rng_state()
        torch.set_rng_state(self.state)
        try:
            yield
        finally:
            self.state = torch.get_rng_state()
            torch.set_rng_state(outer)


def _length(dataset: Any) -> int | None:
    return len(dataset) if hasattr(dataset, "__len__") else None
