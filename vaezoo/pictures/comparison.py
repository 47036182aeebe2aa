"""Several models side by side: what each makes of the same examples, and samples of each.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from vaezoo.pictures.figures import DRAWN, Reconstructs, Samples
from vaezoo.pictures.sheet import check_images, draw_sheet

COLUMNS = 16


class Compared(Reconstructs, Samples, Protocol):
    """A model that answers images with images, and makes some of its own."""


def comparison(
    models: Mapping[str, Compared],
    x: Tensor,
    y: Tensor | None = None,
    *,
    of: str = "",
    seed: int = 0,
) -> Image.Image:
    """Originals over each model's reconstructions of them, then a row of samples of each model.

    Args:
        models: by name; those that take labels get ``y``, and run through their classes.
        x: (N, C, H, W) in [0, 1], one row.
        y: labels (N,), if there are any.
        of: what the originals are, such as "mnist, test split"; the caption ends with it.
        seed: of the samples.
    """
    check_images(x, "originals")
    rows, labels = [x], ["original"]
    for name, model in models.items():
        rows.append(model.reconstruct(x, None if model.num_classes is None else y))
        labels.append(name)
    for name, model in models.items():
        classes = model.num_classes
        own = None if classes is None else torch.arange(len(x)) % classes
        rows.append(model.sample(len(x), y=own, seed=seed))
        labels.append(f"{name} samples")
    unfitted = ", ".join(name for name, model in models.items() if model.bound == "none")
    caption = (
        f"Originals, each above what every model makes of it, the mean of p(x|z); below, samples "
        f"of each model: {DRAWN}"
        + (f", which no likelihood bound fits to the codes of {unfitted}" if unfitted else "")
        + (f"; {of}" if of else "")
    )
    for row, label in zip(rows, labels, strict=True):
        check_images(row, label)
    return draw_sheet(
        rows, len(x), caption=caption, row_labels=labels, rows_per_group=1 + len(models)
    )
