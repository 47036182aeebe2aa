"""The dataset ``csv``: rows of numbers, standardized by what the training rows have.

Shapes: N rows, D columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.data.csv_file import Cells, Decimal, Layout, layout, place_of, read_cells
from vaezoo.data.csv_rows import CellRows, spool_cells
from vaezoo.data.file_source import FileSource, look_through
from vaezoo.data.files import (
    Corrupt,
    FileOptions,
    class_indices,
    classes_of,
    located,
    split_places,
    warn_of_skipped,
)
from vaezoo.data.preprocessing import TablePreprocessing
from vaezoo.data.source import Subset, TensorSource
from vaezoo.data.splits import Data, named_splits
from vaezoo.errors import DataError
from vaezoo.options import to_json

HEADER = {
    None: ("auto", "none"),
    True: ("yes", "true", "y", "on", "1"),
    False: ("no", "false", "n", "off", "0"),
}
"""How people say whether there is one."""
FOR_A_MODEL = ("corrupt",)
"""What can be said of a file that a model reads as it read its own."""


@dataclass(frozen=True, kw_only=True)
class CsvOptions(FileOptions):
    """Which columns are taken, and how the file is written."""

    columns: tuple[str, ...] | None = None
    """The columns to take, by name, or by number from 1 where there are no names. Default: all."""
    drop: tuple[str, ...] = ()
    """Columns to leave out."""
    label: str | None = None
    """The column of labels: classes, as words or integers; an empty cell is unlabelled."""
    standardize: bool = True
    """Whether each column gets mean 0 and standard deviation 1 over the training rows."""
    corrupt: Corrupt = "refuse"
    """What to do with rows where a number is missing, no number or not finite: refuse them all,
    or skip them and say so."""
    delimiter: str = "auto"
    """What stands between cells, one character, or tab. auto: , ; | or tab, as the first line."""
    decimal: Decimal | None = None
    """What stands before decimals, . or , as in 1,5. Default: a point."""
    header: str | bool | None = None
    """Whether the first line names the columns: yes, no, or auto, which is if it holds no number.
    Default: auto."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "header", said(self.header))  # as it is recorded
        if len(self.delimiter) != 1 and self.delimiter not in ("auto", "tab", r"\t"):
            raise ValueError(f"delimiter must be auto, tab or one character, not {self.delimiter}")


def said(header: str | bool | None) -> bool | None:
    """Whether there is a header, as people say it; None: it is to be found out."""
    if header is None or isinstance(header, bool):
        return header
    for meaning, words in HEADER.items():
        if header.strip().lower() in words:
            return meaning
    raise ValueError(f"header must be auto, yes or no, not {header!r}")


def csv(options: CsvOptions, root: Path | None) -> Data:
    """The rows of a file, in their order. ``root`` is not used."""
    options, path = located(options)
    lay = layout(
        path,
        header=said(options.header),
        delimiter=options.delimiter,
        decimal=options.decimal,
    )
    columns = _columns(path, lay, options)
    cells = _read(path, lay, columns, options.label, options.corrupt)
    places = split_places({"train": range(len(cells.lines))}, options)
    classes = classes_of(cells.labels)
    if options.label is not None and not classes:
        raise DataError(f"{path}: every cell of the column {options.label!r} of labels is empty")
    preprocessing = TablePreprocessing(
        columns=columns,
        label=options.label,
        classes=classes,
        header=lay.header,
        decimal=lay.decimal,
        corrupt=options.corrupt,
        **_statistics(cells.values[places["train"][0].numpy()], columns, options.standardize),
    )
    source = source_of(path, cells, preprocessing)
    return named_splits(
        "csv",
        {split: (Subset(source, index), rule) for split, (index, rule) in places.items()},
        options=to_json(options),
        classes=classes,
        preprocessing=preprocessing,
        notes={"skipped": len(cells.skipped)} if cells.skipped else {},
    )


def source_of(path: Path, cells: Cells, preprocessing: TablePreprocessing) -> TensorSource:
    """The rows as a model takes them, each named by its line."""
    x = preprocessing.standardize(torch.tensor(cells.values))
    y, count = _labels_of(path, cells, preprocessing)
    try:
        return TensorSource(x, y, count, names=_Lines(cells.lines))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _labels_of(
    path: Path, cells: Cells | CellRows, preprocessing: TablePreprocessing
) -> tuple[Tensor | None, int | None]:
    """y (N,) int64 and the number of classes, if the labels were read and mean some."""
    classes = preprocessing.classes
    if not (cells.labels and classes):
        return None, None
    where = f"{path}, column {preprocessing.label!r}"
    return class_indices(cells.labels, classes, where), len(classes)


