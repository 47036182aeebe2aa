"""Some rows of an array in a file, without the others. Nothing is unpickled.

Shapes: N rows, n rows asked for.
"""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import safetensors

from vaezoo.data.array_files import Array, ArrayFile
from vaezoo.data.file_source import Spool, mapped_rows
from vaezoo.errors import DataError

LOCAL_HEADER = 30  # bytes, before the name, of a file in a zip archive
COPIED = 2**20


@dataclass(frozen=True, kw_only=True)
class Rows:
    """An array, rows of which can be read."""

    shape: tuple[int, ...]
    read: Callable[[int, int], Array]
    """``(start, stop)`` to a copy of the rows start..stop-1."""


def in_memory(file: ArrayFile, key: str) -> Rows:
    """An array that is read as a whole. Raises DataError."""
    array = file[key]
    return Rows(shape=tuple(array.shape), read=lambda start, stop: array[start:stop])


def on_disk(file: ArrayFile, key: str) -> Rows:
    """An array that stays where it is; compressed ones in a temporary file. Raises DataError."""
    safe = file.path.suffix.lower() == ".safetensors"
    try:
        return _in_safetensors(file.path, key) if safe else _in_numpy(file, key)
    except MemoryError:
        raise
    except OSError as error:
        if error.errno is not None:  # as of a full disk
            raise
        raise DataError(file.fault(key, error)) from error
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise DataError(file.fault(key, error)) from error


def _in_safetensors(path: Path, key: str) -> Rows:
    with safetensors.safe_open(path, framework="pt") as file:
        shape = tuple(file.get_slice(key).get_shape())

    def read(start: int, stop: int) -> Array:
        with safetensors.safe_open(path, framework="pt") as file:
            part: Array = file.get_slice(key)[start:stop].clone()
        return part

    return Rows(shape=shape, read=read)


def _in_numpy(file: ArrayFile, key: str) -> Rows:
    if not file.keys:
        with file.path.open("rb") as plain:
            return _mapped(file.path, 0, plain)
    with zipfile.ZipFile(file.path) as archive:
        info = archive.getinfo(key if key in archive.namelist() else f"{key}.npy")
        if info.compress_type != zipfile.ZIP_STORED:
            spool = Spool()
            with archive.open(info) as member:
                shutil.copyfileobj(member, spool.file, COPIED)
            return _mapped(spool, 0, spool.file)
        with archive.open(info) as member:
            while member.read(COPIED):  # all of it once: so its checksum is compared
                pass
    with file.path.open("rb") as plain:
        plain.seek(info.header_offset + LOCAL_HEADER - 4)
        name, extra = (int.from_bytes(plain.read(2), "little") for _ in range(2))
        return _mapped(file.path, plain.tell() + name + extra, plain)


def _mapped(where: Path | Spool, start_of_array: int, file: IO[bytes]) -> Rows:
    """An array as ``numpy.save`` writes it. file: from which its header is read."""
    file.seek(start_of_array)
    version = np.lib.format.read_magic(file)
    first = version == (1, 0)
    header = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = header(file)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded")
    place: dict[str, Any] = {"offset": file.tell(), "order": "F" if fortran else "C"}

    def read(start: int, stop: int) -> Array:
        return mapped_rows(where, dtype, shape, start, stop, **place)

    if shape:
        read(0, 0)  # raises for a file that was cut off
    return Rows(shape=shape, read=read)
