"""The scale of an axis: which range shows the data well, and round ticks inside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

Segment = list[tuple[float, float]]
"""Points (step, value) that a line joins."""

SETTLING = 0.05
"""The share of a run's first steps that may leave the frame: they start far from the rest."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A range of values, laid over a number of pixels."""

    low: float
    high: float
    pixels: int

    def at(self, value: float) -> float:
        """Pixels from the low end; values far outside end some screens away."""
        share = (value - self.low) / (self.high - self.low)
        return min(max(share, -100.0), 100.0) * self.pixels

    def ticks(self, most: int) -> list[float]:
        """Multiples of 1, 2 or 5 times a power of ten in the range: up to about `most`."""
        step = round_step((self.high - self.low) / most)
        slack = 1e-9 * step
        first = math.ceil((self.low - slack) / step)
        last = math.floor((self.high + slack) / step)
        return [index * step for index in range(first, last + 1)]


def round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((m * power for m in (1, 2, 5) if m * power >= least * (1 - 1e-9)), 10 * power)


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks as text: thousands separated, and only the decimals that tell them apart."""
    if max(map(abs, ticks), default=0.0) >= 1e7:
        return [f"{tick:.3g}" if tick else "0" for tick in ticks]
    step = min((b - a for a, b in pairwise(ticks)), default=1.0)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return [f"{round(tick, decimals) + 0.0:,.{decimals}f}" for tick in ticks]


def even_labels(low: float, high: float, steps: int) -> list[str]:
    """Even steps from low to high as text, with as many decimals as they need, at most 2."""
    values = [low + (high - low) * index / (steps - 1) for index in range(steps)]
    exact = (d for d in range(2) if all(abs(v - round(v, d)) < 1e-9 for v in values))
    decimals = next(exact, 2)
    return [f"{round(v, decimals) + 0.0:.{decimals}f}" for v in values]


def value_range(series: Sequence[Segment]) -> tuple[float, float]:
    """The range of values to show: a run's bad start, or a spike, does not flatten the rest.

    It covers the values after the first 5 % of the steps, or all if there are none; of a series
    whose extremes lie far from its body it covers the body. Lines leave the frame there.
    """
    points = [point for segment in series for point in segment]
    start = SETTLING * max(step for step, _ in points)
    ranges = []
    for segment in series:
        settled = sorted(value for step, value in segment if step >= start)
        if settled:
            ranges.append(body(settled))
    low, high = min(r[0] for r in ranges), max(r[1] for r in ranges)
    room = max(0.06 * (high - low), 1e-3 * max(abs(low), abs(high))) or 1.0
    return low - room, high + room


def body(values: Sequence[float]) -> tuple[float, float]:
    """The extremes of sorted values, without outliers that dwarf the central 96 %."""
    cut = math.ceil(0.02 * len(values)) if len(values) >= 10 else 0
    low, high = values[cut], values[len(values) - 1 - cut]
    reach = 3 * (high - low)
    inside = [value for value in values if low - reach <= value <= high + reach]
    return inside[0], inside[-1]
