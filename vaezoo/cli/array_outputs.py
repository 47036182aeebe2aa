"""Files of arrays, written as their rows come.

How many rows there will be stands at the beginning of such a file, and one array lies after the
other: so each is collected in a temporary file beside the target, and copied at the end.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from vaezoo.errors import DataError
from vaezoo.files import replacing
from vaezoo.words import counted, in_bytes

if TYPE_CHECKING:
    from torch import Tensor

NAMES, CLASSES = "names", "class_names"
"""Of a file of arrays: what its examples and its labels are called."""
LONGEST_HEADER = 100_000_000  # bytes, of a safetensors file: the library reads no longer one
COPIED = 2**20


def write_arrays(
    path: Path,
    batches: Iterable[Mapping[str, Tensor | None]],
    names: Sequence[str] = (),
    classes: Sequence[str] = (),
) -> None:
    """Write the batches (B, ...) of each array as one, by the path's ending; None is no array.

    A ``.npy`` file holds the first alone. names of examples, and of classes where there is an
    array ``y``, go to a safetensors file's metadata, as JSON, and to arrays of words in a ``.npz``
    file. Nothing is pickled. Raises DataError for more names than a file can hold.
    """
    kind = path.suffix.lower()
    if kind == ".safetensors" and names:
        _check_names(path, names)
    columns: dict[str, _Column] = {}
    with replacing(path) as temporary, ExitStack() as stack:
        for batch in batches:
            for key, rows in batch.items():
                if rows is None or (kind == ".npy" and columns and key not in columns):
                    continue
                if key not in columns:
                    file = stack.enter_context(tempfile.TemporaryFile(dir=path.parent))
                    columns[key] = _Column(file, rows)
                columns[key].add(rows)
        words = {NAMES: names, CLASSES: classes if "y" in columns else ()}
        words = {key: some for key, some in words.items() if some}
        if kind == ".npz":
            _write_npz(temporary, columns, words)
            return
        with temporary.open("xb") as target:
            if kind == ".npy":
                next(iter(columns.values())).copy_as_npy(target)
            else:
                _write_safetensors(target, columns, words)


@dataclass
class _Column:
    """An array whose rows are in a file. like: some of them."""

    file: IO[bytes]
    like: Tensor
    rows: int = 0

    def __post_init__(self) -> None:
        self.dtype = self.like[:0].cpu().numpy().dtype
        self.row = tuple(self.like.shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows, *self.row)

    @property
    def size(self) -> int:
        """Bytes."""
        return math.prod(self.shape) * self.dtype.itemsize

    def add(self, rows: Tensor) -> None:
        assert tuple(rows.shape[1:]) == self.row
        self.file.write(rows.cpu().contiguous().numpy().data)
        self.rows += len(rows)

    def copy(self, to: IO[bytes]) -> None:
        self.file.seek(0)
        shutil.copyfileobj(self.file, to, COPIED)

    def copy_as_npy(self, to: IO[bytes]) -> None:
        from numpy.lib import format as npy

        descr = npy.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": self.shape}
        npy.write_array_header_1_0(to, header)
        self.copy(to)


def _write_npz(
    path: Path, columns: Mapping[str, _Column], words: Mapping[str, Sequence[str]]
) -> None:
    """As ``numpy.savez`` does."""
    import numpy as np

    with zipfile.ZipFile(path, "x", allowZip64=True) as archive:
        for key, column in columns.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                column.copy_as_npy(member)
        for key, some in words.items():
            with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                np.save(member, np.array([*some]), allow_pickle=False)


def _write_safetensors(
    file: IO[bytes], columns: Mapping[str, _Column], words: Mapping[str, Sequence[str]]
) -> None:
    """The largest numbers first, as the library does, so that all are aligned."""
    header: dict[str, Any] = {}
    if words:
        header["__metadata__"] = {key: json.dumps([*some]) for key, some in words.items()}
    order = sorted(columns, key=lambda key: (-columns[key].dtype.itemsize, key))
    start = 0
    for key in order:
        column, stop = columns[key], start + columns[key].size
        kind = (
            "BOOL"
            if column.dtype.kind == "b"
            else f"{column.dtype.kind}{8 * column.dtype.itemsize}"
        )
        header[key] = {
            "dtype": kind.upper(),
            "shape": column.shape,
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for key in order:
        columns[key].copy(file)


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Raise DataError for more than a safetensors file's header can hold: before the work."""
    size = sum(len(json.dumps(json.dumps(name))) for name in names)  # JSON within JSON
    if size > LONGEST_HEADER * 0.99:
        raise DataError(
            f"{path}: the names of {counted(len(names), 'example')} take {in_bytes(size)}, more "
            f"than the header of a .safetensors file can hold: write a .npz or .csv file"
        )
