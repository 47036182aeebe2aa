"""Training batches of data that stay in the host's memory, gathered and sent ahead of the step."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import torch
from torch import Tensor

from vaezoo.batch import Batch, Drawn
from vaezoo.data.batches import TrainingBatches
from vaezoo.data.binarize import Binarization, binarize, to_float
from vaezoo.data.source import Source

AHEAD = 3
"""Batches that are made before they are asked for."""


class Gathered(NamedTuple):
    """A batch on the host, as its source has it; pinned where it is to go to a GPU."""

    x: Tensor
    y: Tensor | None
    places: Tensor


class HostBatches(TrainingBatches):
    """The batches of ``TrainingBatches`` on ``device``, one by one, from a source on the host.

    A thread gathers the next ones meanwhile, uint8 as they are; they are copied without waiting,
    and become floating point, and binary, on the device.
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        binarization: Binarization = "none",
        device: torch.device | str,
    ) -> None:
        super().__init__(source, batch_size=batch_size, seed=seed, binarization=binarization)
        self.device = torch.device(device)
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="vaezoo-batches")
        self._coming: dict[int, Future[Gathered]] = {}

    def draw(self, step: int) -> Drawn:
        """The examples of a step, sent; quickly, if steps are asked for in their order."""
        wanted = range(step, step + 1 + AHEAD)
        self._coming = {number: self._coming.get(number) or self._ask(number) for number in wanted}
        gathered = self._coming[step].result()
        return tuple(t if t is None else t.to(self.device, non_blocking=True) for t in gathered)

    def gather(self, drawn: Drawn) -> Batch:
        """The batch of what was sent."""
        x, y, index = drawn
        assert x is not None
        assert index is not None
        x = binarize(to_float(x), self.binarization, index=index, seed=self.binarization_seed)
        return Batch(x.contiguous(), y, index)

    def _ask(self, step: int) -> Future[Gathered]:
        return self._worker.submit(self._gather, step)

    def _gather(self, step: int) -> Gathered:
        index = self.index(step)
        x, y = self.source.examples(index)
        if self.device.type == "cuda":
            x, index = x.pin_memory(), index.pin_memory()
            y = None if y is None else y.pin_memory()
        return Gathered(x, y, index)
