"""The course of a training: ELBO, reconstruction and KL over the steps, as three panels.

Lines are drawn several times too large and averaged down, text at its own size: both are smooth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from PIL import Image, ImageDraw

from vaezoo.errors import DataError
from vaezoo.pictures import text
from vaezoo.pictures.axes import Axis, Segment, tick_labels, value_range

PANEL, FRAME_HEIGHT = 490, 290
"""Width of a panel with its tick labels, and height of its frame, in pixels."""
MARGIN, FINE = 28, 4
LINE, DOT = 2.2, 4.5
"""Width of a line and radius of a dot."""
MOST_TICKS, MOST_DOTS = 7, 30
"""Ticks of an axis, and validations that are marked on their line."""

TITLES = {
    "elbo": ("ELBO", "nats per example, higher is better"),
    "loss": ("Loss", "lower is better"),
    "reconstruction": ("Reconstruction", "E_q[log p(x|z)], nats per example"),
    "kl": ("KL to the prior", "nats per example"),
}
# Blue and vermilion of Okabe and Ito: told apart with every kind of colour vision.
COLORS: dict[str, text.Color] = {"train": (0, 114, 178), "validation": (213, 94, 0)}
FRAME, RULES, AXIS = (255, 255, 255), (228, 230, 233), (150, 155, 162)

Lines = dict[str, list[Segment]]
"""By split, the segments of its line: a value that is not finite interrupts it."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One panel, measured: its name, lines and axes."""

    name: str
    lines: Lines
    x: Axis
    y: Axis

    def place(self, point: tuple[float, float]) -> tuple[float, float]:
        """A point (step, value), in pixels from the frame's top left corner."""
        return self.x.at(point[0]), self.y.pixels - self.y.at(point[1])


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
    face, small = text.font(24), text.font(16)
    width = 2 * MARGIN + PANEL * len(panels)
    header = text.wrap(caption, face, width - 2 * MARGIN)
    top = MARGIN + text.line_height(face) * len(header) + (12 if header else 0)

    plots, label_width = _measure(panels)
    sheet = Image.new("RGB", (width, top + FRAME_HEIGHT + 180), text.PAPER)
    draw = ImageDraw.Draw(sheet)
    middle = MARGIN + text.line_height(face) * len(header) / 2
    text.draw_lines(draw, header, face, (MARGIN, middle))

    at = MARGIN
    for split in (split for split in COLORS if any(split in lines for lines in panels.values())):
        draw.rounded_rectangle((at, top + 10, at + 28, top + 13), 2, fill=COLORS[split])
        text.draw_lines(draw, [split], text.font(18), (at + 38, top + 12))
        at += 38 + text.text_width([split], text.font(18)) + 30
    for index, plot in enumerate(plots):
        corner = (MARGIN + index * PANEL + label_width + 10, top + 104)
        _draw_plot(sheet, plot, corner, small)
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


def _measure(panels: Mapping[str, Lines]) -> tuple[list[Plot], int]:
    """The panels with their axes, and the width of the widest label left of them."""
    whole = {
        name: [[point for segment in segments for point in segment] for segments in lines.values()]
        for name, lines in panels.items()
    }
    last = max(step for lines in whole.values() for line in lines for step, _ in line) or 1.0
    ranges = {name: value_range(lines) for name, lines in whole.items()}
    labels = [
        tick_labels(Axis(low=low, high=high, pixels=FRAME_HEIGHT).ticks(MOST_TICKS))
        for low, high in ranges.values()
    ]
    label_width = max(text.text_width(column, text.font(16)) for column in labels)
    x = Axis(low=-0.02 * last, high=1.02 * last, pixels=PANEL - label_width - 10 - 26)
    plots = [
        Plot(name=name, lines=lines, x=x, y=Axis(low=low, high=high, pixels=FRAME_HEIGHT))
        for (name, lines), (low, high) in zip(panels.items(), ranges.values(), strict=True)
    ]
    return plots, label_width


def _draw_plot(sheet: Image.Image, plot: Plot, corner: tuple[int, int], face: text.Font) -> None:
    """Draw a panel whose frame has its top left corner at `corner`."""
    left, top = corner
    right, bottom = left + plot.x.pixels, top + plot.y.pixels
    draw = ImageDraw.Draw(sheet)
    title, unit = TITLES[plot.name]
    text.draw_lines(draw, [title], text.font(21), (left, top - 46))
    text.draw_lines(draw, [unit], face, (left, top - 20), color=text.MUTED)
    draw.rectangle((left, top, right, bottom), fill=FRAME)

    ticks = plot.y.ticks(MOST_TICKS)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        y = round(bottom - plot.y.at(tick))
        draw.line((left, y, right, y), fill=RULES)
        text.draw_lines(draw, [label], face, (left - 10, y), align="r", color=text.MUTED)
    ticks = _spaced_ticks(plot.x, face)
    for tick, label in zip(ticks, tick_labels(ticks), strict=True):
        x = round(left + plot.x.at(tick))
        draw.line((x, bottom, x, bottom + 5), fill=AXIS)
        text.draw_lines(draw, [label], face, (x, bottom + 20), align="m", color=text.MUTED)
    place = ((left + right) / 2, bottom + 46)
    text.draw_lines(draw, ["training steps"], face, place, align="m", color=text.MUTED)

    for split, segments in plot.lines.items():
        points = sum(map(len, segments))
        dots = points == 1 or (split == "validation" and points <= MOST_DOTS)
        lines = [[plot.place(point) for point in segment] for segment in segments]
        ink = _stroke(lines, (plot.x.pixels + 1, plot.y.pixels + 1), dots)
        sheet.paste(COLORS[split], (left, top), ink)
    draw.line((left, bottom, right, bottom), fill=AXIS)


def _spaced_ticks(x: Axis, face: text.Font) -> list[float]:
    """As many ticks of the horizontal axis as leave room between their labels."""
    for most in range(MOST_TICKS, 1, -1):
        ticks = x.ticks(most)
        widest = max(text.text_width([label], face) for label in tick_labels(ticks))
        if len(ticks) * (widest + 24) <= x.pixels:
            return ticks
    return x.ticks(1)


def _stroke(lines: Sequence[Segment], size: tuple[int, int], dots: bool) -> Image.Image:
    """How much of each pixel of a frame the lines cover: smooth lines, cut off at the frame."""
    ink = Image.new("L", (size[0] * FINE, size[1] * FINE))
    draw = ImageDraw.Draw(ink)
    for line in lines:
        fine = [((x + 0.5) * FINE, (y + 0.5) * FINE) for x, y in line]
        draw.line(fine, fill=255, width=round(LINE * FINE), joint="curve")
        for x, y in fine if dots or len(fine) == 1 else ():
            radius = DOT * FINE
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return ink.reduce(FINE)
