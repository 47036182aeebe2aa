"""The dataset ``array``: images or vectors from a ``.npy``, ``.npz`` or ``.safetensors`` file.

Shapes: N examples, D numbers, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from vaezoo.data.array_files import ArrayFile, find_keys, open_arrays
from vaezoo.data.array_rows import Rows
from vaezoo.data.convert import as_tensor
from vaezoo.data.file_source import FileSource, Read, look_through
from vaezoo.data.files import FileOptions, class_indices, classes_of, located, split_places
from vaezoo.data.preprocessing import ArrayPreprocessing
from vaezoo.data.source import Source, Subset, TensorSource, as_values, check_shape
from vaezoo.data.splits import Data, named_splits
from vaezoo.errors import DataError
from vaezoo.options import to_json

Channels = Literal["first", "last", "none"]
CHANNELS = (1, 3, 4)  # of images, where nothing else is said


@dataclass(frozen=True, kw_only=True)
class ArrayOptions(FileOptions):
    """Which arrays of a file are the examples, and how they lie in it."""

    key: str | None = None
    """The array of examples. Default: x, x_train and the like, or the only one."""
    labels: str | None = None
    """The array of labels. Default: y, y_train and the like, if there are."""
    channels: Literal["auto", "first", "last"] = "auto"
    """Where images have their channels. auto: the axis of 1, 3 or 4; (N, H, W) are grey images,
    (N, D) vectors."""


def array(options: ArrayOptions, root: Path | None) -> Data:
    """The arrays of a file, in their order. ``root`` is not used."""
    options, path = located(options)
    file = open_arrays(path)
    keys = find_keys(file, options.key, options.labels)
    channels = _channels(file, keys["train"][0], options.channels)
    labels = {split: _labels(file, key) for split, (_, key) in keys.items() if key is not None}
    words = [word for found in labels.values() if isinstance(found, list) for word in found]
    classes = classes_of(words)
    sources: dict[str, Source] = {}
    count = len(classes) or None
    for split in sorted(keys, key=lambda split: split != "train"):
        found = labels.get(split)
        y = None if found is None else _indices(found, classes, str(path))
        sources[split] = read_array(file, keys[split][0], channels, y, count)
        count = sources["train"].num_classes
    splits: dict[str, tuple[Source, str]] = {}
    for split, (places, rule) in split_places(_ranges(sources), options).items():
        source = sources.get(split, sources["train"])
        whole = len(places) == len(source)
        splits[split] = source if whole else Subset(source, places), rule
    return named_splits(
        "array",
        splits,
        options=to_json(options),
        classes=classes,
        preprocessing=ArrayPreprocessing(
            channels=channels, key=options.key, labels=options.labels, classes=classes
        ),
    )


def source_of_arrays(
    path: Path,
    preprocessing: ArrayPreprocessing | None,
    *,
    shape: tuple[int, ...],
    labels: bool,
    rows: Callable[[ArrayFile, str], Rows],
) -> FileSource:
    """Another file's examples, of all its splits. Raises DataError.

    shape: of one example, as it is wanted. labels: read those too, if the file has them. rows:
    how the arrays of examples are read. Without a preprocessing the shape tells where the
    channels lie.
    """
    file = open_arrays(path)
    how = preprocessing or ArrayPreprocessing()
    key, chosen = (name if name in file.keys else None for name in (how.key, how.labels))
    parts, y = [], []
    for of_x, of_y in find_keys(file, key, chosen, advice="rename one of them").values():
        array = rows(file, of_x)
        last = array.shape[1:] == (*shape[1:], shape[0])
        channels = how.channels if preprocessing or not last else "last"
        parts.append(_part(file, of_x, array, channels))
        if labels and of_y is not None:
            found = _labels(file, of_y)
            y.append(_indices(found, how.classes, file.where(of_y)))
    if len({(part.shape, part.dtype) for part in parts}) > 1:
        raise DataError(
            f"{path}: its arrays of examples differ in shape or type; bring them to one"
        )
    starts = [0, *accumulate(part.size for part in parts)]

    def read(start: int, stop: int) -> Tensor:
        bounds = (
            (max(start - s, 0), min(stop - s, p.size)) for s, p in zip(starts, parts, strict=False)
        )
        return torch.cat([p.read(*b) for p, b in zip(parts, bounds, strict=True) if b[0] < b[1]])

    return FileSource(
        read,
        starts[-1],
        parts[0].shape,
        y=torch.cat(y) if y else None,
        unit_range=all(part.unit_range for part in parts),
    )


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One array of examples, whose values have been looked at."""

    read: Read
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    unit_range: bool


