"""Panels of bars, in their own order or from the largest to the smallest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isfinite

from PIL import Image, ImageDraw

from vaezoo.errors import DataError
from vaezoo.pictures import text
from vaezoo.pictures.axes import Axis
from vaezoo.pictures.panel import (
    ABOVE,
    BELOW,
    BESIDE,
    BLUE,
    FINE,
    MOST_TICKS,
    TICK,
    TITLE,
    UNIT,
    Panel,
    Ticks,
    draw_frame,
    drawing,
    header,
)

MARGIN, FRAME_HEIGHT = 28, 260
NARROWEST, WIDEST, PITCH = 420, 1440, 64
"""Widths of a frame, and what a bar may take of it at most, in pixels."""
GREY: text.Color = (158, 164, 171)


@dataclass(frozen=True, kw_only=True)
class Bars:
    """One panel: a value for each of several things."""

    values: Sequence[float]
    """Those that are not finite have no bar."""
    names: Sequence[str]
    marked: Sequence[bool] | None = None
    """Which bars are blue, the others grey. None: all are blue."""
    title: str = ""
    unit: str = ""
    things: str = "dimensions"
    """What the bars stand for, where they are too many to be named."""
    ranked: bool = True
    """Sort them by value, the largest first."""
    floor: float | None = None
    """Lower values leave the frame."""


def bars(
    panels: Sequence[Bars], *, caption: str = "", legend: tuple[str, str] | None = None
) -> Image.Image:
    """Draw panels of bars, one below the other.

    Bars that are too many to be named are numbered: by rank, or from 0 in their own order.
    caption: what is seen, above all; long ones are wrapped. legend: what blue and grey bars are.
    """
    if not any(panel.values for panel in panels):
        raise DataError("There are no bars to draw: give at least one value.")
    frames = [_panel(panel) for panel in panels]
    left = MARGIN + max(frame.label_width for frame in frames) + BESIDE
    face = text.font(20)
    width = left + max(_needed(frame) for frame in frames) + MARGIN
    lines = text.wrap(caption, face, width - 2 * MARGIN)
    top = MARGIN + text.line_height(face) * len(lines) + 12
    entries = [] if legend is None else _wrapped(legend, width)
    head = top + sum(height for _, height in entries)
    each = ABOVE + 8 + FRAME_HEIGHT + BELOW
    sheet = Image.new("RGB", (width, head + each * len(frames) + MARGIN - 8), text.PAPER)
    header(sheet, lines, MARGIN, face)
    draw = ImageDraw.Draw(sheet)
    for color, (words, height) in zip((BLUE, GREY), entries, strict=False):
        middle = top + height / 2
        draw.rectangle((MARGIN, middle - 6, MARGIN + 22, middle + 6), fill=color)
        text.draw_lines(draw, words, text.font(17), (MARGIN + 34, middle))
        top += height
    for index, (frame, panel) in enumerate(zip(frames, panels, strict=True)):
        corner = (left, head + index * each + ABOVE + 8)
        draw_frame(sheet, frame, corner)
        _draw_bars(sheet, frame, panel, corner)
    return sheet


def order(panel: Bars) -> list[int]:
    """The bars from left to right; those that are not finite stand last where they are ranked."""
    values, places = panel.values, range(len(panel.values))
    if not panel.ranked:
        return [*places]
    return sorted(places, key=lambda i: -values[i] if isfinite(values[i]) else inf)


def _panel(panel: Bars) -> Panel:
    """The frame: zero is in it, and of the names all or none."""
    shown = [value for value in panel.values if isfinite(value)] or [0.0]
    low, high = min(0.0, *shown), max(0.0, *shown)
    if panel.floor is not None:
        low = max(low, panel.floor)
    room = 0.06 * (high - low) or 1.0
    y = Axis(low=low - room if low < 0 else 0.0, high=high + room, pixels=FRAME_HEIGHT)
    n = len(panel.values)
    names = [text.printable(panel.names[i]) for i in order(panel)]
    widest = text.text_width(names, text.font(TICK)) + 8
    named = n * widest <= WIDEST
    pixels = min(WIDEST, max(NARROWEST, n * min(PITCH, max(widest, 24))))
    x = Axis(low=-0.5, high=n - 0.5, pixels=pixels)
    ticks: Ticks = tuple((float(i), name) for i, name in enumerate(names))
    first = 1 if panel.ranked else 0
    if not named:
        numbers = Axis(low=first - 0.5, high=first + n - 0.5, pixels=pixels).ticks(MOST_TICKS)
        ticks = tuple((number - first, f"{number:,.0f}") for number in numbers)
    title, unit = text.printable(panel.title), text.printable(panel.unit)
    which = "rank" if panel.ranked else "place"
    x_title = "" if named else f"{which} among the {n:,} {panel.things}"
    return Panel(x=x, y=y, title=title, unit=unit, x_title=x_title, x_ticks=ticks)


def _needed(frame: Panel) -> int:
    """The width of a frame, or of the words above it."""
    words = text.text_width([frame.title], text.font(TITLE))
    return max(frame.x.pixels, words, text.text_width([frame.unit], text.font(UNIT)))


def _wrapped(legend: tuple[str, str], width: int) -> list[tuple[list[str], int]]:
    """The lines of each entry, and their height."""
    face = text.font(17)
    entries = [text.wrap(words, face, width - 2 * MARGIN - 34) for words in legend]
    return [(lines, text.line_height(face) * len(lines) + 6) for lines in entries]


def _draw_bars(sheet: Image.Image, frame: Panel, panel: Bars, corner: tuple[int, int]) -> None:
    thickness = 0.72 if frame.x.pixels / len(panel.values) > 4 else 1.0
    with drawing(sheet, frame, corner) as draw:
        for rank, i in enumerate(order(panel)):
            value = panel.values[i]
            if not isfinite(value):
                continue
            left, top = frame.place(rank - thickness / 2, max(value, 0.0))
            right, bottom = frame.place(rank + thickness / 2, min(value, 0.0))
            box = tuple(FINE * edge for edge in (left, top, right, bottom + 1))
            blue = panel.marked is None or panel.marked[i]
            draw.rectangle(box, fill=BLUE if blue else GREY)
