"""What all data of the user's own files share: where they are, and how they are split."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from numpy.typing import NDArray
from torch import Tensor

from vaezoo.data.hashing import shuffled_indices
from vaezoo.errors import DataError, DataWarning
from vaezoo.words import counted

SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""What people call the splits in files and folders."""
UNLABELLED = -1
Corrupt = Literal["refuse", "skip"]
"""What to do with what cannot be read."""


@dataclass(frozen=True, kw_only=True)
class FileOptions:
    """Where the data are, and how they are split unless they say so themselves."""

    path: str
    """The file or folder."""
    validation: float = 0.1
    """Share of the examples held out for validation, unless they are given apart; 0 for none."""
    test: float = 0.1
    """Share held out for the test, likewise."""
    split_seed: int = 0
    """Of the draw of the examples that are held out."""

    def __post_init__(self) -> None:
        if not (0 <= self.validation < 1 and 0 <= self.test < 1):
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) are shares of the "
                f"examples: they must lie in [0, 1)"
            )
        if self.validation + self.test >= 1:
            raise ValueError(
                f"validation ({self.validation}) and test ({self.test}) leave nothing for training"
            )


O = TypeVar("O", bound=FileOptions)  # noqa: E741


def located(options: O) -> tuple[O, Path]:
    """The options with an absolute path, and that path. Raises DataError if it is not there."""
    path = Path(options.path).expanduser()
    if not path.exists():
        raise DataError(f"there is no file or folder {options.path!r}")
    path = path.resolve()
    return dataclasses.replace(options, path=str(path)), path


def drawn(
    size: int, counts: Mapping[str, int], *, seed: int
) -> dict[str, tuple[NDArray[Any], str]]:
    """Random places of 0..size-1 for each split, the rest for train, each with its rule in words.

    counts: how many for the others; none gets no split. There must be some left for train.
    """
    order, start = shuffled_indices(size, seed), 0
    splits: dict[str, tuple[NDArray[Any], str]] = {}
    for name, count in {**counts, "train": size - sum(counts.values())}.items():
        if count:
            rule = (
                f"places {start} to {start + count - 1} of shuffled_indices({size}, seed={seed})"
            )
            splits[name] = order[start : start + count], rule
        start += count
    return splits


def split_places(
    given: Mapping[str, Sequence[int] | NDArray[Any]], options: FileOptions
) -> dict[str, tuple[Tensor, str]]:
    """The places of each split: (n,) int64, with its rule. Those not given are drawn from train.

    given: the places by split, with "train" among them. Raises DataError for too few examples.
    """
    size = len(given.get("train", ()))
    if not size:
        raise DataError(f"{options.path} holds no examples for training")
    train = torch.as_tensor(given["train"], dtype=torch.int64)
    counts = {
        name: max(1, round(share * size))
        for name, share in (("test", options.test), ("validation", options.validation))
        if name not in given and share
    }
    if sum(counts.values()) >= size:
        wanted = " and ".join(f"{count} for {name}" for name, count in counts.items())
        raise DataError(
            f"{options.path} holds {counted(size, 'example')}, too few to hold out {wanted}: "
            f"give more, or hold out none with validation=0, test=0 (--data.validation 0 "
            f"--data.test 0)"
        )
    splits = {
        name: (torch.as_tensor(places, dtype=torch.int64), f"all {len(places)} given as {name}")
        for name, places in given.items()
    }
    if counts:
        parts = drawn(size, counts, seed=options.split_seed)
        splits |= {name: (train[torch.from_numpy(p)], rule) for name, (p, rule) in parts.items()}
    return splits


def warn_of_skipped(faults: Sequence[str], total: int, what: str) -> None:
    """Tell how many of ``total`` were left out, and which first, if any."""
    if faults:
        warnings.warn(
            f"{len(faults)} of {total} {what} cannot be read and are skipped, the first: "
            f"{faults[0]}",
            DataWarning,
            stacklevel=3,
        )


def classes_of(values: Sequence[str]) -> tuple[str, ...]:
    """The classes' names, sorted: as numbers if all are integers. Empty values name none."""
    names = {value for value in values if value}
    try:
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    except ValueError:
        return tuple(sorted(names))


def class_indices(values: Sequence[str], classes: Sequence[str], where: str) -> Tensor:
    """Each value's place among the classes, -1 for an empty one: (n,) int64. Raises DataError."""
    place = {name: i for i, name in enumerate(classes)} | {"": UNLABELLED}
    unknown = [value for value in values if value not in place]
    if unknown:
        known = ", ".join(classes)
        raise DataError(f"{where} names the class {unknown[0]!r}, which is none of {known}")
    return torch.tensor([place[value] for value in values], dtype=torch.int64)
