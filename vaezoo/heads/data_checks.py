"""Whether data lie where a likelihood is defined: one sentence that says what is valid."""

from __future__ import annotations

from torch import Tensor

from vaezoo.errors import DataError
from vaezoo.words import counted

OFF_GRID = 0.01  # of a level: float32's rounding of k/(levels - 1), with room
LARGEST_COUNT = 2**24  # beyond it float32 skips whole numbers


def check_finite(x: Tensor, noun: str) -> None:
    """Raise DataError if a row of ``x`` (N, ...) holds NaN or infinity; it names the first."""
    if bool(x.isfinite().all()):
        return
    bad = (~x.isfinite()).flatten(1).any(1).nonzero().flatten()
    raise DataError(
        f"{len(bad)} of {counted(len(x), noun)} hold NaN or infinity, the first at index "
        f"{int(bad[0])}; remove or repair them"
    )


def check_unit_interval(x: Tensor, likelihood: str) -> None:
    """Raise DataError unless all of ``x`` lies in [0, 1]."""
    low, high = x.min().item(), x.max().item()
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"{likelihood} needs data in [0, 1], these lie in [{low:g}, {high:g}]: "
            f"scale them (uint8 images are scaled for you), or use likelihood='gaussian'"
        )


def check_grid(x: Tensor, levels: int, likelihood: str) -> None:
    """Raise DataError unless all of ``x`` lies on k/(levels - 1), k = 0..levels-1."""
    check_unit_interval(x, likelihood)
    scaled = x * (levels - 1)
    off = (scaled - scaled.round()).abs() > OFF_GRID
    if off.any():
        raise DataError(
            f"{likelihood} of {levels} levels needs data on the grid k/{levels - 1}, "
            f"k = 0..{levels - 1}; these hold {x[off][0].item():.6g}: give uint8 images (scaled "
            f"for you) with levels=256, round with (x * {levels - 1}).round() / {levels - 1}, or "
            f"use a likelihood of continuous data, such as 'gaussian'"
        )


def check_counts(x: Tensor, likelihood: str) -> None:
    """Raise DataError unless all of ``x`` are whole numbers in 0..2^24."""
    wrong = ~((x >= 0) & (x <= LARGEST_COUNT) & (x == x.round()))
    if wrong.any():
        raise DataError(
            f"{likelihood} needs counts, whole numbers in 0..2^24 held as float32; these hold "
            f"{x[wrong][0].item():.6g}: give raw counts, neither normalised nor logarithms, and "
            f"as x.float() (uint8 is taken for pixels, and scaled to [0, 1])"
        )
