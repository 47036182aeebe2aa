"""Charts of bars: the KL of each latent dimension, and how well each column is reconstructed.

Shapes: D latent dimensions of a site, or columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image
from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.pictures.bars import Bars, bars
from vaezoo.words import counted

MOST_SITES = 12
FLOOR = -1.0
"""Of R squared: what is lower is as bad."""
LEGEND = (
    "active: over the examples, the variance of the posterior mean is above 0.01 "
    "(Burda et al. 2016)",
    "not active",
)


class SiteKL(Protocol):
    """One group of latents, as `vaezoo.evaluation.site_figures` measures it."""

    @property
    def name(self) -> str:
        """What tells it from other groups."""

    @property
    def size(self) -> int:
        """D, how many dimensions it has."""

    @property
    def kl(self) -> Tensor:
        """Nats: (D,), or (1,) where the KL is no sum over dimensions."""

    @property
    def active(self) -> Tensor | None:
        """(D,) bool, if it is known."""


def kl_chart(sites: Sequence[SiteKL], *, of: str = "", caption: str | None = None) -> Image.Image:
    """The KL of each latent dimension to the prior, sorted, with the active ones marked.

    Args:
        sites: the groups of latents, each of which gets a panel; at most 12 are drawn.
        of: over which examples the KL is a mean; the default caption ends with it.
        caption: instead of the default one.
    """
    shown = sites[:MOST_SITES]
    if caption is None:
        parts = f"; the first {len(shown)} of {len(sites)} groups" * (len(shown) < len(sites))
        caption = f"KL to the prior of each latent dimension{parts}" + (f"; {of}" if of else "")
    marked = any(site.active is not None for site in shown)
    panels = [_site(site, alone=len(sites) == 1) for site in shown]
    return bars(panels, caption=caption, legend=LEGEND if marked else None)


def column_chart(
    r_squared: Tensor,
    names: Sequence[str] = (),
    *,
    of: str = "",
    caption: str | None = None,
) -> Image.Image:
    """How much of each column of a table its reconstruction explains, in the columns' order.

    Args:
        r_squared: (D,), at most 1; those below -1 leave the frame, NaN have no bar.
        names: of the columns, which are drawn where they have room; none for x0, x1, ...
        of: over which examples it was measured; the default caption ends with it.
        caption: instead of the default one.
    """
    values = r_squared.tolist()
    if len(names) not in (0, len(values)):
        raise DataError(f"Got {len(names)} names for {len(values)} columns: give all or none.")
    finite = r_squared[r_squared.isfinite()]
    if caption is None:
        caption = "Reconstruction of each column, by the mean of p(x|z) at the posterior mean"
        caption += f"; {of}" if of else ""
    if (finite < FLOOR).any():
        caption += f"; what is below {FLOOR:g} leaves the frame"
    if len(finite) < len(values):
        caption += "; a column of one value has no bar"
    median = f", median {finite.quantile(0.5):,.2f}" if len(finite) else ""
    panel = Bars(
        values=values,
        names=list(names) or [f"x{column}" for column in range(len(values))],
        title=f"R squared of {counted(len(values), 'column')}{median}",
        unit="1 is perfect, 0 as good as the column's own mean",
        things="columns",
        ranked=False,
        floor=FLOOR,
    )
    return bars([panel], caption=caption)


def _site(site: SiteKL, *, alone: bool) -> Bars:
    values, active = site.kl.tolist(), site.active
    total = sum(values)
    nats = f"{total:,.2f}" if abs(total) < 1e7 else f"{total:.3g}"
    title = f"{site.name}: {nats} nats in {counted(site.size, 'dimension')}"
    if active is not None:
        title += f", {int(active.sum()):,} active"
    if len(values) != site.size:
        unit = "nats per example; this KL is no sum over dimensions"
        some = None if active is None else [bool(active.any())]
        return Bars(values=values, names=["all dimensions"], marked=some, title=title, unit=unit)
    return Bars(
        values=values,
        names=[f"z{d}" if alone else str(d) for d in range(site.size)],
        marked=None if active is None else active.tolist(),
        title=title,
        unit="nats per example",
    )
