"""The latent space: paths between examples, the plane of two latents, and where the codes lie.

Shapes: N examples, C channels, H height, W width, D latent dimensions, G values of a latent.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor
from torch.distributions import Distribution

from vaezoo.errors import DataError
from vaezoo.interpolation import Mode
from vaezoo.pictures.axes import even_labels
from vaezoo.pictures.grid import grid
from vaezoo.pictures.scatter import scatter
from vaezoo.pictures.sheet import check_images, draw_sheet

MODES: tuple[Mode, ...] = ("linear", "spherical")


class Interpolates(Protocol):
    """A model that goes from one example to another."""

    def interpolate(
        self, a: Tensor, b: Tensor, steps: int, y: Tensor | None, /, *, mode: Mode
    ) -> Tensor:
        """Pairs (N, C, H, W) with labels (N,) to (N, steps, C, H, W) in [0, 1]."""


class Decodes(Protocol):
    """A model that makes images of codes."""

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """The shape of one code."""

    def decode(self, z: Tensor, y: Tensor | None, /) -> Distribution:
        """p(x|z,y) at z (N, *latent_shape) and labels (N,)."""


def interpolations(
    model: Interpolates,
    a: Tensor,
    b: Tensor,
    y: Tensor | None = None,
    *,
    modes: Sequence[Mode] = MODES,
    steps: int = 11,
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """From each example of ``a`` to its partner in ``b``: a row for each way to go.

    Args:
        model: its ``interpolate`` returns the means of p(x|z) on the path between two codes.
        a: (N, C, H, W) in [0, 1], drawn left of the rows.
        b: (N, C, H, W), drawn right of them.
        y: labels (N,), one for both examples of a pair, for models that take them.
        modes: "linear", "spherical", or both.
        steps: images of a path, both ends included.
        of: what the examples are, such as "mnist, test split"; the default caption ends with it.
        caption: instead of the default one.
    """
    check_images(a, "the examples to start from")
    check_images(b, "the examples to go to")
    if not modes:
        raise DataError(f"Interpolations need at least one mode; there are {', '.join(MODES)}.")
    paths = [model.interpolate(a, b, steps, y, mode=mode) for mode in modes]
    if any(path.shape != (len(a), steps, *a.shape[1:]) for path in paths):
        raise DataError(
            f"The interpolation of {len(a)} pairs in {steps} steps has shape "
            f"{tuple(paths[0].shape)}; valid is ({len(a)}, {steps}, C, H, W)."
        )
    rows = [
        torch.cat([start[None], path[i].to(start), end[None]])
        for i, (start, end) in enumerate(zip(a, b, strict=True))
        for path in paths
    ]
    if caption is None:
        ways = {"linear": "in a straight line", "spherical": "on an arc about the origin"}
        how = " and ".join(f"{mode} ({ways[mode]})" for mode in modes)
        caption = (
            f"Interpolations between two originals: means of p(x|z) at even steps from the code "
            f"of the left one to that of the right one, {how}"
        ) + (f"; {of}" if of else "")
    return draw_sheet(
        rows,
        steps + 2,
        caption=caption,
        row_labels=[*modes] * len(a),
        column_labels=["original", *even_labels(0.0, 1.0, steps), "original"],
        rows_per_group=len(modes),
    )


def manifold(
    model: Decodes,
    values: Tensor,
    *,
    label: int | None = None,
    class_name: str = "",
    how: str = "",
    caption: str | None = None,
) -> Image.Image:
    """What a decoder of two latents makes of their plane (Kingma & Welling 2014, figure 4).

    Args:
        model: its `decode` is asked at every pair of the values.
        values: (2, G), ascending: those of the first latent, which grows to the right, and of the
            second, which grows upwards; as `vaezoo.evaluation.plane` chooses them.
        label: of a model with labels: the class that is drawn.
        class_name: the name of that class.
        how: how the values were chosen; the default caption ends with it.
        caption: instead of the default one.
    """
    if prod(model.latent_shape) != 2 or values.ndim != 2 or len(values) != 2:
        raise DataError(
            f"A manifold is drawn over the plane of 2 latents, at values (2, G). Here the latents "
            f"have shape {tuple(model.latent_shape)}, and the values {tuple(values.shape)}."
        )
    across, up = values.cpu().unbind(0)
    rows, columns = torch.meshgrid(up.flip(0), across, indexing="ij")
    z = torch.stack([columns.flatten(), rows.flatten()], dim=1)  # (G², 2), from the top left
    y = None if label is None else torch.full((len(z),), label)
    images = model.decode(z.reshape(-1, *model.latent_shape), y).mean
    check_images(images, "the manifold")
    if caption is None:
        which = "" if label is None else f" of class {class_name or label}"
        caption = (
            f"Manifold{which}: means of p(x|z) over the plane of the two latents, z0 to the right "
            f"and z1 upwards"
        ) + (f", {how}" if how else "")
    return grid(
        images,
        values.shape[1],
        gap=1,
        caption=caption,
        row_labels=[f"{value:.2f}" for value in up.flip(0).tolist()],
        column_labels=[f"{value:.2f}" for value in across.tolist()],
    )


def latent_codes(
    codes: Tensor,
    y: Tensor | None = None,
    *,
    classes: Sequence[str] = (),
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """Where examples lie in the latent space: a scatter of two latents, or two components.

    Args:
        codes: posterior means (N, D). More than two dimensions are projected on their first two
            principal components.
        y: labels (N,), which colour the dots; -1 where unlabelled.
        classes: the classes' names; none for their numbers.
        of: which examples; the default caption ends with it.
        caption: instead of the default one.
    """
    points, titles, how, shares = projected(codes)
    x_title, y_title = (t + share for t, share in zip(titles, shares, strict=True))
    if caption is None:
        colored = "" if y is None else ", coloured by class"
        caption = f"Codes: posterior means{how}{colored}" + (f"; {of}" if of else "")
    return scatter(points, y, classes=classes, x_title=x_title, y_title=y_title, caption=caption)


def projected(codes: Tensor) -> tuple[Tensor, tuple[str, str], str, tuple[str, str]]:
    """Codes (N, D) as points (N, 1 or 2), and in words.

    Those are the titles of the axes, what the points are, and what to add to the titles of
    components: their shares of the variance.
    """
    d = codes.shape[1]
    if d == 1:
        return codes, ("z0", ""), " of one dimension, each at an arbitrary height", ("", "")
    if d == 2:
        return codes, ("z0", "z1"), "", ("", "")
    points, shares = principal_components(codes)
    first, second = (f": {share:.1%} of the variance" for share in shares.tolist())
    titles = ("first principal component", "second principal component")
    how = f" of {d:,} dimensions on their first two principal components"
    return points, titles, how, (first, second)


def principal_components(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Codes (N, D), D > 1, on their two directions of most variance: (N, 2), and its shares (2,).

    In float64, by the eigenvectors of the covariance, or of the smaller matrix of inner products
    where there are fewer codes than dimensions. The code furthest out on a component is at its
    positive side. Codes that are not finite stay so, and are not counted.
    """
    codes = codes.detach().double().cpu()
    kept = codes.isfinite().all(1)
    points = torch.full((len(codes), 2), torch.nan, dtype=torch.float64)
    centred = codes[kept] - codes[kept].mean(0)
    n, d = centred.shape
    if n == 0:
        return points, torch.zeros(2)
    square = centred.T @ centred if d <= n else centred @ centred.T
    values, vectors = torch.linalg.eigh(square)  # in ascending order
    values = values.clamp(min=0)
    top = vectors[:, -2:].flip(1) if len(values) > 1 else vectors.expand(-1, 2)
    scores = centred @ top if d <= n else top * values[-2:].flip(0).sqrt()
    furthest = scores.gather(0, scores.abs().argmax(0, keepdim=True))
    points[kept] = scores * torch.where(furthest < 0, -1.0, 1.0)
    total = values.sum()
    shares = values[-2:].flip(0) / total if total > 0 else torch.zeros(2)
    return points, shares.expand(2)
