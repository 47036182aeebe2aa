"""The cells of a CSV file as numbers, with every fault named by its line and column.

Shapes: N rows, D columns.
"""

from __future__ import annotations

import csv
import math
import warnings
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vaezoo.errors import DataError, DataWarning, did_you_mean
from vaezoo.words import counted

DELIMITERS = ",;\t|"
NAMED = {"tab": "\t", r"\t": "\t"}
Decimal = Literal[".", ","]
OPTIONS = ("header", "decimal", "drop", "label", "corrupt")
"""Those that errors may advise, where whoever reads a file can give them."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a file is laid out."""

    columns: tuple[str, ...]
    """Names of all columns, their numbers from 1 where the file names none."""
    header: bool
    delimiter: str
    decimal: Decimal | None = None
    """What stands before decimals; None: a point."""
    guessed: bool = False
    """Whether nobody said if there is a header."""
    unnamed: tuple[str, ...] = ()
    """The columns that the header leaves without a name."""
    options: tuple[str, ...] = OPTIONS
    """Those that can be given here; what a model has settled, or what a file of codes does not
    leave open, can not."""


@dataclass(kw_only=True)
class Cells:
    """What was read."""

    values: NDArray[np.float64]
    """(N, D) of the chosen columns."""
    labels: list[str]
    """(N,) or empty."""
    lines: list[int]
    """(N,): where each row stands in the file, counted from 1."""
    skipped: list[str] = field(default_factory=list)
    """What is wrong with the rows that were left out."""


