"""A sheet: rows of images on paper, with even gaps, labels and a caption.

Everything is measured in whole pixels. An image is enlarged by a whole number, each of its pixels
becoming a square, and never made smaller, so nothing is blurred or lost.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures import text

MARGIN = 28
FILL = (1500, 1400)
"""Small sheets are enlarged until they are about this many pixels wide or high, ..."""
LARGEST_CELL = 192
"""... or the longer side of their cells is this long."""
MIN_CELL = 56
NARROWEST_CAPTION, LONGEST_LABEL = 460, 280
READABLE, MOST_GROWN = 14, 4
"""Size of labels for which low rows are set further apart, on a sheet that is no wider than FILL.
Text of a wider one grows with it, up to so many times, to be read when the sheet is shown small.
"""
NOT_A_NUMBER = (255, 0, 255)
"""Colour of a pixel that is NaN: no picture of a healthy model has it."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Where the cells of a sheet lie: pixels of the sheet, from the first cell's top left."""

    width: int
    height: int
    row: int
    """Height of a row: its images', or more if its label needs it."""
    gap: int
    group: int
    """Rows that belong together; 0 means that all do. A wider gap follows them."""

    @property
    def above(self) -> int:
        """How much of a row lies above its images."""
        return (self.row - self.height) // 2

    def left(self, column: int) -> int:
        return column * (self.width + self.gap)

    def top(self, row: int) -> int:
        groups_above = row // self.group if self.group else 0
        apart = max(3 * self.gap, 12, self.row - self.height)
        return row * (self.row + self.gap) + groups_above * apart + self.above

    def middle(self, row: int, column: int) -> tuple[float, float]:
        return self.left(column) + self.width / 2, self.top(row) + self.height / 2


def check_images(images: Tensor, what: str = "images") -> None:
    """Refuse what cannot be shown: pictures need (N, C, H, W) with C 1 or 3, floats or bytes."""
    shape = tuple(images.shape)
    if images.ndim != 4 or shape[1] not in (1, 3):
        raise DataError(
            f"Cannot draw {what} of shape {shape}: pictures need (N, C, H, W) with C 1 (grey) or "
            "3 (RGB). Vectors and other channel counts have no picture; reshape them first."
        )
    if 0 in shape:
        raise DataError(f"Cannot draw {what} of shape {shape}: there is nothing in them to show.")
    if not (images.is_floating_point() or images.dtype == torch.uint8):
        raise DataError(
            f"Cannot draw {what} of type {images.dtype}: pictures need floating-point values in "
            "[0, 1], or bytes (torch.uint8)."
        )


def to_bytes(images: Tensor) -> Tensor:
    """(N, C, H, W) in [0, 1], clamped, to (N, H, W, 3) bytes on the CPU; NaN stands out."""
    images = images.detach().cpu().expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    if images.dtype == torch.uint8:
        return images
    values = images.float()
    pixels = (values.clamp(0, 1).nan_to_num() * 255).round().to(torch.uint8)
    broken = values.isnan().any(dim=-1, keepdim=True)
    return torch.where(broken, torch.tensor(NOT_A_NUMBER, dtype=torch.uint8), pixels)


def scale(rows: int, columns: int, height: int, width: int, gap: int, min_cell: int) -> int:
    """By which whole number to enlarge images of this size so that their sheet reads well."""
    fills = min(FILL[0] // (columns * (width + gap)), FILL[1] // (rows * (height + gap)))
    fills = min(fills, LARGEST_CELL // max(height, width))
    return max(1, fills, -(-min_cell // max(height, width)))


def draw_sheet(
    rows: Sequence[Tensor],
    columns: int,
    *,
    caption: str = "",
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    gap: int = 2,
    min_cell: int = MIN_CELL,
    rows_per_group: int = 0,
) -> Image.Image:
    """`grid` for rows that need not be full: each is (up to `columns`, C, H, W), one H and W."""
    _check_labels(row_labels, len(rows), "row")
    _check_labels(column_labels, columns, "column")
    height, width = rows[0].shape[-2:]
    factor = scale(len(rows), columns, height, width, gap, min_cell)
    gap *= min(max(factor, 2), 4)
    wide = columns * (width * factor + gap) - gap
    grown = min(max(wide / FILL[0], 1.0), MOST_GROWN)
    size = round(min(24, max(18, wide // 60)) * grown)
    least = text.line_height(text.font(round(READABLE * grown)))
    cells = Cells(
        width=width * factor,
        height=height * factor,
        row=max(height * factor, least if row_labels else 0),
        gap=gap,
        group=rows_per_group,
    )
    high = cells.top(len(rows) - 1) + cells.row - cells.above

    row_face, row_lines = text.fit(row_labels, size - 3, LONGEST_LABEL * grown, cells.row)
    label_width = max((text.text_width(lines, row_face) + 12 for lines in row_lines), default=0)
    column_face, column_lines = text.fit(
        column_labels, size - 3, cells.width, max(cells.height, least)
    )
    label_height = max(map(len, column_lines), default=0) * text.line_height(column_face)

    face = text.font(size)
    wide += label_width
    lines = text.wrap(caption, face, max(wide, NARROWEST_CAPTION))
    caption_height = len(lines) * text.line_height(face)

    left = MARGIN + label_width
    top = MARGIN + caption_height + (14 if lines else 0)
    top += label_height + (4 if column_lines else 0)
    wide = max(wide, text.text_width(lines, face))
    sheet = Image.new("RGB", (wide + 2 * MARGIN, top + high + MARGIN), text.PAPER)
    for row, images in enumerate(rows):
        for column, pixels in enumerate(_enlarge(to_bytes(images), factor)):
            corner = (left + cells.left(column), top + cells.top(row))
            sheet.paste(Image.fromarray(pixels.numpy()), corner)

    draw = ImageDraw.Draw(sheet)
    text.draw_lines(draw, lines, face, (MARGIN, MARGIN + caption_height / 2))
    for row, label in enumerate(row_lines):
        at = (float(left - 12), top + cells.middle(row, 0)[1])
        text.draw_lines(draw, label, row_face, at, align="r", color=text.MUTED)
    for column, label in enumerate(column_lines):
        at = (left + cells.middle(0, column)[0], top - 4 - label_height / 2)
        text.draw_lines(draw, label, column_face, at, align="m", color=text.MUTED)
    return sheet


def _enlarge(pixels: Tensor, factor: int) -> Tensor:
    """(N, H, W, 3) to (N, H·factor, W·factor, 3), without interpolation."""
    return pixels.repeat_interleave(factor, dim=1).repeat_interleave(factor, dim=2)


def _check_labels(labels: Sequence[str], count: int, what: str) -> None:
    if isinstance(labels, str) or len(labels) not in (0, count):
        raise DataError(
            f"Got {len(labels)} {what} labels for {count} {what}s: {labels!r}. "
            f"Give a list with one for each {what}, or none."
        )