def read_table(path: Path, preprocessing: TablePreprocessing, *, labels: bool) -> TensorSource:
    """Another file with the columns of the first, in any order; others may stand beside them.

    labels: read those too, if the file has them. Raises DataError.
    """
    lay, label = _layout_for(path, preprocessing, labels=labels)
    cells = _read(path, lay, preprocessing.columns, label, preprocessing.corrupt)
    return source_of(path, cells, preprocessing)


def open_table(path: Path, preprocessing: TablePreprocessing, *, labels: bool) -> FileSource:
    """The same as ``read_table``, with the numbers in a temporary file instead of in memory."""
    lay, label = _layout_for(path, preprocessing, labels=labels)
    cells = spool_cells(
        path, lay, preprocessing.columns, label, skip=preprocessing.corrupt == "skip"
    )
    _warn_of_skipped(path, cells)

    def read(start: int, stop: int) -> Tensor:
        return preprocessing.standardize(cells.read(start, stop))

    y, count = _labels_of(path, cells, preprocessing)
    size, shape, names = len(cells), (cells.columns,), _Lines(cells.lines)
    try:
        unit_range = look_through(read, size, shape)
        return FileSource(
            read, size, shape, y=y, num_classes=count, names=names, unit_range=unit_range
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


class _Lines(Sequence[str]):
    """The names of rows, made as they are asked for."""

    def __init__(self, lines: Sequence[int]) -> None:
        self.lines = lines

    def __len__(self) -> int:
        return len(self.lines)

    @overload
    def __getitem__(self, i: int) -> str: ...
    @overload
    def __getitem__(self, i: slice) -> Sequence[str]: ...
    def __getitem__(self, i: int | slice) -> str | Sequence[str]:
        return _Lines(self.lines[i]) if isinstance(i, slice) else f"line {self.lines[i]}"


def as_it_is(path: Path) -> TablePreprocessing:
    """All columns of a file, not standardized. Raises DataError."""
    lay = layout(path, options=FOR_A_MODEL)
    zero, one = (0.0,) * len(lay.columns), (1.0,) * len(lay.columns)
    return TablePreprocessing(columns=lay.columns, mean=zero, std=one, header=lay.header)


def _layout_for(
    path: Path, preprocessing: TablePreprocessing, *, labels: bool
) -> tuple[Layout, str | None]:
    """How a file for a model is laid out, and its column of labels, if it has one to be read."""
    lay = layout(
        path, header=preprocessing.header, decimal=preprocessing.decimal, options=FOR_A_MODEL
    )
    return lay, preprocessing.label if labels and preprocessing.label in lay.columns else None


def _read(
    path: Path, lay: Layout, columns: Sequence[str], label: str | None, corrupt: Corrupt
) -> Cells:
    cells = read_cells(path, lay, columns, label, skip=corrupt == "skip")
    _warn_of_skipped(path, cells)
    return cells


def _warn_of_skipped(path: Path, cells: Cells | CellRows) -> None:
    warn_of_skipped(cells.skipped, len(cells.lines) + len(cells.skipped), f"rows in {path}")


def _columns(path: Path, lay: Layout, options: CsvOptions) -> tuple[str, ...]:
    """The columns to take, in the order asked for. Raises DataError."""
    for name in [*(options.columns or ()), *options.drop, *filter(None, [options.label])]:
        place_of(path, lay, name)
    left_out = {*options.drop, options.label}
    if options.columns is None and (unnamed := [c for c in lay.unnamed if c not in left_out]):
        raise DataError(
            f"{path}: the first line gives column {unnamed[0]} no name (pandas writes its row "
            f"numbers so); name it, or leave it out with drop (--data.drop {unnamed[0]})"
        )
    columns = tuple(c for c in options.columns or lay.columns if c not in left_out)
    if not columns:
        raise DataError(f"{path}: no columns are left to take")
    if len({*columns}) < len(columns):
        raise DataError(f"{path}: columns names one of them twice")
    return columns


def _statistics(
    train: NDArray[np.float64], columns: Sequence[str], standardize: bool
) -> dict[str, tuple[float, ...]]:
    """mean and std of each column over the training rows. train: (N, D)."""
    if not standardize:
        return {"mean": (0.0,) * len(columns), "std": (1.0,) * len(columns)}
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = train.mean(axis=0), train.std(axis=0)
    std[train.min(axis=0) == train.max(axis=0)] = 1.0  # a constant column becomes 0
    for name, m, s in zip(columns, mean, std, strict=True):
        if not (np.isfinite(m) and np.isfinite(s) and s > 0):
            raise DataError(
                f"column {name!r} cannot be standardized: over the training rows its mean is "
                f"{m:g} and its standard deviation {s:g}; rescale it, or leave it out"
            )
    return {"mean": tuple(mean.tolist()), "std": tuple(std.tolist())}
