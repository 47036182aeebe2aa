"""Files of codes: as ``vaezoo encode`` writes them, and as ``vaezoo decode`` reads them.

Shapes: N examples, D latent numbers, *latent one code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import torch
from torch import Tensor

from vaezoo.cli.array_outputs import NAMES, write_arrays
from vaezoo.cli.outputs import ARRAYS, CSV, cells, write_csv
from vaezoo.data.array_files import open_arrays
from vaezoo.data.array_rows import on_disk
from vaezoo.data.convert import as_tensor
from vaezoo.data.csv_file import layout
from vaezoo.data.csv_rows import spool_cells
from vaezoo.data.file_source import Read, look_through, pieces
from vaezoo.errors import DataError
from vaezoo.words import counted

ENDINGS = (*ARRAYS, CSV)
NAME, LABEL = "name", "y"
"""Columns of a CSV file beside those of the codes."""


class CodeRows(NamedTuple):
    """A batch. z: (B, *latent); stddev likewise, or None; y: (B,) int64, or None."""

    z: Tensor
    stddev: Tensor | None
    y: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Codes:
    """What a file holds: N codes *latent, float32 or float64, which stay in it.

    y: (N,) integers, or None.
    """

    read: Read
    shape: tuple[int, ...]
    """(N, *latent)."""
    y: Tensor | None = None
    names: Sequence[str] = ()

    def __len__(self) -> int:
        return self.shape[0]


def write_codes(
    path: Path,
    batches: Iterable[CodeRows],
    names: Sequence[str],
    classes: Sequence[str],
) -> None:
    """Write codes by the path's ending, batch by batch.

    ``.safetensors`` and ``.npz`` hold ``z``, ``stddev`` and ``y``; ``.npy`` z alone; ``.csv`` a
    column for each latent, after ``name`` and ``y``.
    """
    if path.suffix.lower() != CSV:
        write_arrays(path, (batch._asdict() for batch in batches), names, classes)
        return
    batches = iter(batches)
    first = next(batches)
    labelled = [LABEL] if first.y is not None else []
    called = iter(names) if names else map(str, count())

    def rows() -> Iterator[list[str]]:
        for z, _, y in chain([first], batches):
            labels = [[]] * len(z) if y is None else [[str(label)] for label in y.tolist()]
            for label, row in zip(labels, z.flatten(1).cpu().numpy(), strict=True):
                yield [next(called), *label, *cells(row)]

    size = first.z[0].numel()
    write_csv(path, [NAME, *labelled, *(f"z{i}" for i in range(size))], rows())


def open_codes(path: Path, latent: tuple[int, ...]) -> Codes:
    """The codes of a file, for a model whose codes have that shape. Raises DataError."""
    kind = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r} of codes")
    if kind not in ENDINGS:
        raise DataError(f"{path} is no file of codes: these end in {', '.join(ENDINGS)}")
    codes = _from_csv(path) if kind == CSV else _from_arrays(path)
    shape = codes.shape
    if len(shape) < 2 or not shape[0] or shape[1:] not in (latent, (math.prod(latent),)):
        wanted = ", ".join(map(str, latent))
        raise DataError(f"{path} holds codes of shape {shape}; the model's: (N, {wanted})")
    size = shape[0]
    if codes.y is not None and codes.y.shape != (size,):
        raise DataError(
            f"{path} holds {counted(size, 'code')}, but labels of shape {tuple(codes.y.shape)}"
        )

    def read(start: int, stop: int) -> Tensor:
        return codes.read(start, stop).reshape(-1, *latent)

    try:
        look_through(read, size, latent, "code")
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    names = codes.names if len(codes.names) == size else ()
    return Codes(read=read, shape=(size, *latent), y=codes.y, names=names)


def _from_csv(path: Path) -> Codes:
    lay = layout(path, options=())
    others = {NAME, LABEL} if lay.header else set()
    columns = [column for column in lay.columns if column not in others]
    label, name = ([c] if c in lay.columns and lay.header else [] for c in (LABEL, NAME))
    found = spool_cells(path, lay, [*columns, *label], name[0] if name else None)
    size, width = len(found), len(columns)
    parts = pieces(size, (found.columns,)) if label else []
    y = [found.read(*part)[:, -1].long() for part in parts]
    return Codes(
        read=lambda start, stop: found.read(start, stop)[:, :width],
        shape=(size, width),
        y=torch.cat(y) if y else None,
        names=found.labels,
    )


def _from_arrays(path: Path) -> Codes:
    file = open_arrays(path)
    if file.keys and "z" not in file.keys and len(file.keys) > 1:
        raise DataError(f"{path} holds the arrays {', '.join(file.keys)}, and none is called z")
    key = "z" if "z" in file.keys else next(iter(file.keys), "")

    def read(start: int, stop: int) -> Tensor:
        z = as_tensor(rows.read(start, stop))
        return z if z.is_floating_point() else z.to(torch.get_default_dtype())

    try:
        rows = on_disk(file, key)
        read(0, min(1, *rows.shape))
        y = as_tensor(file["y"]) if "y" in file.keys else None
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error
    return Codes(read=read, shape=rows.shape, y=y, names=_names_in(path))


def _names_in(path: Path) -> tuple[str, ...]:
    """What the examples are called, if the file says so in the way of ``write_arrays``."""
    if path.suffix.lower() == ".safetensors":
        with safetensors.safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(NAMES, "[]")
        try:
            names = json.loads(text)
        except ValueError:
            return ()
        known = isinstance(names, list) and all(isinstance(name, str) for name in names)
        return tuple(names) if known else ()
    file = open_arrays(path)
    names = file[NAMES] if NAMES in file.keys else None
    words = isinstance(names, np.ndarray) and names.dtype.kind == "U"
    return tuple(map(str, names)) if words and names is not None else ()
