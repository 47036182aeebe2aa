"""A panel: a frame with titles and axes, and drawing in it.

Lines, dots and bars are drawn several times too large and averaged down, text at its own size:
both are smooth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vaezoo.pictures import text
from vaezoo.pictures.axes import Axis, tick_labels

FINE = 4
MOST_TICKS = 7
TITLE, UNIT, TICK = 21, 16, 16
"""Sizes of text, in pixels."""
ABOVE, BELOW, BESIDE = 60, 62, 10
"""Room that a frame needs for its titles, for its horizontal axis, and beside its ticks' labels,
in pixels."""
FRAME, RULES, AXIS = (255, 255, 255), (228, 230, 233), (150, 155, 162)

# Blue and vermilion of Okabe and Ito: told apart with every kind of colour vision.
BLUE: text.Color = (0, 114, 178)
VERMILION: text.Color = (213, 94, 0)

Ticks = tuple[tuple[float, str], ...]
"""Places on an axis, each with its label."""


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A frame, measured: its axes, and what is written around it."""

    x: Axis
    y: Axis
    title: str = ""
    unit: str = ""
    """What the vertical axis shows, above the frame."""
    x_title: str = ""
    """What the horizontal axis shows, below the frame."""
    x_ticks: Ticks | None = None
    """None: round values."""
    y_ticks: Ticks | None = None
    """None: round values."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frame in pixels."""
        return self.x.pixels + 1, self.y.pixels + 1

    @property
    def label_width(self) -> int:
        """Of the widest label left of the frame."""
        labels = [label for _, label in self.marks_of_y()]
        return text.text_width(labels, text.font(TICK))

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point, in pixels from the frame's top left corner."""
        return self.x.at(x), self.y.pixels - self.y.at(y)

    def marks_of_x(self) -> Ticks:
        """As many ticks of the horizontal axis as leave room between their labels."""
        if self.x_ticks is not None:
            return self.x_ticks
        for most in range(MOST_TICKS, 1, -1):
            ticks = self.x.ticks(most)
            labels = tick_labels(ticks)
            widest = text.text_width(labels, text.font(TICK))
            if len(ticks) * (widest + 24) <= self.x.pixels:
                return tuple(zip(ticks, labels, strict=True))
        ticks = self.x.ticks(1)
        return tuple(zip(ticks, tick_labels(ticks), strict=True))

    def marks_of_y(self) -> Ticks:
        """The ticks of the vertical axis."""
        if self.y_ticks is not None:
            return self.y_ticks
        ticks = self.y.ticks(MOST_TICKS)
        return tuple(zip(ticks, tick_labels(ticks), strict=True))


def draw_frame(sheet: Image.Image, panel: Panel, corner: tuple[int, int]) -> None:
    """Draw a panel without what it shows; its frame has its top left corner at ``corner``."""
    left, top = corner
    right, bottom = left + panel.x.pixels, top + panel.y.pixels
    draw, face = ImageDraw.Draw(sheet), text.font(TICK)
    text.draw_lines(draw, [panel.title], text.font(TITLE), (left, top - 46))
    at = (left, top - 20)
    text.draw_lines(draw, [panel.unit], text.font(UNIT), at, color=text.MUTED)
    draw.rectangle((left, top, right, bottom), fill=FRAME)
    for tick, label in panel.marks_of_y():
        y = round(bottom - panel.y.at(tick))
        draw.line((left, y, right, y), fill=RULES)
        text.draw_lines(draw, [label], face, (left - BESIDE, y), align="r", color=text.MUTED)
    for tick, label in panel.marks_of_x():
        x = round(left + panel.x.at(tick))
        draw.line((x, bottom, x, bottom + 5), fill=AXIS)
        text.draw_lines(draw, [label], face, (x, bottom + 20), align="m", color=text.MUTED)
    middle = ((left + right) / 2, bottom + 46)
    text.draw_lines(draw, [panel.x_title], text.font(UNIT), middle, align="m", color=text.MUTED)
    draw.line((left, bottom, right, bottom), fill=AXIS)


@contextmanager
def drawing(
    sheet: Image.Image, panel: Panel, corner: tuple[int, int]
) -> Iterator[ImageDraw.ImageDraw]:
    """Draw in a panel's frame, in units of 1/FINE pixel: smooth, cut off at the frame.

    Colours may have a fourth number, their opacity from 0 to 255.
    """
    left, top = corner
    width, height = panel.size
    part = sheet.crop((left, top, left + width, top + height))
    part = part.resize((width * FINE, height * FINE), Image.Resampling.NEAREST)
    yield ImageDraw.Draw(part, "RGBA")
    sheet.paste(part.reduce(FINE), corner)


def dot(
    draw: ImageDraw.ImageDraw,
    at: tuple[float, float],
    radius: float,
    color: tuple[int, ...],
) -> None:
    """A disc around a point of ``drawing``, in units of 1/FINE pixel."""
    x, y = at
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def fine(place: tuple[float, float]) -> tuple[float, float]:
    """The middle of a frame's pixel, in the units of ``drawing``."""
    return (place[0] + 0.5) * FINE, (place[1] + 0.5) * FINE


def header(sheet: Image.Image, lines: Sequence[str], margin: int, face: text.Font) -> None:
    """The wrapped caption at the top left of a sheet."""
    middle = margin + text.line_height(face) * len(lines) / 2
    text.draw_lines(ImageDraw.Draw(sheet), lines, face, (margin, middle))
