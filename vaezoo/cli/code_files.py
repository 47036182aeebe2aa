"""Files of codes: as ``vaezoo encode`` writes them, and as ``vaezoo decode`` reads them.

Shapes: N examples, D latent numbers, *latent one code.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import safetensors
import torch
from torch import Tensor

from vaezoo.cli.outputs import ARRAYS, CSV, NAMES, cells, collected, write_arrays, write_csv
from vaezoo.data.array_files import open_arrays
from vaezoo.data.convert import as_tensor
from vaezoo.data.csv_file import layout, read_cells
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
    """What a file holds. z: (N, *latent) float32 or float64; y: (N,) integers, or None."""

    z: Tensor
    y: Tensor | None = None
    names: tuple[str, ...] = ()


def write_codes(
    path: Path,
    batches: Iterable[CodeRows],
    names: tuple[str, ...],
    classes: tuple[str, ...],
) -> None:
    """Write codes by the path's ending; a ``.csv`` file batch by batch.

    ``.safetensors`` and ``.npz`` hold ``z``, ``stddev`` and ``y``; ``.npy`` z alone; ``.csv`` a
    column for each latent, after ``name`` and ``y``.
    """
    if path.suffix.lower() != CSV:
        arrays = collected(batch._asdict() for batch in batches)
        write_arrays(path, arrays, names, classes if "y" in arrays else ())
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


def read_codes(path: Path, latent: tuple[int, ...]) -> Codes:
    """The codes of a file, for a model whose codes have that shape. Raises DataError."""
    kind = path.suffix.lower()
    if not path.is_file():
        raise DataError(f"there is no file {str(path)!r} of codes")
    if kind not in ENDINGS:
        raise DataError(f"{path} is no file of codes: these end in {', '.join(ENDINGS)}")
    codes = _from_csv(path) if kind == CSV else _from_arrays(path)
    z, size = codes.z, math.prod(latent)
    if z.ndim < 2 or not len(z) or tuple(z.shape[1:]) not in (latent, (size,)):
        wanted = ", ".join(map(str, latent))
        raise DataError(
            f"{path} holds codes of shape {tuple(z.shape)}; the model's: (N, {wanted})"
        )
    bad = torch.nonzero(~z.flatten(1).isfinite().all(1))
    if len(bad):
        raise DataError(
            f"{path}: {len(bad)} of {counted(len(z), 'code')} hold NaN or infinity, the first "
            f"at index {int(bad[0])}"
        )
    if codes.y is not None and codes.y.shape != (len(z),):
        raise DataError(
            f"{path} holds {counted(len(z), 'code')}, but labels of shape {tuple(codes.y.shape)}"
        )
    names = codes.names if len(codes.names) == len(z) else ()
    return Codes(z=z.reshape(len(z), *latent), y=codes.y, names=names)


def _from_csv(path: Path) -> Codes:
    lay = layout(path, options=())
    others = {NAME, LABEL} if lay.header else set()
    columns = [column for column in lay.columns if column not in others]
    label, name = ([c] if c in lay.columns and lay.header else [] for c in (LABEL, NAME))
    found = read_cells(path, lay, [*columns, *label], *name)
    values = torch.tensor(found.values)
    y = values[:, -1].long() if label else None
    return Codes(z=values[:, : len(columns)], y=y, names=tuple(found.labels))


def _from_arrays(path: Path) -> Codes:
    file = open_arrays(path)
    if file.keys and "z" not in file.keys and len(file.keys) > 1:
        raise DataError(f"{path} holds the arrays {', '.join(file.keys)}, and none is called z")
    key = "z" if "z" in file.keys else next(iter(file.keys), "")
    try:
        z = as_tensor(file[key])
        y = as_tensor(file["y"]) if "y" in file.keys else None
    except DataError as error:
        raise error if str(path) in str(error) else DataError(f"{path}: {error}") from error
    z = z if z.is_floating_point() else z.to(torch.get_default_dtype())
    return Codes(z=z, y=y, names=_names_in(path))


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
