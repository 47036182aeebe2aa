"""A training step as one CUDA graph: from places in the data to updated weights, in one launch.

Everything that a step changes lies where it lay, and nothing in it waits for the host; so what is
recorded once can be replayed on other batches: the places of their examples, or the examples
where these do not lie on the device, are copied to where the recorded ones were. A graph draws new
random numbers each time it is replayed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor

from vaezoo.batch import Batch, Drawn
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


class Taking:
    """Makes a batch of what was drawn, and takes a training step with it."""

    def __init__(self, step: TrainingStep, gather: Callable[[Drawn], Batch]) -> None:
        self.step = step
        self.gather = gather

    def __call__(self, drawn: Drawn, number: int) -> None:
        self.step(self.gather(drawn), number)


class Captured(Taking):
    """The same, replayed: one graph for each set of phases that run together.

    What cannot be recorded runs as it is, and the log says why.
    """

    def __init__(
        self,
        step: TrainingStep,
        gather: Callable[[Drawn], Batch],
        record: Callable[[Callable[[], None]], Replay] = record,
    ) -> None:
        super().__init__(step, gather)
        self.record = record
        self.drawn: Drawn | None = None  # where the graphs look
        self.replays: dict[tuple[bool, ...], Replay] = {}
        self.seen: dict[tuple[bool, ...], int] = {}
        self.fails = step.device.type != "cuda" and record is globals()["record"]
        if self.fails:
            logger.warning("steps are not captured: %s has no CUDA graphs", step.device)

    def __call__(self, drawn: Drawn, number: int) -> None:
        running = tuple(number % update.phase.every == 0 for update in self.step.updates)
        seen = self.seen[running] = self.seen.get(running, 0) + 1
        if self.fails or seen <= WARM_UP or not self._fits(drawn):
            super().__call__(drawn, number)
            return
        self._load(drawn)
        if running not in self.replays and not self._record(running, number):
            super().__call__(drawn, number)
            return
        self.replays[running]()

    def _record(self, running: tuple[bool, ...], number: int) -> bool:
        """Whether these phases could be recorded."""
        drawn, take = self.drawn, super().__call__
        assert drawn is not None
        try:
            self.replays[running] = self.record(lambda: take(drawn, number))
        except Exception as error:  # whatever CUDA or the model's code raises
            reason = " ".join(str(error).split())[:500]
            logger.warning("steps are not captured, they cannot be: %s", reason)
            self.fails = True
        return not self.fails

    def _fits(self, drawn: Drawn) -> bool:
        """Whether it can go where the recorded one was."""
        return self.drawn is None or all(map(alike, self.drawn, drawn))

    def _load(self, drawn: Drawn) -> None:
        """Put it where the graphs look."""
        if self.drawn is None:
            self.drawn = tuple(None if t is None else t.clone() for t in drawn)
            return
        for place, new in zip(self.drawn, drawn, strict=True):
            if place is not None and new is not None:
                place.copy_(new)


def alike(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether both are None, or tensors of one shape and type."""
    if a is None or b is None:
        return a is b
    return a.shape == b.shape and a.dtype == b.dtype
