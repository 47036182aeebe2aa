"""``vaezoo reconstruct``: a sheet of a few, or all of them in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vaezoo.cli.arguments import HowMany, Unset, parse
from vaezoo.cli.draw import check_count, check_images_of
from vaezoo.cli.examples import Examples, Through, check_asked, find_examples
from vaezoo.cli.made import check_made, is_sheet, write_made
from vaezoo.cli.tables import line
from vaezoo.cli.usage import UsageError

N = 50


@dataclass(frozen=True, kw_only=True)
class Reconstruct(Through):
    """What ``vaezoo reconstruct`` takes."""

    out: Unset[Path] = None
    """A .png file: a sheet of originals over reconstructions. A folder (any name without an
    ending): each reconstruction a PNG file, named after its original. A file of rows (.csv) or
    arrays (.safetensors, .npz, .npy): all of them. Default: a sheet, among the run's samples; of
    a model alone, here."""
    n: HowMany = None
    """How many examples, the first ones. Default: 50 on a sheet, else all."""


def reconstruct(argv: Sequence[str]) -> None:
    """``vaezoo reconstruct``."""
    about = "Draw originals over what a trained model makes of them, or write that to files."
    asked = parse(Reconstruct, argv, "reconstruct", about)
    check_asked(asked)
    sheet = is_sheet(asked.out)
    if sheet:
        check_count("--n", asked.n)
    elif asked.n is not None and asked.n < 1:
        raise UsageError(f"--n must be at least 1, not {asked.n}")
    else:
        check_made(asked.out, "reconstruct", sheet=True, overwrite=asked.overwrite)
    from vaezoo.cli.saved import open_saved

    saved = open_saved(asked.path, asked.device, "reconstruct")
    if sheet:
        check_images_of(saved, "reconstruct", "write them to a file, as in --out again.csv")
    examples = find_examples(saved, asked, (asked.n or N) if sheet else asked.n)
    if sheet or asked.out is None:
        out = asked.out or saved.picture("reconstructions.png")
        _draw(examples, out)
    else:
        out = asked.out
        _write(examples, out)
        line(examples.described)
    line(str(out))


def _draw(examples: Examples, out: Path) -> None:
    from vaezoo import pictures
    from vaezoo.shown import described
    from vaezoo.shown import examples as shown

    x, y = shown(examples.source, range(len(examples)), examples.binarization)
    y = y if examples.model.num_classes is not None else None
    of = described(examples.data, examples.split, examples.binarization)
    pictures.save_png(pictures.reconstructions(examples.model, x, y, of=of), out)


def _write(examples: Examples, out: Path) -> None:
    from vaezoo.cli.reading import shown_reading

    model = examples.model
    batches = (
        (model.reconstruct(batch.x, examples.labels(batch)), batch.y)
        for batch in examples.batches("reconstructing")
    )
    with shown_reading():
        write_made(out, model, batches, examples.names, len(examples))
