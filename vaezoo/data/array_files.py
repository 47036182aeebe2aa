"""Arrays in ``.npy``, ``.npz`` and ``.safetensors`` files. Nothing is unpickled."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.data.files import SPLITS
from vaezoo.errors import DataError, did_you_mean

Array = NDArray[Any] | Tensor
EXAMPLES = {"x", "data", "image", "images", "img", "imgs", "input", "inputs", "examples"}
LABELS = {"y", "label", "labels", "target", "targets", "class", "classes"}


@dataclass(frozen=True, kw_only=True)
class ArrayFile:
    """A file of arrays, each read when it is asked for."""

    path: Path
    keys: tuple[str, ...]
    """Empty for a .npy file, which holds one array without a name."""
    load: Callable[[str], Array]

    def __getitem__(self, key: str) -> Array:
        """The array of that key; "" of a .npy file. Raises DataError."""
        if self.keys and key not in self.keys:
            raise DataError(f"{self.path} has no array {key!r}.{did_you_mean(key, self.keys)}")
        try:
            return self.load(key)
        except MemoryError:
            raise
        except Exception as error:  # numpy and zipfile raise many kinds for damaged files
            raise DataError(self.fault(key, error)) from error

    def where(self, key: str) -> str:
        """An array, for messages."""
        return f"{self.path}: array {key!r}" if self.keys else str(self.path)

    def fault(self, key: str, error: Exception) -> str:
        """What is wrong with an array that could not be read."""
        if "Object arrays" in str(error):
            return (
                f"{self.where(key)} holds Python objects, which are pickled, and vaezoo unpickles "
                f"nothing; save it as numbers, as in array.astype(numpy.float32)"
            )
        if "pickle" in str(error):  # so numpy says of whatever does not begin as its formats do
            return f"{self.path} is no .npy or .npz file; if it is a pickle, vaezoo opens none"
        return f"{self.where(key)} cannot be read ({_one_line(error)}); the file is damaged"


def open_arrays(path: Path) -> ArrayFile:
    """The arrays of a file. Raises DataError for what is none."""
    load: Any = _safetensors if path.suffix.lower() == ".safetensors" else _numpy
    try:
        keys = load(path, None)
    except MemoryError:
        raise
    except Exception as error:
        raise DataError(ArrayFile(path=path, keys=(), load=load).fault("", error)) from error
    return ArrayFile(path=path, keys=keys, load=cache(partial(load, path)))


def _safetensors(path: Path, key: str | None) -> Any:
    """The array of that key; the keys themselves for None."""
    with safetensors.safe_open(path, framework="pt") as file:
        return tuple(file.keys()) if key is None else file.get_tensor(key)


def _numpy(path: Path, key: str | None) -> Any:
    """Likewise of a .npz file; of a .npy file, which has no keys, its array."""
    # Opened here: of a damaged archive numpy would leave the file open.
    with path.open("rb") as file:
        if key is None and file.read(len(MAGIC_PREFIX)) == MAGIC_PREFIX:
            return ()  # without reading its array
        file.seek(0)
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return () if key is None else loaded
        with loaded:
            return tuple(loaded.files) if key is None else loaded[key]


def find_keys(
    file: ArrayFile,
    key: str | None = None,
    labels: str | None = None,
    *,
    advice: str = "say which one with key (--data.key)",
) -> dict[str, tuple[str, str | None]]:
    """The keys of the examples and of their labels (or None), by split. Raises DataError.

    key, labels: chosen by the user, for all examples; else whatever has one of the usual names,
    or is the only array. advice: what to do where nothing tells.
    """
    if not file.keys:
        return {"train": ("", None)}
    examples = _by_split(file.keys, EXAMPLES)
    named = _by_split(file.keys, LABELS)
    if key is not None:
        examples, named = {"train": key}, {"train": named[None]} if None in named else {}
    elif None in examples:
        examples = {"train": examples[None]}
        named = {"train": named[None]} if None in named else {}
    elif "train" not in examples:
        if len(file.keys) > 1:
            raise DataError(
                f"{file.path} holds the arrays {', '.join(file.keys)}, and none is called x, "
                f"x_train or the like: {advice}"
            )
        examples = {"train": file.keys[0]}
    if labels is not None:
        named = {"train": labels}
    return {split: (name, named.get(split)) for split, name in examples.items() if split}


def _by_split(keys: Sequence[str], role: set[str]) -> dict[str | None, str]:
    """The keys that play a role: ``x_train`` by "train", ``x`` by None. Raises nothing."""
    found: dict[str | None, str] = {}
    for key in keys:
        words = set(re.split(r"[_\-./ ]+", key.lower()))
        splits = words & SPLITS.keys()
        rest = words - splits
        plays = rest <= role and (rest or role is EXAMPLES)
        if plays and len(splits) <= 1 and len(rest) <= 1:
            found.setdefault(SPLITS[splits.pop()] if splits else None, key)
    return found


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
