"""``vaezoo interpolate``: what lies between two examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vaezoo.cli.arguments import Unset, parse
from vaezoo.cli.draw import (
    FromData,
    check_count,
    check_index,
    examples_for,
    open_with_data,
    save,
)
from vaezoo.cli.usage import UsageError


@dataclass(frozen=True, kw_only=True)
class Interpolate(FromData):
    """What ``vaezoo interpolate`` takes."""

    mode: Unset[Literal["linear", "spherical"]] = None
    """In a straight line, or on an arc about the origin. Default: both."""
    index: Unset[tuple[int, int]] = None
    """The two examples. Default: pairs from all over the split, of one class each if the model
    takes labels."""
    n: int = 5
    """How many pairs, unless the two examples are given."""
    steps: int = 11
    """Images in a row, beside the two originals."""


def interpolate(argv: Sequence[str]) -> None:
    """``vaezoo interpolate``."""
    about = "Draw what lies between two examples."
    asked = parse(Interpolate, argv, "interpolate", about)
    check_count("--n", asked.n)
    check_count("--steps", asked.steps)
    saved, source, of = open_with_data(asked, "interpolate")
    from vaezoo import pictures
    from vaezoo.shown import pairs

    if asked.index is None:
        chosen = pairs(source, asked.n, alike=saved.model.num_classes is not None)
        if not chosen:
            raise UsageError(f"{of} holds no pair: give --index")
    else:
        chosen = [asked.index]
    check_index(source, [i for pair in chosen for i in pair])
    (a, y), (b, other) = (examples_for(saved, source, side) for side in zip(*chosen, strict=True))
    if y is not None and other is not None and not y.equal(other):
        raise UsageError(
            f"--index: this model takes labels, so both examples must be of one class, not of "
            f"{y.item()} and {other.item()}"
        )
    image = pictures.interpolations(
        saved.model,
        a,
        b,
        y,
        modes=pictures.MODES if asked.mode is None else (asked.mode,),
        steps=asked.steps,
        of=of,
    )
    save(image, saved, asked, "interpolations.png")
