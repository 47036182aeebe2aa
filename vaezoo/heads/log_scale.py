"""Scales: fixed, learned or predicted, always bounded in the logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from vaezoo.heads.gaussian import bounded, checked_scale

ScaleKind = Literal["fixed", "learned", "elementwise", "predicted"]


@dataclass(frozen=True, kw_only=True)
class ScaleOptions:
    """Options of likelihoods with a location and a scale."""

    scale: ScaleKind = "learned"
    """fixed: `value`. learned: one parameter, starting at `value`. elementwise: such a parameter
    for each value of x. predicted: by the network, for each value of each x."""
    value: float = 1.0
    """Scale, in the data's own unit, to fix or to start from."""

    def __post_init__(self) -> None:
        checked_scale("value, a scale,", self.value)


class LogScale(nn.Module):
    """log s = log(value) + bounded(offset), so that s lies within e^±10 of ``value``.

    kind: the offset is 0 (fixed), one parameter (learned), a parameter for each value of x
    (elementwise), or from the network (predicted). others: how many numbers the network says of
    each value of x beside that.
    """

    def __init__(
        self, kind: ScaleKind, value: float, event_shape: tuple[int, ...], *, others: int = 1
    ) -> None:
        super().__init__()
        self.predicted = kind == "predicted"
        self.outputs = others + self.predicted
        self.input_shape = channels(event_shape, self.outputs)
        self.event_ndim = len(event_shape)
        self.register_buffer("start", torch.tensor(value).log())
        shape = event_shape if kind == "elementwise" else ()
        learned = kind in ("learned", "elementwise")
        self.offset = nn.Parameter(torch.zeros(shape)) if learned else None

    start: Tensor

    def forward(self, parameters: Tensor) -> tuple[Tensor, ...]:
        """(..., *input_shape) -> the others, (..., *event_shape) each, and log s.

        log s has their shape, or one that broadcasts against it.
        """
        others = parameters.chunk(self.outputs, dim=-self.event_ndim)
        offset: Tensor | None = self.offset
        if self.predicted:
            others, offset = others[:-1], others[-1]
        return *others, self.start if offset is None else self.start + bounded(offset)

    def parameters_of(self, first: Tensor) -> Tensor:
        """What a network must put out for the first of the others to be this, and all else 0.

        (*event_shape) -> (*input_shape).
        """
        return torch.cat([first, *[torch.zeros_like(first)] * (self.outputs - 1)])


def channels(event_shape: tuple[int, ...], outputs: int) -> tuple[int, ...]:
    """What a network puts out that has so many numbers to say of each value of x."""
    return (outputs * event_shape[0], *event_shape[1:])
