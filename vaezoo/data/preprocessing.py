"""How a file becomes what a model was trained on: saved with the weights, as JSON.

Shapes: n examples, D columns.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from vaezoo.data.csv_file import Decimal
from vaezoo.data.files import Corrupt
from vaezoo.errors import OptionError, did_you_mean
from vaezoo.options import build, to_json


@dataclass(frozen=True, kw_only=True)
class ImagePreprocessing:
    """Any picture to (C, height, width) bytes."""

    image_size: tuple[int, int]
    """Height and width."""
    mode: Literal["grey", "rgb"] = "rgb"
    """One channel or three."""
    resize: Literal["crop", "stretch", "pad"] = "crop"
    """How other shapes are brought to this one."""
    classes: tuple[str, ...] = ()
    """The sub-folders that labels 0, 1, ... stand for."""
    corrupt: Corrupt = "refuse"
    """What to do with files that cannot be read."""

    def __post_init__(self) -> None:
        if min(self.image_size) < 1:
            raise ValueError(f"image_size must be positive, not {self.image_size}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one example."""
        return (1 if self.mode == "grey" else 3, *self.image_size)


@dataclass(frozen=True, kw_only=True)
class ArrayPreprocessing:
    """An array of images to channels first."""

    channels: Literal["first", "last", "none"] = "none"
    """Where the file has them; none: vectors, or grey images (N, H, W)."""
    key: str | None = None
    """The array of examples, if it was chosen."""
    labels: str | None = None
    """The array of labels, if it was chosen."""
    classes: tuple[str, ...] = ()
    """What labels 0, 1, ... are called in the file, if they are words there."""


@dataclass(frozen=True, kw_only=True)
class TablePreprocessing:
    """The columns of a table to standardized values, (x - mean) / std."""

    columns: tuple[str, ...]
    """Their names, or their numbers from 1 where the file names none."""
    mean: tuple[float, ...]
    """Of each column over the training examples; 0 where it is not standardized."""
    std: tuple[float, ...]
    """Likewise, and 1 for a column that does not vary."""
    label: str | None = None
    """The column of labels."""
    classes: tuple[str, ...] = ()
    """What labels 0, 1, ... are called there."""
    header: bool = True
    """Whether the file's first line names the columns."""
    decimal: Decimal | None = None
    """What stands before decimals there; None: a point."""
    corrupt: Corrupt = "refuse"
    """What to do with rows that hold other things than numbers."""

    def __post_init__(self) -> None:
        if not len(self.columns) == len(self.mean) == len(self.std) > 0:
            raise ValueError("there must be as many columns as means and stds, and at least one")
        if min(self.std) <= 0:
            raise ValueError(f"each std must be positive; the least is {min(self.std)}")

    @property
    def log_det(self) -> float:
        """log |dx'/dx| of the standardization: log p(x) = log p(x') + log_det, in nats.

        x in the file's own units, x' standardized.
        """
        return -math.fsum(math.log(std) for std in self.std)

    def standardize(self, x: Tensor) -> Tensor:
        """(n, D) in the file's own units to float32."""
        mean, std = (self._row(values, x) for values in (self.mean, self.std))
        return ((x.double() - mean) / std).to(torch.float32)

    def restore(self, x: Tensor) -> Tensor:
        """(n, D) standardized to the file's own units, float64."""
        mean, std = (self._row(values, x) for values in (self.mean, self.std))
        return x.double() * std + mean

    def _row(self, values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=torch.float64, device=like.device)


Preprocessing = ImagePreprocessing | ArrayPreprocessing | TablePreprocessing
KINDS: Mapping[str, type[Preprocessing]] = {
    "images": ImagePreprocessing,
    "array": ArrayPreprocessing,
    "standardize": TablePreprocessing,
}


def preprocessing_to_json(preprocessing: Preprocessing) -> dict[str, Any]:
    """``{"name": ..., fields}``, from which ``preprocessing_from_json`` makes an equal one."""
    name = next(name for name, cls in KINDS.items() if type(preprocessing) is cls)
    return {"name": name, **to_json(preprocessing)}


def preprocessing_from_json(value: Any) -> Preprocessing:
    """What a config records. Raises OptionError for anything else."""
    if not isinstance(value, Mapping):
        raise OptionError(f"preprocessing must be an object with a name, not {value!r:.80}")
    fields = dict(value)
    name = fields.pop("name", None)
    if name not in KINDS:
        raise OptionError(f"unknown preprocessing {name!r}.{did_you_mean(str(name), KINDS)}")
    return build(KINDS[name], fields, f"preprocessing {name!r}")
