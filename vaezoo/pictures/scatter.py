"""A scatter: one dot for each example, coloured by its class.

Shapes: N examples, D latent dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures import text
from vaezoo.pictures.axes import Axis, body
from vaezoo.pictures.panel import (
    ABOVE,
    BELOW,
    BESIDE,
    BLUE,
    FINE,
    Panel,
    dot,
    draw_frame,
    drawing,
    fine,
    header,
)

# Petroff 2021, Accessible Color Sequences for Data Visualization (arXiv:2107.02270): ten colours
# that stay apart with every kind of colour vision.
PALETTE: tuple[text.Color, ...] = (
    (63, 144, 218),
    (255, 169, 14),
    (189, 31, 1),
    (148, 164, 162),
    (131, 45, 182),
    (169, 107, 89),
    (231, 99, 0),
    (185, 172, 112),
    (113, 117, 129),
    (146, 218, 221),
)
OTHERS: text.Color = (205, 208, 212)
"""Of examples without a class, and of the classes that the palette has no colour for."""
MARGIN, RIGHT, SIDE, STRIP = 28, 40, 640, 200
"""Width of the paper around, and right of the last tick's middle; side of the square frame, and
height of that of one dimension."""
LEGEND, SWATCH, OPACITY = 240, 26, 190


@dataclass(frozen=True)
class Group:
    """Dots of one colour, with their name in the legend."""

    name: str
    color: text.Color
    labels: tuple[int, ...]


def scatter(
    points: Tensor,
    y: Tensor | None = None,
    *,
    classes: Sequence[str] = (),
    x_title: str = "",
    y_title: str = "",
    caption: str = "",
) -> Image.Image:
    """Draw one dot for each example. A unit is as long on one axis as on the other.

    Args:
        points: (N, 2), or (N, 1), which are spread over arbitrary heights. Points far from all
            others leave the frame, and the caption counts them; those that are not finite too.
        y: labels (N,), which colour the dots; -1 where unlabelled.
        classes: the classes' names; none for their numbers.
        x_title: what goes to the right.
        y_title: what goes upwards.
        caption: what is seen, above the frame; long ones are wrapped.
    """
    places, kept = upright(points)
    labels = None if y is None else y.detach().cpu()[kept]
    flat = points.shape[1] == 1
    panel = frame_of(places, SIDE, flat=flat, x_title=x_title, unit=y_title)
    caption += lost(places, panel, len(points))

    groups = [] if labels is None else group(labels, classes)
    colors = {label: each.color for each in groups for label in each.labels}
    shades = [BLUE] * len(places) if labels is None else [colors[y] for y in labels.tolist()]
    names = [each.name for each in groups]
    room = panel.y.pixels / max(len(names), 1)
    name_face, name_lines = text.fit(names, 18, LEGEND, room)
    heights = [max(1.3 * text.line_height(name_face) * len(lines), 24) for lines in name_lines]
    beside = 40 + SWATCH + text.text_width([n for lines in name_lines for n in lines], name_face)
    left = MARGIN + panel.label_width + BESIDE
    width = left + panel.x.pixels + (beside + MARGIN if names else RIGHT)

    face = text.font(20)
    lines = text.wrap(caption, face, width - 2 * MARGIN)
    top = MARGIN + text.line_height(face) * len(lines) + ABOVE - 20
    below = max(panel.y.pixels + BELOW, round(sum(heights)))
    sheet = Image.new("RGB", (width, top + below + MARGIN - 8), text.PAPER)
    header(sheet, lines, MARGIN, face)
    draw_frame(sheet, panel, (left, top))
    draw_dots(sheet, panel, (left, top), places, shades)

    draw, x, at = ImageDraw.Draw(sheet), left + panel.x.pixels + 34, float(top)
    for each, name, height in zip(groups, name_lines, heights, strict=True):
        middle = at + height / 2
        draw.ellipse((x, middle - 7, x + 14, middle + 7), fill=each.color)
        text.draw_lines(draw, name, name_face, (x + SWATCH, middle))
        at += height
    return sheet


def group(labels: Tensor, classes: Sequence[str]) -> list[Group]:
    """The legend of labels (N,): a colour for each of the first ten classes that there are."""
    present = sorted(set(labels.tolist()))
    named = [label for label in present if label >= 0]
    shown = named[: len(PALETTE)]
    groups = []
    for label in shown:
        name = classes[label] if label < len(classes) else str(label)
        # Its own colour in every picture of these data, also where other classes are absent.
        color = PALETTE[label if named[-1] < len(PALETTE) else shown.index(label)]
        groups.append(Group(name, color, (label,)))
    if rest := tuple(named[len(PALETTE) :]):
        groups.append(Group(f"{len(rest)} other classes", OTHERS, rest))
    if -1 in present:
        groups.append(Group("unlabelled", OTHERS, (-1,)))
    return groups


def upright(points: Tensor) -> tuple[Tensor, Tensor]:
    """The finite points (n, 2) of (N, 2) or (N, 1), in float64, and which they are: (N,) bool.

    Those of one dimension are spread over heights in [0, 1) in an order without pattern, by
    multiples of the golden ratio. Raises DataError where there is nothing to draw.
    """
    if points.ndim != 2 or points.shape[1] not in (1, 2):
        shape = tuple(points.shape)
        raise DataError(f"A scatter needs points of shape (N, 2) or (N, 1), not {shape}.")
    points = points.detach().double().cpu()
    kept = points.isfinite().all(1)
    if not kept.any():
        raise DataError(f"None of the {len(points)} points is finite: there is nothing to draw.")
    places = points[kept]
    if places.shape[1] == 1:
        heights = (torch.arange(len(places), dtype=torch.float64) * (sqrt(5) - 1) / 2).frac()
        places = torch.cat([places, heights.unsqueeze(1)], dim=1)
    return places, kept


def frame_of(
    places: Tensor, side: int, *, flat: bool, x_title: str, unit: str, title: str = ""
) -> Panel:
    """A square with one scale for points (N, 2); if flat, a strip whose height says nothing.

    It covers the body of the points: few far ones do not crowd the others together.
    """
    columns = places[:, :1].unbind(1) if flat else places.unbind(1)
    ranges = [body(column.sort().values.tolist()) for column in columns]
    middles = [(low + high) / 2 for low, high in ranges]
    reach = 0.53 * max(high - low for low, high in ranges)
    reach = max(reach, 1e-3 * max(map(abs, middles))) or 0.5
    x, *rest = (Axis(low=m - reach, high=m + reach, pixels=side) for m in middles)
    strip = Axis(low=-0.1, high=1.1, pixels=min(STRIP, side))
    y, ticks = (rest[0], None) if rest else (strip, ())
    return Panel(x=x, y=y, y_ticks=ticks, x_title=x_title, unit=unit, title=title)


def lost(places: Tensor, panel: Panel, n: int) -> str:
    """The tail of a caption that counts which of ``n`` points the frame does not show."""
    low = torch.tensor([panel.x.low, panel.y.low], dtype=torch.float64)
    high = torch.tensor([panel.x.high, panel.y.high], dtype=torch.float64)
    outside = int(((places < low) | (places > high)).any(1).sum())
    notes = [(outside, "far from the others, outside of the frame")]
    notes += [(n - len(places), "not finite")]
    return "".join(f"; {count:,} {what}" for count, what in notes if count)


def draw_dots(
    sheet: Image.Image,
    panel: Panel,
    corner: tuple[int, int],
    places: Tensor,
    colors: Sequence[text.Color],
) -> None:
    """The dots in the order of the examples, so that no class hides another; grey ones below."""
    radius = min(5.0, max(2.2, 120 / sqrt(len(places)))) * FINE
    order = sorted(range(len(places)), key=lambda i: colors[i] != OTHERS)
    rows = places.tolist()
    with drawing(sheet, panel, corner) as draw:
        for i in order:
            dot(draw, fine(panel.place(*rows[i])), radius, (*colors[i], OPACITY))
