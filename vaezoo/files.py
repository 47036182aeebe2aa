"""Writing files so that a crash leaves the old one or the new one, never half of either."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write beside the target, flush to the disk, then rename over it."""
    data = content.encode() if isinstance(content, str) else content
    with replacing(path) as temporary, temporary.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the target, yet to be written: renamed over it at the end, gone on an error.

    Makes missing folders. An OSError names the target, as one of a full disk does not by itself.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            told = error.strerror or str(error)
            raise OSError(error.errno or errno.EIO, told, str(path)) from error
        raise


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A folder whose files, yet to be written, go to ``folder`` at the end; gone on an error.

    One that is not there appears by one rename; into another each file is moved.
    """
    named, folder = str(folder), folder.resolve()
    name = f".{folder.name}.{secrets.token_hex(8)}"
    temporary = (folder if folder.is_dir() else folder.parent) / name
    temporary.mkdir(parents=True)
    try:
        yield temporary
        if temporary.parent != folder:
            temporary.replace(folder)
            return
        for file in [path for path in temporary.rglob("*") if path.is_file()]:
            target = folder / file.relative_to(temporary)
            target.parent.mkdir(parents=True, exist_ok=True)
            file.replace(target)
    except OSError as error:
        raise OSError(error.errno or errno.EIO, error.strerror or str(error), named) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def dump_json(value: Any) -> str:
    """Indented JSON with a final newline; NaN and infinity are refused."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
