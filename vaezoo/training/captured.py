"""A training step as one CUDA graph: forward, backward, update, schedules and sums in one launch.

Everything that a step changes lies where it lay, and nothing in it waits for the host; so what is
recorded once can be replayed on other batches, which are copied to where the recorded one was. A
graph draws new random numbers each time it is replayed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from vaezoo.batch import Batch
from vaezoo.training.step import TrainingStep

logger = logging.getLogger(__name__)

WARM_UP = 3
"""Steps that run as usual before a graph is recorded: they compile, and make all tensors."""

Replay = Callable[[], None]


def record(work: Callable[[], None]) -> Replay:
    """``work`` as a CUDA graph: recorded, not run."""
    graph = torch.cuda.CUDAGraph()
    torch.cuda.synchronize()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class Captured:
    """A TrainingStep whose steps are replayed: one graph for each set of phases that run together.

    What cannot be recorded runs as it is, and the log says why.
    """

    def __init__(
        self, step: TrainingStep, record: Callable[[Callable[[], None]], Replay] = record
    ) -> None:
        self.step = step
        self.record = record
        self.batch: Batch | None = None  # where the graphs look
        self.replays: dict[tuple[bool, ...], Replay] = {}
        self.seen: dict[tuple[bool, ...], int] = {}
        self.fails = step.device.type != "cuda" and record is globals()["record"]
        if self.fails:
            logger.warning("steps are not captured: %s has no CUDA graphs", step.device)

    def __call__(self, batch: Batch, number: int) -> None:
        running = tuple(number % update.phase.every == 0 for update in self.step.updates)
        seen = self.seen[running] = self.seen.get(running, 0) + 1
        if self.fails or seen <= WARM_UP or not self._fits(batch):
            self.step(batch, number)
            return
        self._load(batch)
        if running not in self.replays and not self._record(running, number):
            self.step(batch, number)
            return
        self.replays[running]()

    def _record(self, running: tuple[bool, ...], number: int) -> bool:
        """Whether these phases could be recorded."""
        assert self.batch is not None
        batch = self.batch
        try:
            self.replays[running] = self.record(lambda: self.step(batch, number))
        except Exception as error:  # whatever CUDA or the model's code raises
            reason = " ".join(str(error).split())[:500]
            logger.warning("steps are not captured, they cannot be: %s", reason)
            self.fails = True
        return not self.fails

    def _fits(self, batch: Batch) -> bool:
        """Whether the batch can go where the recorded one was."""
        return self.batch is None or all(map(alike, self.batch, batch))

    def _load(self, batch: Batch) -> None:
        """Put the batch where the graphs look."""
        if self.batch is None:
            x, y, index = (None if t is None else t.clone() for t in batch)
            assert x is not None
            self.batch = Batch(x, y, index)
            return
        for place, new in zip(self.batch, batch, strict=True):
            if place is not None and new is not None:
                place.copy_(new)


def alike(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether both are None, or tensors of one shape and type."""
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype
