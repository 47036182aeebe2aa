"""Batches of a fixed size from a stream, whatever sizes it comes in.

Shapes: B batch, *shape one example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from vaezoo.batch import Batch, Drawn
from vaezoo.data.batches import check_batching
from vaezoo.data.binarize import Binarization, binarize, to_float
from vaezoo.data.stream import Check, Stream
from vaezoo.errors import DataError, OptionError
from vaezoo.words import counted


class Place(NamedTuple):
    """How far a stream was read: so many batches of B of this pass, counted from 0."""

    number: int
    taken: int


class StreamBatches:
    """Batches of a fixed size, pass after pass; the last, partial batch of each is dropped.

    passes: how many to make; None: as many as are asked for. check: raises DataError for a part
    of the stream that the model does not take. A function of (seed, pass, place in the pass),
    apart from dynamic binarization, as long as the stream draws from torch's generator for the
    CPU alone: a resumed run reads its pass again up to its place. Raises OptionError or
    DataError for what cannot be batched so.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        batch_size: int,
        seed: int,
        binarization: Binarization = "none",
        passes: int | None = None,
        device: torch.device | str = "cpu",
        check: Check | None = None,
    ) -> None:
        check_batching(stream.first, batch_size, binarization)
        if binarization == "static":
            raise OptionError(
                "binarization 'static' draws each example once and for all, and a stream does "
                "not tell which example is which: use 'dynamic' or 'threshold'"
            )
        if stream.once and passes is not None and passes > 1:
            raise OptionError(
                f"epochs is {passes}, but a {stream.name} can be iterated once only: give steps, "
                f"epochs=1, or an iterable that starts anew, such as a DataLoader"
            )
        self.stream = stream
        self.batch_size = batch_size
        self.seed = seed
        self.binarization = binarization
        self.passes = passes
        self.device = torch.device(device)
        self.check = check
        self.steps_per_epoch = None if stream.size is None else stream.size // batch_size
        if self.steps_per_epoch == 0:
            raise DataError(_too_few(stream, stream.size or 0, batch_size))
        self._read = self._from(Place(0, 0))
        self._step = -1
        self._now: tuple[Place, Tensor, Tensor | None] | None = None
        self._next: tuple[Place, Tensor, Tensor | None] | None = None
        self._error: DataError | None = None

    @property
    def num_examples(self) -> int | None:
        """How many different examples there are, as far as that is known."""
        return self.stream.num_examples

    def more(self) -> bool:
        """Whether another batch follows, or an error in its place, which ``batch`` raises."""
        if self.passes is None:
            return True
        self._look_ahead()
        return self._next is not None or self._error is not None

    def batch(self, step: int) -> Batch:
        """The next batch, or the same again for the same step: x (B, *shape), y (B,) or None."""
        return self.gather(self.draw(step))

    def draw(self, step: int) -> Drawn:
        """Its examples, sent to the device."""
        if step != self._step or self._now is None:
            self._look_ahead()
            if self._error is not None:
                raise self._error
            self._now, self._next, self._step = self._next, None, step
        assert self._now is not None, "more() said that there was none"
        _, x, y = self._now
        return x.to(self.device), None if y is None else y.to(self.device)

    def gather(self, drawn: Drawn) -> Batch:
        """The batch of them."""
        x, y = drawn
        assert x is not None
        x = binarize(to_float(x), self.binarization, index=torch.empty(0), seed=0)
        return Batch(x.contiguous(), y)

    def epoch(self, step: int) -> float:
        """How many passes lie behind training step ``step``; whole ones, where size is unknown."""
        if self.steps_per_epoch is not None:
            return step / self.steps_per_epoch
        return float(self._now[0].number if self._now else 0)

    def position(self) -> dict[str, int]:
        """How far the stream was used, JSON-ready."""
        return (self._now[0] if self._now else Place(0, 0))._asdict()

    def seek(self, position: Mapping[str, int]) -> None:
        """Go to a saved position: what comes before it in its pass is read, and left aside."""
        self._read = self._from(Place(**position))

    def _look_ahead(self) -> None:
        if self._next is None and self._error is None:
            try:
                self._next = next(self._read, None)
            except DataError as error:
                self._error = error

    def _from(self, start: Place) -> Iterator[tuple[Place, Tensor, Tensor | None]]:
        """The batches that follow a place, each with the place that follows it."""
        number, skipped = start
        while self.passes is None or number < self.passes:
            taken = 0
            for taken, (x, y) in enumerate(self._pass(number), start=1):
                if taken > skipped:
                    yield Place(number, taken), x, y
            if taken < skipped:
                raise DataError(
                    f"pass {number} over {self.stream.name} holds {taken} batches of "
                    f"{self.batch_size}, but the run had taken {skipped} from it: give the "
                    f"stream that it was started with, from its beginning"
                )
            number, skipped = number + 1, 0

    def _pass(self, number: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """One pass in batches of B: x (B, *shape), y (B,) or None."""
        if number and self.stream.once:
            raise DataError(
                f"the {self.stream.name} has ended, and it cannot be started anew: give fewer "
                f"steps, or an iterable that starts anew, such as a DataLoader"
            )
        xs: list[Tensor] = []
        ys: list[Tensor] = []
        total = held = 0
        for part in self.stream.parts(self.seed, number, self.check):
            xs.append(part.x)
            ys += [] if part.y is None else [part.y]
            total, held = total + len(part), held + len(part)
            if held < self.batch_size:
                continue
            x, y = torch.cat(xs), torch.cat(ys) if ys else None
            while held >= self.batch_size:
                yield x[: self.batch_size], None if y is None else y[: self.batch_size]
                x, y = x[self.batch_size :], None if y is None else y[self.batch_size :]
                held -= self.batch_size
            xs, ys = [x], [] if y is None else [y]
        if total < self.batch_size:
            raise DataError(_too_few(self.stream, total, self.batch_size))


def _too_few(stream: Stream, examples: int, batch_size: int) -> str:
    return (
        f"a batch of {batch_size} cannot be made from the {counted(examples, 'example')} of a "
        f"pass over {stream.name}; set the batch size to {max(examples, 1)} or less, or give "
        f"more examples"
    )
