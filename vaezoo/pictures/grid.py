"""A grid of images, and saving a picture so that a reader never finds half of it.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures.sheet import MIN_CELL, check_images, draw_sheet


def grid(
    images: Tensor,
    columns: int,
    *,
    caption: str = "",
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    gap: int = 2,
    min_cell: int = MIN_CELL,
    rows_per_group: int = 0,
) -> Image.Image:
    """Draw images row by row on a light sheet; cells without an image are left as paper.

    Args:
        images: (N, C, H, W), C 1 (grey) or 3 (RGB), floats in [0, 1] or bytes; floats outside
            are clamped, pixels that are NaN are magenta.
        columns: images in a row.
        caption: what is seen, above the images; long ones are wrapped to the sheet's width.
        row_labels: none, or one for each row, left of it.
        column_labels: none, or one for each column, above it.
        gap: between images, the same everywhere. It grows with what the images are enlarged by:
            2 makes 4 pixels of the sheet up to twofold and 8 from fourfold.
        min_cell: what the longer side of an enlarged image measures at least, in pixels of the
            sheet. Images are enlarged by a whole number without interpolation.
        rows_per_group: if positive, a wider gap follows every so many rows.
    """
    check_images(images)
    if columns < 1 or gap < 0:
        raise DataError(f"A grid needs columns >= 1 and gap >= 0, not {columns} and {gap}.")
    return draw_sheet(
        torch.split(images, columns),
        columns,
        caption=caption,
        row_labels=row_labels,
        column_labels=column_labels,
        gap=gap,
        min_cell=min_cell,
        rows_per_group=rows_per_group,
    )


def check_png(path: str | os.PathLike[str]) -> Path:
    """The path of a picture. Raises DataError for a name that does not end in .png."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise DataError(f"Pictures are PNG files: {str(path)!r} must end in .png.")
    return path


def save_png(image: Image.Image, path: str | os.PathLike[str]) -> Path:
    """Write `image` as PNG in one step, making missing folders, and return the path.

    The file appears complete or not at all: it is written beside its place and then moved there.
    Raises DataError for a name that does not end in .png.
    """
    path = check_png(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        image.save(partial, format="PNG")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path
