"""What people look at first: reconstructions, samples, samples by class, and traversals.

Shapes: N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, inf, sqrt
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures.axes import even_labels
from vaezoo.pictures.grid import grid
from vaezoo.pictures.sheet import check_images, draw_sheet

DRAWN = "means of p(x|z) at draws of z from the prior"
UNFITTED = "means of p(x|z) at draws of z from a prior that no likelihood bound fits to the codes"
MOST_TRAVERSED = 16
"""How many latent dimensions a traversal shows unless told which."""


class Reconstructs(Protocol):
    """A model that answers images with images."""

    def reconstruct(self, x: Tensor, y: Tensor | None, /) -> Tensor:
        """(N, C, H, W) and labels (N,) to the means (N, C, H, W) in [0, 1]."""


class Samples(Protocol):
    """A model that makes images of its own."""

    @property
    def num_classes(self) -> int | None:
        """How many classes its labels tell apart; None without labels."""

    @property
    def bound(self) -> str:
        """What its loss is to log p(x): an "exact" or "relaxed" bound, or "none"."""

    def sample(self, n: int, /, *, y: Tensor | None, seed: int | None) -> Tensor:
        """`n` images (n, C, H, W) in [0, 1], of the classes `y` (n,) if given."""


class Traverses(Protocol):
    """A model whose latent dimensions can be moved one at a time."""

    @property
    def latent_dim(self) -> int:
        """How many latent dimensions there are."""

    def traverse(
        self, x: Tensor, /, *, dims: list[int], steps: int, limit: float, y: Tensor | None
    ) -> Tensor:
        """One example (1, C, H, W) to (len(dims), steps, C, H, W) in [0, 1]."""


def drawn(model: Samples, of: str = "") -> str:
    """What a model's samples are, for captions; of: such as " of class coat".

    A bound on log p(x) brings codes and prior together; without one, that must be said.
    """
    if model.bound == "none":
        return f"Decoded random codes{of}: {UNFITTED}"
    return f"Samples{of}: {DRAWN}"


def reconstructions(
    model: Reconstructs,
    x: Tensor,
    y: Tensor | None = None,
    *,
    columns: int = 25,
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """Originals, each over its reconstruction: pairs of rows of `columns` images.

    Args:
        model: its `reconstruct(x, y)` returns the means of p(x|z).
        x: (N, C, H, W) in [0, 1]; 50 images make two pairs of rows of 25.
        y: labels (N,), for models that take them.
        columns: images in a row.
        of: what the originals are, such as "mnist, test split"; the default caption ends with it.
        caption: instead of the default one.
    """
    check_images(x, "originals")
    means = model.reconstruct(x, y)
    check_images(means, "reconstructions")
    if means.shape != x.shape:
        raise DataError(
            f"The reconstructions have shape {tuple(means.shape)}, the originals "
            f"{tuple(x.shape)}: a pair of rows needs equal shapes."
        )
    columns = _columns(columns, len(x))
    pairs = list(zip(torch.split(x, columns), torch.split(means, columns), strict=True))
    if caption is None:
        caption = (
            "Reconstructions: each original above what the model makes of it, the mean of p(x|z)"
        ) + (f"; {of}" if of else "")
    return draw_sheet(
        [row for pair in pairs for row in pair],
        columns,
        caption=caption,
        row_labels=["original", "reconstruction"] * len(pairs),
        rows_per_group=2,
    )


def samples(
    model: Samples,
    n: int = 64,
    *,
    columns: int | None = None,
    seed: int | None = 0,
    caption: str | None = None,
) -> Image.Image:
    """`n` images that the model makes from its prior; a model with labels runs through them all.

    Args:
        model: its `sample(n, y=..., seed=...)` returns images (n, C, H, W).
        n: how many.
        columns: images in a row; None makes the sheet about square or, with labels, gives each
            of up to 25 classes its column.
        seed: of the samples.
        caption: instead of the default one.
    """
    if n < 1:
        raise DataError(f"Cannot draw {n} samples; ask for at least one.")
    classes = model.num_classes
    y = None if classes is None else torch.arange(n) % classes
    text = drawn(model)
    labels: list[str] = []
    if classes is not None and columns is None and classes <= min(n, 25):
        labels = [str(label) for label in range(classes)]
        text += ", one class in each column"
    elif classes is not None:
        text += f", row by row of the classes 0 to {min(n, classes) - 1}"
        text += f", the first {n} of {classes}" if n < classes else " in turn"
    return grid(
        model.sample(n, y=y, seed=seed),
        len(labels) or _columns(ceil(sqrt(n)) if columns is None else columns, n),
        caption=text if caption is None else caption,
        column_labels=labels,
    )


def class_samples(
    model: Samples,
    *,
    per_class: int = 10,
    classes: Sequence[str] = (),
    seed: int | None = 0,
    caption: str | None = None,
) -> Image.Image:
    """One row of `per_class` samples for each class of a model with labels.

    Args:
        model: its `sample(n, y=..., seed=...)` returns images (n, C, H, W).
        per_class: samples in a row.
        classes: the classes' names, which label the rows; none for their numbers.
        seed: of the samples.
        caption: instead of the default one.
    """
    count = model.num_classes
    if count is None:
        raise DataError(
            "This model takes no labels, so it has no samples by class. "
            "Draw `samples`, or create the model with num_classes."
        )
    if len(classes) not in (0, count):
        raise DataError(
            f"Got {len(classes)} class names for a model of {count} classes. "
            "Give one name for each class, or none."
        )
    if per_class < 1:
        raise DataError(f"Cannot draw {per_class} samples per class; ask for at least one.")
    y = torch.arange(count).repeat_interleave(per_class)
    return grid(
        model.sample(len(y), y=y, seed=seed),
        per_class,
        caption=f"{drawn(model)}, one class in each row" if caption is None else caption,
        row_labels=list(classes) or [str(label) for label in range(count)],
    )


def traversals(
    model: Traverses,
    x: Tensor,
    y: Tensor | None = None,
    *,
    dims: Sequence[int] | None = None,
    steps: int = 11,
    limit: float = 3.0,
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """What each latent dimension does to the first example of `x`: one row per dimension.

    Args:
        model: its `traverse` returns images (len(dims), steps, C, H, W) for one example.
        x: (N, C, H, W) in [0, 1]; the first is traversed.
        y: labels (N,), for models that take them.
        dims: latent dimensions to move; None means all, or the first 16.
        steps: images in a row, at even distances.
        limit: a dimension moves from -limit to limit.
        of: what the example is, such as "mnist, test split"; the default caption ends with it.
        caption: instead of the default one.
    """
    check_images(x, "the example to traverse")
    if steps < 2 or not 0 < limit < inf:
        raise DataError(
            f"Traversals need steps >= 2 and a finite limit > 0, not {steps} and {limit}."
        )
    chosen = list(range(min(model.latent_dim, MOST_TRAVERSED)) if dims is None else dims)
    first = None if y is None else y[:1]
    images = model.traverse(x[:1], dims=chosen, steps=steps, limit=limit, y=first)
    if not chosen or images.ndim != 5 or tuple(images.shape[:2]) != (len(chosen), steps):
        raise DataError(
            f"The traversal of {len(chosen)} dimensions in {steps} steps has shape "
            f"{tuple(images.shape)}; valid is at least one dimension and "
            f"({len(chosen)}, {steps}, C, H, W)."
        )
    if caption is None:
        capped = dims is None and len(chosen) < model.latent_dim
        which = f" (the first {len(chosen)} of {model.latent_dim})" if capped else ""
        caption = (
            f"Latent traversals of one example: each row moves one latent dimension{which} from "
            f"{-limit:g} to {limit:g} and leaves the others where the example has them"
        ) + (f"; {of}" if of else "")
    return grid(
        images.flatten(0, 1),
        steps,
        caption=caption,
        row_labels=[f"z{dim}" for dim in chosen],
        column_labels=even_labels(-limit, limit, steps),
    )


def _columns(columns: int, n: int) -> int:
    """At most as many columns as images."""
    if columns < 1:
        raise DataError(f"A picture needs at least one column, not {columns}.")
    return min(columns, n)
