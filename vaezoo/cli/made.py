"""Writing what a model makes, in the form of the files that it learned from.

Shapes: B batch, *shape one example.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from vaezoo.cli.array_outputs import write_arrays
from vaezoo.cli.outputs import (
    ARRAYS,
    CSV,
    cells,
    check_output,
    is_folder,
    png_names,
    write_csv,
)
from vaezoo.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

    from vaezoo.model import VAE

SHEET = ".png"
NAME = "name"
"""The column of a CSV file that says which example a row is."""
Made = tuple["Tensor", "Tensor | None"]
"""A batch: x (B, *shape), y (B,) or None."""


def is_sheet(out: Path | None) -> bool:
    """Whether a single picture is asked for."""
    return out is None or (out.suffix.lower() == SHEET and not out.is_dir())


def check_made(out: Path | None, command: str, *, sheet: bool, overwrite: bool) -> Path:
    """The path to write to. Raises UsageError. sheet: whether a picture of all would do too."""
    endings = (*([SHEET] if sheet else []), *ARRAYS, CSV)
    return check_output(out, command, endings, folder=True, overwrite=overwrite)


def write_made(
    out: Path, model: VAE, batches: Iterable[Made], names: Sequence[str], count: int
) -> None:
    """Write all examples: images to a folder, rows to a CSV file, anything to arrays ``x``, ``y``.

    Values are in the units of the model's files, and arrays laid out as these. names: of the
    examples, or none. count: how many they are. Raises DataError for what the format cannot hold.
    """
    classes = getattr(model.preprocessing, "classes", ())
    if is_folder(out):
        _write_images(out, batches, png_names(names, count))
    elif out.suffix.lower() == CSV:
        _write_table(out, model, batches, names)
    else:
        arrays = ({"x": as_in_files(model, x), "y": y} for x, y in batches)
        write_arrays(out, arrays, names, classes)


def as_in_files(model: VAE, x: Tensor) -> Tensor:
    """What a model makes, (B, *shape), in the units and the layout of its training files."""
    from vaezoo.data import ArrayPreprocessing, original_units

    how = model.preprocessing
    if isinstance(how, ArrayPreprocessing) and x.ndim == 4:
        if how.channels == "last":
            return x.permute(0, 2, 3, 1)
        return x.squeeze(1) if how.channels == "none" else x
    return original_units(model, x)


def _write_images(folder: Path, batches: Iterable[Made], names: Sequence[str]) -> None:
    """Each a PNG file; all of them, or none."""
    from PIL import Image

    from vaezoo.files import filling
    from vaezoo.pictures import save_png
    from vaezoo.pictures.sheet import check_images, to_bytes

    place = 0
    with filling(folder) as temporary:
        for x, _ in batches:
            if x.ndim != 4 or x.shape[1] not in (1, 3):
                raise DataError(
                    f"examples of shape {tuple(x.shape[1:])} are no images: write them to a file "
                    f"ending in {', '.join((*ARRAYS, CSV) if x.ndim == 2 else ARRAYS)}"
                )
            check_images(x)
            pixels = to_bytes(x).numpy()
            for image in pixels[..., 0] if x.shape[1] == 1 else pixels:
                save_png(Image.fromarray(image), temporary / names[place])
                place += 1


def _write_table(out: Path, model: VAE, batches: Iterable[Made], names: Sequence[str]) -> None:
    """Rows with the columns of the model's files, and their column of labels last.

    Where there are names and a header, the first column is ``name``, which reading passes over.
    """
    from vaezoo.data import TablePreprocessing

    how = model.preprocessing
    table = how if isinstance(how, TablePreprocessing) else None
    batches = iter(batches)
    x, y = first = next(batches)
    if x.ndim != 2:
        raise DataError(
            f"examples of shape {tuple(x.shape[1:])} are no rows of a table: write them to a "
            f"folder, or to a file ending in {', '.join(ARRAYS)}"
        )
    header = table.columns if table else tuple(f"x{i}" for i in range(x.shape[1]))
    label = table.label if table else "y"
    labelled = label is not None and y is not None
    decimal = table.decimal if table else None

    named = header if table is None or table.header else ()  # else read back as it is written
    # Without a table's columns to choose, all are read back: there must be no others.
    called = [NAME] if names and table and named and NAME not in header else []
    call = iter(names)

    def rows() -> Iterator[list[str]]:
        for x, y in chain([first], batches):
            words = _words(y, table.classes if table else ()) if labelled else [[]] * len(x)
            values = as_in_files(model, x).cpu().numpy()
            for row, word in zip(values, words, strict=True):
                yield [*([next(call)] if called else []), *cells(row, decimal), *word]

    columns = [*called, *named]
    columns += [label] if named and labelled and label else []
    write_csv(out, columns, rows(), delimiter=";" if decimal == "," else ",")


def _words(y: Tensor | None, classes: Sequence[str]) -> list[list[str]]:
    """A cell for each label, empty for an unlabelled one."""
    assert y is not None
    return [[(classes[i] if classes else str(i)) if i >= 0 else ""] for i in y.tolist()]