def _part(file: ArrayFile, key: str, array: Rows, channels: Channels) -> _Part:
    """Raises DataError, which names the array."""

    def read(start: int, stop: int) -> Tensor:
        return as_values(arranged(as_tensor(array.read(start, stop)), channels))

    try:
        check_shape(array.shape)
        first = read(0, 1)
        shape = tuple(first.shape[1:])
        unit_range = look_through(read, array.shape[0], shape)
    except DataError as error:
        raise DataError(f"{file.where(key)}: {error}") from error
    return _Part(
        read=read, size=array.shape[0], shape=shape, dtype=first.dtype, unit_range=unit_range
    )


def read_array(
    file: ArrayFile,
    key: str,
    channels: Channels,
    y: Tensor | None = None,
    num_classes: int | None = None,
) -> TensorSource:
    """The examples of one array, channels first. Raises DataError, which names the array."""
    try:
        x = arranged(as_tensor(file[key]), channels)
        return TensorSource(x, y, None if y is None else num_classes)
    except DataError as error:
        if str(file.path) in str(error):
            raise
        raise DataError(f"{file.where(key)}: {error}") from error


def arranged(x: Tensor, channels: Channels) -> Tensor:
    """Channels first: (N, H, W) and (N, H, W, C) to (N, C, H, W); others as they are."""
    if channels == "last" and x.ndim == 4:
        return x.permute(0, 3, 1, 2).contiguous()
    return x.unsqueeze(1) if channels == "none" and x.ndim == 3 else x


def _channels(file: ArrayFile, key: str, asked: Literal["auto", "first", "last"]) -> Channels:
    """Where the channels lie. Raises DataError where that cannot be told."""
    shape = tuple(file[key].shape)
    if len(shape) != 4:
        return "none"
    if asked != "auto":
        return asked
    first, last = (shape[axis] in CHANNELS for axis in (1, 3))
    if first == last:
        raise DataError(
            f"{file.where(key)} has shape {shape}, and its channels "
            f"{'may be first or last' if first else 'are neither first nor last of 1, 3 or 4'}: "
            f"examples are (N, D), (N, H, W), or (N, C, H, W) with channels='first', or "
            f"(N, H, W, C) with channels='last' (--data.channels last)"
        )
    return "first" if first else "last"


def _labels(file: ArrayFile, key: str) -> Tensor | list[str]:
    """Labels as integers, or as words. Raises DataError, which names the array."""
    found = file[key]
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1:
        raise DataError(
            f"{file.where(key)} has shape {tuple(found.shape)}: labels must be one for each "
            f"example, (N,); turn one-hot labels into these with y.argmax(1)"
        )
    if isinstance(found, np.ndarray) and found.dtype.kind in "US":
        return [str(word) for word in found.astype(str)]
    integers = (
        found.dtype.kind in "biu"
        if isinstance(found, np.ndarray)
        else not (found.is_floating_point() or found.is_complex())
    )
    if not integers:
        raise DataError(
            f"{file.where(key)} must hold integers or words, one label for each example, not "
            f"{str(found.dtype).removeprefix('torch.')}; the first is {found[0]}"
        )
    return torch.from_numpy(np.asarray(found).astype(np.int64))


def _indices(labels: Tensor | list[str], classes: tuple[str, ...], where: str) -> Tensor:
    return class_indices(labels, classes, where) if isinstance(labels, list) else labels


def _ranges(sources: Mapping[str, Source]) -> dict[str, range]:
    return {split: range(len(source)) for split, source in sources.items()}
