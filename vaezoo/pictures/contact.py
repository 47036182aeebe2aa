"""A contact sheet: what the examples of a data set look like.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import torch
from PIL import Image
from torch import Tensor

from vaezoo.pictures.grid import grid
from vaezoo.pictures.sheet import check_images, draw_sheet

MOST_CLASSES = 20
"""More classes than this are not told apart."""


def contact_sheet(
    images: Tensor, y: Tensor | None = None, *, classes: Sequence[str] = (), caption: str = ""
) -> Image.Image:
    """The images, about in a square; or with few classes each of them in a row of its own.

    Args:
        images: (N, C, H, W), C 1 (grey) or 3 (RGB), floats in [0, 1] or bytes.
        y: labels (N,); -1 is unlabelled. A class without images gets no row.
        classes: the classes' names; none for their numbers.
        caption: what is seen, above the images.
    """
    check_images(images, "examples")
    labels = [] if y is None else torch.unique(y).tolist()
    if y is None or len(labels) > MOST_CLASSES:
        return grid(images, ceil(sqrt(len(images))), caption=caption)
    rows = [images[y == label] for label in labels]
    names = ["unlabelled" if i < 0 else classes[i] if classes else str(i) for i in labels]
    return draw_sheet(rows, max(map(len, rows)), caption=caption, row_labels=names)


def few_of_each(y: Tensor | None, n: int, *, total: int) -> Tensor:
    """Which of ``total`` examples to show: the first ``n`` squared, or the first ``n`` a class."""
    if y is None or len(labels := torch.unique(y)) > MOST_CLASSES:
        return torch.arange(min(total, n * n))
    return torch.cat([torch.nonzero(y == label).flatten()[:n] for label in labels])
