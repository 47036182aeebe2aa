"""A line chart as inline SVG: its colours are the page's, so it is dark where the page is."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vaezoo.comparing.curves import Line
from vaezoo.comparing.elements import Html, element
from vaezoo.pictures.axes import Axis, tick_labels, value_range

WIDTH, HEIGHT = 560, 330
ABOVE, BELOW, RIGHT = 14, 46, 14
GLYPH = 7.4
"""Width of a digit of a tick's label, at most, in the chart's units."""
MOST_TICKS = 6
MOST_DOTS = 30
"""Points that are marked on a line."""
COLORS = 6
"""Of the page: ``--line-0`` to ``--line-5``."""
DASHES = ("", "7 4", "2 4", "12 4 2 4", "16 5", "8 3 2 3 2 3")


def dash(look: int) -> str:
    """The dashes of a line. Six lines differ in colour and in dashes, more of them in either."""
    return DASHES[(look + look // COLORS) % len(DASHES)]


def swatch(look: int) -> Html:
    """A piece of a run's line, to stand beside its name."""
    line = element(
        "line",
        x1=1,
        y1=5,
        x2=33,
        y2=5,
        class_=f"line line-{look % COLORS}",
        stroke_dasharray=dash(look) or None,
    )
    return element("svg", line, class_="swatch", viewBox="0 0 34 10", aria_hidden="true")


def line_chart(lines: Sequence[Line], *, title: str, unit: str, x_title: str) -> Html:
    """Lines over one axis, with a grid; a bad start and spikes leave the frame.

    unit: what the vertical axis shows, below the title. x_title: what the horizontal one does.
    """
    whole = [[point for segment in line.segments for point in segment] for line in lines]
    last = max((x for points in whole for x, _ in points), default=1.0) or 1.0
    low, high = value_range(whole)
    y = Axis(low=low, high=high, pixels=HEIGHT - ABOVE - BELOW)
    y_ticks = y.ticks(MOST_TICKS)
    y_labels = tick_labels(y_ticks)
    left = 14 + GLYPH * max(map(len, y_labels), default=0)
    x = Axis(low=0.0, high=last * 1.02, pixels=round(WIDTH - left - RIGHT))
    x_ticks = x.ticks(MOST_TICKS)

    def place(point: tuple[float, float]) -> tuple[str, str]:
        return f"{left + x.at(point[0]):.1f}", f"{HEIGHT - BELOW - y.at(point[1]):.1f}"

    marks = []
    for tick, label in zip(y_ticks, y_labels, strict=True):
        _, at = place((0.0, tick))
        marks.append(element("line", x1=left, x2=WIDTH - RIGHT, y1=at, y2=at, class_="rule"))
        marks.append(_text(label, left - 7, float(at) + 4.5, "end"))
    bottom = HEIGHT - BELOW
    for tick, label in zip(x_ticks, tick_labels(x_ticks), strict=True):
        at, _ = place((tick, 0.0))
        marks.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 5, class_="axis"))
        marks.append(_text(label, float(at), bottom + 20, "middle"))
    marks.append(element("line", x1=left, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, class_="axis"))
    marks.append(_text(x_title, (left + WIDTH - RIGHT) / 2, HEIGHT - 6, "middle"))
    # An inner svg clips what leaves the frame, without the id that a clip-path would need.
    frame = element(
        "svg",
        *(piece for line in lines for piece in _drawn(line, place)),
        x=left,
        y=0,
        width=WIDTH - left,
        height=bottom + 4,
        viewBox=f"{left} 0 {WIDTH - left} {bottom + 4}",
    )
    names = ", ".join(line.name for line in lines)
    svg = element(
        "svg",
        *marks,
        frame,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title} ({unit}) over {x_title}: {names}",
        class_="chart",
    )
    caption = element("figcaption", element("strong", title), " ", element("small", unit))
    return element("figure", caption, svg)


def _drawn(line: Line, place: Callable[[tuple[float, float]], tuple[str, str]]) -> list[Html]:
    """A run's line, with dots that tell their values where there are few."""
    looks = {"class_": f"line line-{line.look % COLORS}"}
    pieces = []
    for segment in line.segments:
        points = " ".join(",".join(place(point)) for point in segment)
        dashes = dash(line.look) or None
        pieces.append(element("polyline", points=points, stroke_dasharray=dashes, **looks))
    count = sum(map(len, line.segments))
    for segment in line.segments:
        for point in segment if count <= MOST_DOTS or len(segment) == 1 else ():
            at_x, at_y = place(point)
            told = element("title", f"{line.name}: {point[1]:,.2f} at {point[0]:,.6g}")
            pieces.append(
                element("circle", told, cx=at_x, cy=at_y, r=3, class_=f"dot-{line.look % COLORS}")
            )
    return pieces


def _text(text: str, x: float, y: float, anchor: str) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)
