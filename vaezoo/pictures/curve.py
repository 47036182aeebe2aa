"""The course of a training: ELBO, reconstruction and KL over the steps, as three panels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any

from PIL import Image, ImageDraw

from vaezoo.errors import DataError
from vaezoo.pictures import text
from vaezoo.pictures.axes import Axis, Segment, value_range
from vaezoo.pictures.panel import (
    BESIDE,
    BLUE,
    FINE,
    VERMILION,
    Panel,
    dot,
    draw_frame,
    drawing,
    fine,
    header,
)

PANEL, FRAME_HEIGHT = 490, 290
"""Width of a panel with its tick labels, and height of its frame, in pixels."""
MARGIN = 28
LINE, DOT = 2.2, 4.5
"""Width of a line and radius of a dot."""
MOST_DOTS = 30
"""Validations that are marked on their line."""

TITLES = {
    "elbo": ("ELBO", "nats per example, higher is better"),
    "loss": ("Loss", "lower is better"),
    "reconstruction": ("Reconstruction", "E_q[log p(x|z)], nats per example"),
    "kl": ("KL to the prior", "nats per example"),
}
COLORS: dict[str, text.Color] = {"train": BLUE, "validation": VERMILION}

Lines = dict[str, list[Segment]]
"""By split, the segments of its line: a value that is not finite interrupts it."""


def training_curve(records: Sequence[Mapping[str, Any]], *, caption: str = "") -> Image.Image:
    """Draw ELBO, reconstruction and KL of the training and validation data over the steps.

    A bad start and spikes leave the frame instead of flattening the rest.

    Args:
        records: the lines of a run's `metrics.jsonl`: "split" ("train" or "validation"), "step",
            and any of "elbo", "reconstruction" and "kl" in nats. Of several values for one step,
            as a resumed run leaves them, the last counts. Where no "elbo" was recorded, "loss"
            takes its place.
        caption: what is seen, above the panels; long ones are wrapped.
    """
    panels = {name: collect(records, name) for name in TITLES}
    if panels["elbo"]:
        del panels["loss"]
    panels = {name: lines for name, lines in panels.items() if lines}
    if not panels:
        raise DataError(
            f"There is no training to draw in {len(records)} records: none has a split (train or "
            f"validation), a step, and a finite value of {', '.join(TITLES)}. "
            "Pass the lines of a run's metrics.jsonl."
        )
    face = text.font(24)
    width = 2 * MARGIN + PANEL * len(panels)
    lines = text.wrap(caption, face, width - 2 * MARGIN)
    top = MARGIN + text.line_height(face) * len(lines) + (12 if lines else 0)

    measured, label_width = _measure(panels)
    sheet = Image.new("RGB", (width, top + FRAME_HEIGHT + 180), text.PAPER)
    draw = ImageDraw.Draw(sheet)
    header(sheet, lines, MARGIN, face)

    at = MARGIN
    for split in (split for split in COLORS if any(split in lines for lines in panels.values())):
        draw.rounded_rectangle((at, top + 10, at + 28, top + 13), 2, fill=COLORS[split])
        text.draw_lines(draw, [split], text.font(18), (at + 38, top + 12))
        at += 38 + text.text_width([split], text.font(18)) + 30
    for index, (name, panel) in enumerate(measured.items()):
        corner = (MARGIN + index * PANEL + label_width + BESIDE, top + 104)
        draw_frame(sheet, panel, corner)
        for split, segments in panels[name].items():
            _draw_line(sheet, panel, corner, split, segments)
    return sheet


def collect(records: Sequence[Mapping[str, Any]], name: str) -> Lines:
    """The finite values of `name` by split, in the order of the steps."""
    lines = {}
    for split in COLORS:
        values = {
            float(record["step"]): _number(record[name])
            for record in records
            if record.get("split") == split and name in record
            if math.isfinite(_number(record.get("step")))
        }
        segments: list[Segment] = [[]]
        for step, value in sorted(values.items()):
            if math.isfinite(value):
                segments[-1].append((step, value))
            elif segments[-1]:
                segments.append([])
        if segments[0]:
            lines[split] = [segment for segment in segments if segment]
    return lines


def _number(value: object) -> float:
    """`value` as a float; NaN if it is none, as null in JSON is."""
    return float(value) if isinstance(value, Real) else math.nan


def _measure(panels: Mapping[str, Lines]) -> tuple[dict[str, Panel], int]:
    """The panels with their axes, and the width of the widest label left of them."""
    whole = {
        name: [[point for segment in segments for point in segment] for segments in lines.values()]
        for name, lines in panels.items()
    }
    last = max(step for lines in whole.values() for line in lines for step, _ in line) or 1.0
    x = Axis(low=-0.02 * last, high=1.02 * last, pixels=PANEL)
    measured = {}
    for name, lines in whole.items():
        low, high = value_range(lines)
        y = Axis(low=low, high=high, pixels=FRAME_HEIGHT)
        title, unit = TITLES[name]
        measured[name] = Panel(x=x, y=y, title=title, unit=unit, x_title="training steps")
    label_width = max(panel.label_width for panel in measured.values())
    x = replace(x, pixels=PANEL - label_width - BESIDE - 26)
    return {name: replace(panel, x=x) for name, panel in measured.items()}, label_width


def _draw_line(
    sheet: Image.Image,
    panel: Panel,
    corner: tuple[int, int],
    split: str,
    segments: Sequence[Segment],
) -> None:
    """Draw a split's line, with dots where there are few points."""
    points = sum(map(len, segments))
    dots = points == 1 or (split == "validation" and points <= MOST_DOTS)
    with drawing(sheet, panel, corner) as draw:
        for segment in segments:
            line = [fine(panel.place(*point)) for point in segment]
            draw.line(line, fill=COLORS[split], width=round(LINE * FINE), joint="curve")
            for at in line if dots or len(line) == 1 else ():
                dot(draw, at, DOT * FINE, COLORS[split])
