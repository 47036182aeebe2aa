"""Raw data, as users have it, to a Source: tensors, arrays, pairs and torch datasets.

Shapes: N examples, *shape one example.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
)

from vaezoo.data.source import Source, TensorSource
from vaezoo.errors import DataError

ACCEPTED = (
    "a dataset's name, or the path of a file or folder, with options as in {'path': 'photos', "
    "'image_size': 64}; vaezoo Data or a Source, a torch tensor or numpy array of examples, a "
    "pair (x, y) of these with integer labels, a torch Dataset of x or (x, y), or an iterable of "
    "such batches"
)
PIL_MODES = {"1": "L", "L": "L", "P": "RGB", "RGB": "RGB"}


def as_source(data: Any, *, num_classes: int | None = None) -> Source:
    """``data`` as a Source, in memory.

    num_classes: of the labels, if there are any; None counts them. Raises DataError for what is
    not accepted.
    """
    if isinstance(data, Source):
        return data
    if isinstance(data, Tensor | np.ndarray):
        return TensorSource(as_tensor(data))
    if isinstance(data, tuple | list) and len(data) in (1, 2):
        x, y = data[0], data[1] if len(data) == 2 else None
        if isinstance(x, Tensor | np.ndarray):
            return _labelled(as_tensor(x), None if y is None else _labels(y), num_classes)
    if isinstance(data, DataLoader):
        return as_source(_dataset_of(data), num_classes=num_classes)
    if isinstance(data, Dataset):
        x, y = _read(data)
        return _labelled(x, y, num_classes)
    kind = type(data).__name__
    if isinstance(data, tuple | list):
        kind = f"{kind} of " + (", ".join(type(item).__name__ for item in data[:3]) or "nothing")
    raise DataError(f"data cannot be a {kind}; give {ACCEPTED}")


def _labelled(x: Tensor, y: Tensor | None, num_classes: int | None) -> TensorSource:
    return TensorSource(x, y, None if y is None else num_classes)


def as_tensor(x: Tensor | NDArray[Any]) -> Tensor:
    """Examples as a tensor: bool and floating arrays as float32, others as they are.

    Shares memory where torch can. Raises DataError for what is not numeric.
    """
    if isinstance(x, Tensor):
        return x
    if x.dtype.kind not in "biuf":
        raise DataError(
            f"arrays must be numeric, not {x.dtype}; convert them, for example with "
            f"array.astype(numpy.float32)"
        )
    dtype: Any = np.float32 if x.dtype.kind in "bf" else x.dtype.newbyteorder("=")
    with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is reported later
        return torch.from_numpy(np.require(x, dtype, ["C_CONTIGUOUS", "WRITEABLE"]))


def _labels(y: Any) -> Tensor:
    """Labels, a tensor, an array or a list, as a tensor. Raises DataError."""
    if isinstance(y, Tensor):
        return y
    try:
        array = np.asarray(y)
    except ValueError:  # a ragged list
        array = np.asarray(y, dtype=object)
    if array.dtype.kind not in "biu":
        raise DataError(f"labels must be integers, one per example, not {array.dtype}")
    return torch.from_numpy(array.astype(np.int64))


def _dataset_of(loader: DataLoader[Any]) -> Dataset[Any]:
    """The dataset behind a loader that shows all of it, unchanged. Raises DataError otherwise."""
    if not shows_its_dataset(loader):
        raise DataError(
            "a DataLoader is read through its dataset, and this one has a sampler or a "
            "collate_fn of its own; give the data that it yields as a Dataset or as tensors"
        )
    return loader.dataset


def shows_its_dataset(loader: DataLoader[Any]) -> bool:
    """Whether what a loader yields is its map-style dataset, whole and unchanged."""
    return (
        loader.batch_size is not None  # else its batch_sampler is the caller's
        and type(loader.sampler) in (SequentialSampler, RandomSampler)
        and len(loader.sampler) == len(loader.dataset)  # type: ignore[arg-type]
        and loader.collate_fn is default_collate
    )


def _read(dataset: Dataset[Any]) -> tuple[Tensor, Tensor | None]:
    """All items of a map-style dataset: x (N, *shape), uint8 or float32, and y (N,) or None."""
    if isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__"):
        raise DataError(
            f"{type(dataset).__name__} is not map-style: it needs __len__ and __getitem__; "
            f"read its items into a tensor first"
        )
    size = len(dataset)
    if size == 0:
        raise DataError(f"{type(dataset).__name__} is empty; give at least one example")
    first, first_label = as_example(_item(dataset, 0), 0)
    x = torch.empty(size, *first.shape, dtype=first.dtype)
    labels: list[int] = []
    for i in range(size):
        example, label = (first, first_label) if i == 0 else as_example(_item(dataset, i), i)
        if example.shape != first.shape or example.dtype != first.dtype:
            raise DataError(
                f"all items must be alike: item 0 is {_what(first)}, item {i} is "
                f"{_what(example)}; bring them to one size and type first"
            )
        if (label is None) != (first_label is None):
            raise DataError(
                f"all items must be alike: item 0 has {_what_label(first_label)}, item {i} has "
                f"{_what_label(label)}; label all or none"
            )
        x[i] = example
        if label is not None:
            labels.append(label)
    return x, torch.tensor(labels) if labels else None


def _item(dataset: Dataset[Any], i: int) -> Any:
    """Raises DataError for whatever the caller's code raises."""
    try:
        return dataset[i]
    except Exception as error:
        what = f"item {i} of {type(dataset).__name__}"
        raise DataError(f"{what} cannot be read: {brief(error)}") from error


def brief(error: Exception) -> str:
    """An error's type and the line that says most: the last, where a worker's traceback is it."""
    kind = f"{type(error).__name__}: "
    lines = str(error).strip().splitlines() or [""]
    return f"{kind}{lines[-1].strip().removeprefix(kind)[:300]}".removesuffix(": ")


def as_example(item: Any, i: int) -> tuple[Tensor, int | None]:
    """Item ``i`` of a dataset: x as a uint8 or float32 tensor, and its label if it has one."""
    label: int | None = None
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        if len(item) == 2:
            label = _label(item[1], i)
        item = item[0]
    from PIL.Image import Image

    try:
        if isinstance(item, Image):
            return _image(item), label
        if isinstance(item, np.generic | np.ndarray):
            item = as_tensor(np.asarray(item))
    except DataError as error:
        raise DataError(f"item {i}: {error}") from error
    if not isinstance(item, Tensor):
        raise DataError(
            f"item {i} is a {type(item).__name__}; items must be x or (x, y), with x a tensor, "
            f"a numpy array or a PIL image"
        )
    if item.is_floating_point() or item.dtype == torch.bool:
        item = item.detach().to(torch.float32)
    return item, label


def _label(label: Any, i: int) -> int:
    if isinstance(label, Tensor | np.ndarray) and label.ndim == 0:
        label = label.item()
    if not isinstance(label, int | np.integer):
        raise DataError(f"the label of item {i} must be an integer, not {label!r:.40}")
    return int(label)


def _image(image: Any) -> Tensor:
    """A PIL image as (C, H, W) uint8."""
    if image.mode not in PIL_MODES:
        raise DataError(
            f"images must be grey or RGB, not mode {image.mode!r}; convert them with "
            f"image.convert('RGB')"
        )
    pixels = torch.from_numpy(np.array(image.convert(PIL_MODES[image.mode])))
    return pixels.unsqueeze(0) if pixels.ndim == 2 else pixels.permute(2, 0, 1)


def _what(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}"


def _what_label(label: int | None) -> str:
    return "no label" if label is None else "a label"
