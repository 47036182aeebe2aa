"""Codes coloured by the factors of variation that their examples are known to have.

Shapes: N examples, D latent dimensions, F factors.
"""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures import text
from vaezoo.pictures.latents import projected
from vaezoo.pictures.panel import ABOVE, BELOW, BESIDE, TITLE, draw_frame, header
from vaezoo.pictures.scatter import draw_dots, frame_of, lost, upright

# Anchors of viridis (van der Walt and Smith 2015): even in lightness, for every kind of sight.
RAMP: tuple[text.Color, ...] = (
    (68, 1, 84),
    (59, 82, 139),
    (33, 145, 140),
    (94, 201, 98),
    (253, 231, 37),
)
MARGIN, SIDE, PER_ROW = 28, 330, 3


def factor_codes(
    codes: Tensor,
    factors: Tensor,
    names: Sequence[str],
    sizes: Sequence[int],
    *,
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """The scatter of `latent_codes` once for each factor, from dark to bright by its value.

    Args:
        codes: posterior means (N, D). More than two dimensions are projected on their first two
            principal components.
        factors: what the examples show, (N, F), integers from 0.
        names: of the factors.
        sizes: how many values each factor takes.
        of: which examples; the default caption ends with it.
        caption: instead of the default one.
    """
    if factors.shape != (len(codes), len(names)) or len(sizes) != len(names):
        raise DataError(
            f"The factors of {len(codes)} examples have shape {tuple(factors.shape)}, for "
            f"{len(names)} names and {len(sizes)} sizes; valid is (N, F), F names and F sizes."
        )
    points, (x_title, y_title), how, _ = projected(codes)
    places, kept = upright(points)
    titles = [
        text.printable(f"{name}: 0 to {size - 1}") for name, size in zip(names, sizes, strict=True)
    ]
    flat, axes = points.shape[1] == 1, {"x_title": x_title, "unit": y_title}
    panels = [frame_of(places, SIDE, flat=flat, title=title, **axes) for title in titles]
    if caption is None:
        caption = f"Codes: posterior means{how}, coloured by each known factor, dark where it is 0"
        caption += f"; {of}" if of else ""
    caption += lost(places, panels[0], len(points))
    beside = panels[0].label_width + BESIDE
    widest = max(text.text_width([title], text.font(TITLE)) for title in titles)
    pitch = beside + max(SIDE, widest) + MARGIN
    columns = min(PER_ROW, len(panels))
    width = MARGIN + columns * pitch
    face = text.font(20)
    lines = text.wrap(caption, face, width - 2 * MARGIN)
    head = MARGIN + text.line_height(face) * len(lines)
    each = ABOVE + 8 + panels[0].y.pixels + BELOW
    rows = -(-len(panels) // columns)
    sheet = Image.new("RGB", (width, head + rows * each + MARGIN - 8), text.PAPER)
    header(sheet, lines, MARGIN, face)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        corner = (MARGIN + column * pitch + beside, head + row * each + ABOVE + 8)
        values = factors[:, index].cpu()[kept].tolist()
        draw_frame(sheet, panel, corner)
        draw_dots(sheet, panel, corner, places, [ramp(v, sizes[index]) for v in values])
    return sheet


def ramp(value: int, size: int) -> text.Color:
    """The colour of one of ``size`` values, from dark to bright."""
    place = value / max(size - 1, 1) * (len(RAMP) - 1)
    low = min(int(place), len(RAMP) - 2)
    share = place - low
    red, green, blue = (
        round((1 - share) * a + share * b) for a, b in zip(RAMP[low], RAMP[low + 1], strict=True)
    )
    return red, green, blue
