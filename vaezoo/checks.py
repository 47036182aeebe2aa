"""Whether the data fit the model: found out before the first step, in one clear sentence."""

from __future__ import annotations

import torch

from vaezoo.data import Data, Source, evaluation_batches
from vaezoo.errors import DataError
from vaezoo.model import VAE


def check_data(model: VAE, data: Data) -> None:
    """Raise DataError unless every split has the shape, range and labels that the model takes."""
    splits = {"training": data.train, "validation": data.validation, "test": data.test}
    for name, source in splits.items():
        if source is not None:
            check_source(model, source, f"the {name} examples of {data.name!r}")


def check_source(model: VAE, source: Source, what: str) -> None:
    """Raise DataError unless these examples have what the model takes."""
    if model.input_shape is not None and source.shape != model.input_shape:
        raise DataError(
            f"{what} have shape {source.shape}, but the model takes {model.input_shape}: "
            f"create it with input_shape={source.shape}"
        )
    head = getattr(model.decoder, "head", None)
    # Labels and ranges of stored examples are all looked at; rendered ones are as they are made.
    for batch in evaluation_batches(source, batch_size=4096):
        if head is not None:
            head.check(batch.x)
        if model.num_classes is not None:
            _check_labels(model.num_classes, batch.y, what)
        if source.unit_range and len(source) > 100_000:
            break


def _check_labels(num_classes: int, y: torch.Tensor | None, what: str) -> None:
    if y is None:
        raise DataError(
            f"the model is conditioned on labels, but {what} have none: pass (x, y) with int64 "
            f"labels in 0..{num_classes - 1}"
        )
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= num_classes:
        raise DataError(
            f"labels of {what} lie in {low}..{high}, but the model takes 0..{num_classes - 1}"
            + (" and no unlabelled (-1) ones" if low == -1 else "")
        )
