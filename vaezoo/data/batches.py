"""Batches: a source's examples in the order of training, and in the order of evaluation.

Shapes: B batch, N examples in the source, *shape one example.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from vaezoo.batch import Batch, Drawn
from vaezoo.data.binarize import Binarization, binarize, checked_binarization, to_float
from vaezoo.data.hashing import mix_integers
from vaezoo.data.source import Source
from vaezoo.errors import DataError, OptionError
from vaezoo.words import counted


class TrainingBatches:
    """Shuffled batches of a fixed size; the last, partial batch of each epoch is dropped.

    A pure function of (seed, step), apart from dynamic binarization, which draws from the
    global generator: a resumed run needs the step only. Raises DataError for too few examples.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        binarization: Binarization = "none",
        binarization_seed: int = 0,
    ) -> None:
        check_batching(source, batch_size, binarization)
        if len(source) < batch_size:
            raise DataError(
                f"a batch of {batch_size} cannot be made from "
                f"{counted(len(source), 'training example')}; "
                f"set the batch size to {len(source)} or less, or give more examples"
            )
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.binarization = binarization
        self.binarization_seed = binarization_seed
        self.steps_per_epoch = len(source) // batch_size
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Batch:
        """The batch of training step 0, 1, 2, ...: x (B, *shape), y (B,) or None, index (B,)."""
        return self.gather(self.draw(step))

    def draw(self, step: int) -> Drawn:
        """What the host has to say of a step's batch: which examples, (B,) int64."""
        return (self.index(step),)

    def gather(self, drawn: Drawn) -> Batch:
        """The batch, made where the examples lie, without a host synchronisation."""
        (index,) = drawn
        assert index is not None
        return _gather(self.source, index, self.binarization, self.binarization_seed)

    def index(self, step: int) -> Tensor:
        """The places in the source of the step's examples: (B,) int64."""
        epoch, place = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self._order[place * self.batch_size : (place + 1) * self.batch_size]

    # What the trainer asks of a stream's batches, too.

    @property
    def num_examples(self) -> int:
        """How many different examples there are."""
        return len(self.source)

    def more(self) -> bool:
        """Whether another batch follows: always."""
        return True

    def epoch(self, step: int) -> float:
        """How many passes lie behind training step ``step``."""
        return step / self.steps_per_epoch

    def position(self) -> dict[str, int]:
        """What must be saved beside the step: nothing."""
        return {}

    def seek(self, position: Mapping[str, int]) -> None:
        """Go to a saved position, which is in the step already."""

    def _shuffled(self, epoch: int) -> Tensor:
        """The order of the epoch's examples: (N,) int64 on the source's device."""
        generator = torch.Generator().manual_seed(mix_integers(self.seed, epoch))
        order = torch.randperm(len(self.source), generator=generator)
        if self.source.device.type != "cuda":
            return order.to(self.source.device)
        return order.pin_memory().to(self.source.device, non_blocking=True)


def evaluation_batches(
    source: Source,
    *,
    batch_size: int,
    binarization: Binarization = "none",
    binarization_seed: int = 0,
) -> Iterator[Batch]:
    """All examples once, in their order; the last batch may be smaller.

    "dynamic" is evaluated as "static": drawn once and fixed by the seed, so that figures can be
    reproduced.
    """
    check_batching(source, batch_size, binarization)
    kind: Binarization = "static" if binarization == "dynamic" else binarization

    def batches() -> Iterator[Batch]:
        for start in range(0, len(source), batch_size):
            stop = min(start + batch_size, len(source))
            index = torch.arange(start, stop, device=source.device)
            yield _gather(source, index, kind, binarization_seed)

    return batches()


def _gather(source: Source, index: Tensor, kind: Binarization, seed: int) -> Batch:
    x, y = source.examples(index)
    x = binarize(to_float(x), kind, index=index, seed=seed)
    return Batch(x.contiguous(), y, index)


def check_batching(source: Source, batch_size: int, binarization: Binarization) -> None:
    """Raises OptionError or DataError for what cannot be batched so."""
    if batch_size < 1:
        raise OptionError(f"batch_size must be 1 or more, not {batch_size}")
    if checked_binarization(binarization) != "none" and not source.unit_range:
        raise DataError(
            f"binarization {binarization!r} needs values in [0, 1], and these reach beyond; "
            f"rescale the data, or set binarization to 'none'"
        )
