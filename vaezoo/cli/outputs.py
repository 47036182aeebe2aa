"""Where what a command makes is written: checked before the work, written in one step each."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from vaezoo.cli.usage import UsageError
from vaezoo.errors import DataError

ARRAYS = (".safetensors", ".npz", ".npy")
CSV = ".csv"


def is_folder(out: Path) -> bool:
    """Whether that names a folder: one that is there, or a name without an ending."""
    return out.is_dir() or not out.suffix


def check_output(
    out: Path | None, command: str, endings: Sequence[str], *, folder: bool, overwrite: bool
) -> Path:
    """The path to write to. Raises UsageError for none, another format, or what is there.

    folder: whether it may be one.
    """
    wanted = f"{', '.join(endings[:-1])} or {endings[-1]}" if len(endings) > 1 else endings[0]
    if out is None:
        example = "a folder" if folder else f"a file ending in {wanted}"
        raise UsageError(f"{command}: say where to write with --out, {example}")
    if folder and is_folder(out):
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} names a folder, and there is a file of that name")
        if out.is_dir() and any(out.iterdir()) and not overwrite:
            raise UsageError(
                f"--out: the folder {out} is not empty: choose another, or write into it all the "
                f"same with --overwrite"
            )
        return out
    if out.suffix.lower() not in endings:
        or_folder = ", or name a folder" if folder else ""
        raise UsageError(f"--out: {str(out)!r} must end in {wanted}{or_folder}")
    if out.is_dir():
        raise UsageError(f"--out must name a file, and {out} is a folder")
    if out.exists() and not overwrite:
        raise UsageError(
            f"--out: {out} is there already: choose another name, or replace it with --overwrite"
        )
    return out


def write_csv(
    path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], *, delimiter: str = ","
) -> None:
    """Write rows as they come; no line for an empty header."""
    from vaezoo.files import replacing

    with (
        replacing(path) as temporary,
        temporary.open("x", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        if header:
            writer.writerow(header)
        writer.writerows(rows)


def cells(row: Any, decimal: str | None = None) -> list[str]:
    """The numbers of an array as text from which they can be had again, exactly."""
    return [str(value).replace(".", decimal or ".") for value in row]


def png_names(names: Sequence[str], count: int) -> list[str]:
    """A PNG file's name for each example: after its own, else 00000.png and so on.

    Where two would be one, as of a.jpg and a.png, they keep their endings. Raises DataError for a
    name that leads out of the folder.
    """
    digits = max(5, len(str(count - 1)))
    numbered = [f"{i:0{digits}}.png" for i in range(count)]
    if not names:
        return numbered
    stems = [_without_ending(name) for name in names]
    twice = {stem for stem, times in Counter(stems).items() if times > 1}
    found = [
        f"{name if stem in twice else stem}.png" for name, stem in zip(names, stems, strict=True)
    ]
    return found if len({*found}) == len(found) else numbered


def _without_ending(name: str) -> str:
    from vaezoo.data.pixels import SUFFIXES

    path = PurePosixPath(name)
    if not path.name or path.is_absolute() or {"..", ""} & {*path.parts} or "\\" in name:
        raise DataError(f"an example is called {name!r}, and no file can be named so")
    return str(path.with_suffix("") if path.suffix.lower() in SUFFIXES else path)
