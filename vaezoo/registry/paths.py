"""Which dataset a text means, by its name or as the path of a file or folder. Torch-free."""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from vaezoo.errors import DataError, UnknownComponentError
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec

IMAGES = {
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tga", ".tif", ".tiff", ".webp"),
}
"""Endings of the files that are taken for images."""


def is_image(text: str | os.PathLike[str]) -> bool:
    """Whether that is one image file, which a trained model reads, but nothing learns from."""
    path = Path(text).expanduser()
    return path.suffix.lower() in IMAGES and path.is_file()


def check_readable(text: str | None) -> None:
    """Raise what ``chosen_dataset`` raises, unless a trained model can read it; None is fine."""
    if text and not is_image(text):
        chosen_dataset(text)


def chosen_dataset(text: str | os.PathLike[str]) -> dict[str, str]:
    """``{"name": ...}`` for a dataset's name; for a path also its absolute ``"path"``.

    A name wins over a path, unless it holds a separator or is no str. Raises
    UnknownComponentError for what is neither, DataError for a path that no dataset reads.
    """
    path, name = Path(text).expanduser(), os.fspath(text)
    known = isinstance(text, str) and name in lookup.names(DatasetSpec)
    if name and path.exists() and (os.sep in name or not known):
        return {"name": reader(path).name, "path": str(path.resolve())}
    if not known and (os.sep in name or path.suffix or not isinstance(text, str)):
        close = get_close_matches(name, lookup.names(DatasetSpec), n=1, cutoff=0.7)
        hint = f". Did you mean {close[0]!r}?" if close else ""
        raise DataError(
            f"there is no file or folder {name!r}, and no dataset of that name: `vaezoo data` "
            f"lists the datasets{hint}"
        )
    try:
        lookup.find(DatasetSpec, name)
    except UnknownComponentError as error:
        raise UnknownComponentError(f"{error} Nor is there a file or folder {name!r}.") from error
    return {"name": name}


def reader(path: Path) -> DatasetSpec:
    """The first dataset that reads a file or folder of that name. Raises DataError."""
    name = path.name.lower() + ("/" if path.is_dir() else "")
    patterns: list[str] = []
    for spec, _ in lookup.specs(DatasetSpec):
        if any(fnmatchcase(name, pattern) for pattern in spec.reads):
            return spec
        patterns += (pattern for pattern in spec.reads if not pattern.endswith("/"))
    raise DataError(
        f"no dataset reads {str(path)!r}: there are readers of {', '.join(patterns)}, and of "
        f"folders of images; or name one, as in {{'name': 'csv', 'path': ...}} "
        f"(--data csv --data.path ...)"
    )


def label_of(chosen: Mapping[str, Any]) -> str:
    """What to call a chosen dataset: a file's or folder's own name, else the dataset's."""
    path = chosen.get("path")
    return Path(path).stem if isinstance(path, str) and path else str(chosen["name"])