def layout(
    path: Path,
    *,
    header: bool | None = None,
    delimiter: str = "auto",
    decimal: Decimal | None = None,
    options: tuple[str, ...] = OPTIONS,
) -> Layout:
    """How the file is laid out. Raises DataError for one without columns or with bad names.

    header: None takes the first line for one unless it holds a number. options: see Layout.
    """
    delimiter = NAMED.get(delimiter, delimiter)
    if delimiter == "auto":
        delimiter = _likely_delimiter(path, decimal)
    first = next((cells for _, cells in _rows(path, delimiter)), None)
    if first is None:
        raise DataError(f"{path} is empty")
    guessed = header is None
    if header is None:
        header = not any(_is_number(cell, decimal) for cell in first)
        if _is_count(first):
            say = "leave it out"
            if "header" in options:
                say = "say header='yes' (--data.header yes), else header='no' (--data.header no)"
            warnings.warn(
                f"the first line of {path}, {', '.join(first[:4])}, ..., is taken for a row of "
                f"numbers; if it names the columns, {say}",
                DataWarning,
                stacklevel=2,
            )
    if not header:
        numbers = tuple(str(i) for i in range(1, len(first) + 1))
        return Layout(
            columns=numbers,
            header=False,
            delimiter=delimiter,
            decimal=decimal,
            guessed=guessed,
            options=options,
        )
    names = [cell.strip() or str(i) for i, cell in enumerate(first, start=1)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{path}: two columns are called {twice[0]!r}; their names must differ")
    unnamed = tuple(str(i) for i, cell in enumerate(first, start=1) if not cell.strip())
    return Layout(
        columns=tuple(names),
        header=True,
        delimiter=delimiter,
        decimal=decimal,
        unnamed=unnamed,
        options=options,
    )


def read_cells(
    path: Path,
    layout: Layout,
    columns: Sequence[str],
    label: str | None = None,
    *,
    skip: bool = False,
) -> Cells:
    """The numbers of the chosen columns, and the words of the column of labels.

    skip: leave out rows with faults, instead of refusing. Raises DataError.
    """
    numbers, labels, lines, skipped = array("d"), list[str](), list[int](), list[str]()
    for line, row, word in each_row(path, layout, columns, label, skipped if skip else None):
        numbers.extend(row)
        lines.append(line)
        if label is not None:
            labels.append(word)
    values = np.frombuffer(numbers, np.float64).reshape(len(lines), len(columns))
    return Cells(values=values, labels=labels, lines=lines, skipped=skipped)


def each_row(
    path: Path,
    layout: Layout,
    columns: Sequence[str],
    label: str | None,
    skipped: list[str] | None,
) -> Iterator[tuple[int, list[float], str]]:
    """The line, the numbers and the label ("" without a column of them) of each row.

    skipped: takes the faults of the rows that are left out; None: they are refused. Raises
    DataError, for a file without any row too.
    """
    wanted = [place_of(path, layout, name) for name in columns]
    labelled = None if label is None else place_of(path, layout, label)
    found = False
    for place, (line, cells) in enumerate(_rows(path, layout.delimiter)):
        if place == 0 and layout.header:
            continue
        try:
            row = _row(cells, line, layout, wanted)
            word = "" if labelled is None else _word(cells[labelled], line, label, layout)
        except DataError as error:
            words = any(_is_text(cell, layout.decimal) for cell in cells)
            if place == 0 and layout.guessed and words and "header" in layout.options:
                raise DataError(
                    f"{path}, {error}; if this line names the columns, say header='yes' "
                    f"(--data.header yes), else repair it"
                ) from None
            if skipped is None:
                raise DataError(f"{path}, {error}; {_advice(layout.options)}") from None
            skipped.append(str(error))
            continue
        found = True
        yield line, row, word
    if not found:
        fault = f"; the first fault: {skipped[0]}" if skipped else ""
        raise DataError(f"{path} holds no rows of numbers{fault}")


def _is_count(cells: Sequence[str]) -> bool:
    """Whether they count up by one, as years do: no likely row of measurements."""
    if len(cells) < 3 or not all(cell.strip().isdecimal() for cell in cells):
        return False
    numbers = [int(cell) for cell in cells]
    return all(b - a == 1 for a, b in pairwise(numbers))


def place_of(path: Path, layout: Layout, name: str) -> int:
    """Which column that is, from 0. Raises DataError."""
    if name not in layout.columns:
        raise DataError(f"{path} has no column {name!r}.{did_you_mean(name, layout.columns)}")
    return layout.columns.index(name)


def _rows(path: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, with its line's number from 1."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter)
            yield from ((reader.line_num, row) for row in reader if any(c.strip() for c in row))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason}") from error
    except (csv.Error, TypeError) as error:
        raise DataError(f"{path} cannot be read as CSV with {delimiter!r}: {error}") from error


def _row(cells: Sequence[str], line: int, layout: Layout, wanted: Sequence[int]) -> list[float]:
    if len(cells) != len(layout.columns):
        raise DataError(
            f"line {line} has {counted(len(cells), 'cell')}, and the file "
            f"{counted(len(layout.columns), 'column')}"
        )
    try:
        row = [_number(cells[place], layout.decimal) for place in wanted]
    except ValueError:
        row = [_number_or_nan(cells[place], layout.decimal) for place in wanted]
    if math.isfinite(sum(row)):
        return row
    for place, value in zip(wanted, row, strict=True):
        if not math.isfinite(value):
            cell = cells[place].strip()
            what = f"{cell!r}, which is no finite number" if cell else "nothing"
            raise DataError(
                f"line {line}, column {layout.columns[place]!r} holds {what}"
                f"{_about_decimals(cell, layout)}"
            )
    return row  # their sum alone is too large


def _advice(options: Sequence[str]) -> str:
    """What to do about a row that cannot be read."""
    ways = ["repair it"]
    if "drop" in options:
        ways.append("leave the column out with drop (--data.drop)")
    if "label" in options:
        ways[-1] += " or name it as label (--data.label) if it holds classes"
    if "corrupt" in options:
        ways.append("or skip such rows with corrupt='skip' (--data.corrupt skip)")
    return (", " if len(ways) > 2 else " ").join(ways)


def _about_decimals(cell: str, layout: Layout) -> str:
    """What to do about a cell that is a number if its decimals are written the other way."""
    comma = layout.decimal == ","
    if ("." if comma else ",") not in cell or not _is_number(cell, None if comma else ","):
        return ""
    if "decimal" not in layout.options:
        mark = "comma" if comma else "point"
        return f"; decimals follow a {mark} here, which cannot be changed: convert the file"
    if comma:
        return " where decimals follow a comma"
    return "; if decimals follow a comma here, say decimal=',' (--data.decimal ,)"


def _word(cell: str, line: int, label: Any, layout: Layout) -> str:
    """A label: a word, or an integer, also if it is written as 1.0; nothing is unlabelled."""
    word = cell.strip()
    if not _is_number(word, layout.decimal):
        return word
    value = _number(word, layout.decimal)
    if not value.is_integer():
        raise DataError(
            f"line {line}, column {label!r} holds {word!r}: labels are classes, words or integers"
        )
    return str(int(value))


def _number(cell: str, decimal: Decimal | None = None) -> float:
    """Raises ValueError for no number. Nothing may stand between thousands."""
    if decimal == ",":
        if "." in cell:
            raise ValueError(f"{cell!r} holds a point")
        cell = cell.replace(",", ".")
    return float(cell)


def _number_or_nan(cell: str, decimal: Decimal | None = None) -> float:
    return _number(cell, decimal) if _is_number(cell, decimal) else math.nan


def _is_number(cell: str, decimal: Decimal | None = None) -> bool:
    """Whether it is one, or says NaN or infinity."""
    try:
        _number(cell, decimal)
    except ValueError:
        return False
    return True


def _is_text(cell: str, decimal: Decimal | None = None) -> bool:
    return bool(cell.strip()) and not _is_number(cell, decimal)


def _likely_delimiter(path: Path, decimal: Decimal | None = None) -> str:
    """The one that the first line has most of; a comma where it has none.

    A comma is none between numbers such as 1,5;2,7, nor where decimals follow one.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            line = file.readline()
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error.reason}") from error
    others = DELIMITERS.replace(",", "")
    for delimiter in others:
        cells = line.split(delimiter)
        if len(cells) > 1 and all(_is_number(cell.strip(' "\n'), ",") for cell in cells):
            return delimiter
    return max(others if decimal == "," else DELIMITERS, key=line.count)
