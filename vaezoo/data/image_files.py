"""The image files of a folder, and their pixels, read in parallel.

Shapes: N images, C channels, H height, W width.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePath
from typing import Generic, TypeVar

import torch
from torch import Tensor

from vaezoo.data.files import SPLITS, Corrupt
from vaezoo.data.pixels import SUFFIXES, read
from vaezoo.data.preprocessing import ImagePreprocessing
from vaezoo.data.progress import told
from vaezoo.errors import DataError
from vaezoo.words import counted, in_bytes

T = TypeVar("T")
THREADS = min(16, os.cpu_count() or 1)  # Pillow decodes outside of Python's lock
QUEUED = 1024  # files
MEMORY = 4.0  # GiB
SMALLER = (
    "choose a smaller image_size (--image-size), or allow more GiB with memory (--data.memory)"
)


@dataclass(frozen=True, kw_only=True)
class File:
    """One image file."""

    path: Path
    name: str
    """As the folder names it, with slashes."""
    split: str = "train"
    folder: str = ""
    """The sub-folder that is its class; empty if it lies in none."""


@dataclass(frozen=True, kw_only=True)
class Results(Generic[T]):
    """What became of each file."""

    good: dict[int, T] = field(default_factory=dict)
    """By the file's place."""
    faults: list[str] = field(default_factory=list)
    """Of the others: which, and why."""


def list_files(path: Path) -> list[File]:
    """The images at ``path``, a folder or one file, sorted by name. Raises DataError for none.

    Hidden files and those of other kinds are passed over. Where the folder holds a ``train`` and
    otherwise nothing but names of splits, these are the splits.
    """
    if path.is_file():
        return [File(path=path, name=path.name)]
    names: list[str] = []
    others: list[str] = []
    for file in _walk(path):
        name = file.relative_to(path).as_posix()
        (names if file.suffix.lower() in SUFFIXES else others).append(name)
    if not names:
        found = f"; it holds {len(others)} other files, such as {others[0]}" if others else ""
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{path} holds no images{found}: images are files ending in {kinds}")
    tops = {PurePath(name).parts[0] for name in names}
    known = {SPLITS.get(top.lower()) for top in tops}
    split = "train" in known and None not in known and len(known) == len(tops)
    return [_file(path, name, split=split) for name in sorted(names)]


def decode(
    files: Sequence[File],
    preprocessing: ImagePreprocessing,
    *,
    memory: float = MEMORY,
    advice: str = SMALLER,
    what: str = "reading images",
) -> tuple[Tensor, Results[None]]:
    """The pixels of all files that can be read: (N, C, H, W) uint8.

    memory: how many GiB they may take. advice: what to do where they take more. what: is done, as
    it is told of; "" tells nothing. Raises DataError.
    """
    size = len(files) * torch.Size(preprocessing.shape).numel()
    if size > memory * 2**30:
        shape = "x".join(map(str, preprocessing.shape))
        raise DataError(
            f"{counted(len(files), 'image')} of {shape} take {in_bytes(size)}, more than the "
            f"{in_bytes(memory * 2**30)} that may be taken: {advice}"
        )
    x = torch.empty(len(files), *preprocessing.shape, dtype=torch.uint8)
    pixels = x.numpy()

    def put(i: int) -> None:
        pixels[i] = read(files[i].path, preprocessing)

    results = each(put, files, corrupt=preprocessing.corrupt, what=what)
    kept = x if not results.faults else x[torch.tensor([*results.good], dtype=torch.int64)]
    return kept, results


def each(
    function: Callable[[int], T], files: Sequence[File], *, corrupt: Corrupt, what: str
) -> Results[T]:
    """``function`` of each file's place. Raises DataError, which names the file."""
    results: Results[T] = Results()

    def attempt(i: int) -> T | DataError:
        try:
            return function(i)
        except MemoryError:
            raise
        except Exception as error:  # Pillow raises many kinds for damaged files
            return DataError(f"{files[i].name} ({' '.join(str(error).split()) or repr(error)})")

    with ThreadPoolExecutor(THREADS) as pool:
        # Some at a time: the pool would hold a future for each file.
        found = chain.from_iterable(
            pool.map(attempt, range(len(files))[start : start + QUEUED])
            for start in range(0, len(files), QUEUED)
        )
        for i, result in enumerate(told(found, len(files), what) if what else found):
            if not isinstance(result, DataError):
                results.good[i] = result
            elif corrupt == "refuse":
                raise DataError(
                    f"an image cannot be read: {result}; repair or remove it, or skip such files "
                    f"with corrupt='skip' (--data.corrupt skip)"
                )
            else:
                results.faults.append(str(result))
    if not results.good:
        raise DataError(
            f"none of {counted(len(files), 'image')} can be read; the first is {results.faults[0]}"
        )
    return results


def _walk(path: Path) -> Iterator[Path]:
    """All files that are not hidden, through links too, but no folder twice."""
    seen = set()
    for place, folders, files in os.walk(path, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(filter(_visible, folders)) if real not in seen else []
        if real not in seen:
            yield from (Path(place) / file for file in files if _visible(file))
        seen.add(real)


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _file(path: Path, name: str, *, split: bool) -> File:
    parts = PurePath(name).parts
    below = parts[1:] if split else parts
    return File(
        path=path / name,
        name=name,
        split=SPLITS[parts[0].lower()] if split else "train",
        folder=below[0] if len(below) > 1 else "",
    )
