"""The course of several trainings, as lines to be drawn in one chart."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vaezoo.comparing.runs import ComparedRun, number
from vaezoo.pictures.axes import Segment
from vaezoo.pictures.curve import collect


@dataclass(frozen=True, kw_only=True)
class Line:
    """A run's line."""

    look: int
    """The place of its run, which gives colour and dashes."""
    name: str
    segments: Sequence[Segment]

    def scaled(self, factor: float) -> Line:
        """The same over another unit of the horizontal axis."""
        segments = [[(x * factor, value) for x, value in segment] for segment in self.segments]
        return replace(self, segments=segments)


def lines(
    runs: Mapping[int, ComparedRun], figure: str, split: str, *, over: str = "steps"
) -> list[Line]:
    """The lines of those runs that have recorded the figure of that split, by place.

    over: "steps", or "seconds" of training, without validation.
    """
    found = []
    for place, run in runs.items():
        segments = collect(run.records, figure).get(split, [])
        if over == "seconds" and segments:
            if (clock := seconds_at(run.records)) is None:
                continue
            segments = [[(clock(step), value) for step, value in each] for each in segments]
        if segments:
            found.append(Line(look=place, name=run.name, segments=segments))
    return found


def seconds_at(records: Sequence[Mapping[str, Any]]) -> Callable[[float], float] | None:
    """The seconds that training took up to a step, or None where they were not recorded.

    Between two records of training, time is taken to go by evenly.
    """
    steps, totals = [0.0], [0.0]
    for record in records:
        taken = number(record.get("seconds")) if record.get("split") == "train" else None
        if taken is not None and record["step"] > steps[-1]:
            steps.append(float(record["step"]))
            totals.append(totals[-1] + taken)
    if len(steps) == 1:
        return None

    def at(step: float) -> float:
        after = min(max(bisect_left(steps, step), 1), len(steps) - 1)
        (a, b), (low, high) = steps[after - 1 : after + 1], totals[after - 1 : after + 1]
        return low + (high - low) * min(1.0, (step - a) / (b - a))

    return at


def time_unit(seconds: float) -> tuple[str, float]:
    """The unit to show a time in, and its seconds."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return unit, size
    return "seconds", 1.0
