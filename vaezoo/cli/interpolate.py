"""``vaezoo interpolate``: what lies between two examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from vaezoo.cli.arguments import Unset, parse
from vaezoo.cli.draw import (
    THROUGH_CODES,
    FromData,
    check_count,
    check_data,
    check_images_of,
    check_out,
    examples_for,
    open_model,
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
    check_out(asked)
    check_data(asked)
    from vaezoo import pictures
    from vaezoo.shown import described, pairs, shown_split

    saved = open_model(asked, "interpolate")
    check_images_of(saved, "interpolate", THROUGH_CODES)
    data = saved.data(asked.data, asked.data_root)
    split, source = shown_split(data)
    if asked.index is None:
        chosen = pairs(source, asked.n, alike=saved.model.num_classes is not None)
        if not chosen:
            raise UsageError(f"the {split} split of {data.title} holds no pair: give --index")
    else:
        chosen = [asked.index]
    if wrong := [i for pair in chosen for i in pair if not 0 <= i < len(source)]:
        raise UsageError(f"--index must lie in 0..{len(source) - 1}, not {wrong[0]}")
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
        of=described(data, split, saved.binarization()),
    )
    save(image, saved, asked, "interpolations.png")
