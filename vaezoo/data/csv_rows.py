"""The cells of a CSV file in a temporary file, since lines of text cannot be addressed.

Shapes: N rows, n rows asked for, D columns.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vaezoo.data.csv_file import Layout, each_row
from vaezoo.data.file_source import Spool, mapped_rows

NUMBERS = 2**14
"""So many are read together, roughly: as objects of Python's they are large."""


@dataclass(frozen=True, kw_only=True)
class CellRows:
    """As ``Cells``, with the numbers on the disk."""

    spool: Spool
    columns: int
    lines: Sequence[int]
    labels: list[str]
    skipped: list[str]

    def __len__(self) -> int:
        return len(self.lines)

    def read(self, start: int, stop: int) -> Tensor:
        """The numbers of the rows start..stop-1: (n, D) float64."""
        shape = len(self), self.columns
        return torch.from_numpy(mapped_rows(self.spool, np.float64, shape, start, stop))


def spool_cells(
    path: Path, layout: Layout, columns: Sequence[str], label: str | None, *, skip: bool = False
) -> CellRows:
    """As ``read_cells``. Raises DataError."""
    spool, lines, labels, skipped = Spool(), array("q"), list[str](), list[str]()
    known: dict[str, str] = {}  # so that equal words are one object
    rows = each_row(path, layout, columns, label, skipped if skip else None)
    while some := [*islice(rows, max(1, NUMBERS // len(columns)))]:
        spool.file.write(np.array([numbers for _, numbers, _ in some]).tobytes())
        lines.extend(line for line, _, _ in some)
        if label is not None:
            labels.extend(known.setdefault(word, word) for _, _, word in some)
    return CellRows(spool=spool, columns=len(columns), lines=lines, labels=labels, skipped=skipped)
