"""What a data set holds, in numbers, JSON-ready.

Shapes: N examples looked at, D numbers of a vector.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from vaezoo.data.preprocessing import TablePreprocessing
from vaezoo.data.source import Source
from vaezoo.data.splits import Data

LOOKED_AT = 50_000
"""At most so many examples of a split are looked at, evenly spaced."""
CHUNK = 4096


def summary(data: Data) -> dict[str, Any]:
    """Shape, type, splits, values, labels, factors, and columns of vectors.

    "values" and "columns" are of the training examples that were looked at, and so are the
    counts of labels in each split; "looked_at" says of how many. Columns are in the units of
    their file.
    """
    train, dtype = data.train, str(data.train.examples(_places(data.train)[:1])[0].dtype)
    looked = {name: _places(split) for name, split in data.splits().items()}
    vectors = len(data.input_shape) == 1
    description = {key: value for key, value in data.description.items() if key != "name"}
    return {
        "name": data.name,
        "title": data.title,
        "shape": list(data.input_shape),
        "dtype": dtype.removeprefix("torch."),
        **description,
        "looked_at": {name: len(places) for name, places in looked.items()},
        "values": _values(train, looked["train"]),
        "num_classes": data.num_classes,
        "labels": _labels(data, looked),
        "factors": dict(zip(train.factor_names, train.factor_sizes, strict=True)),
        "columns": _columns(data, looked["train"]) if vectors else [],
    }


def _places(source: Source) -> Tensor:
    """(N,) int64, evenly spaced."""
    n = len(source)
    places = torch.linspace(0, n - 1, min(n, LOOKED_AT), dtype=torch.float64)
    return places.long().to(source.device)


def _values(source: Source, places: Tensor) -> dict[str, float]:
    """Least, greatest and mean value; bytes as they are."""
    chunks = [source.examples(some)[0] for some in torch.split(places, CHUNK)]
    total = sum(chunk.double().sum().item() for chunk in chunks)
    return {
        "min": min(chunk.min().item() for chunk in chunks),
        "max": max(chunk.max().item() for chunk in chunks),
        "mean": total / sum(chunk.numel() for chunk in chunks),
    }


def _labels(data: Data, looked: dict[str, Tensor]) -> list[dict[str, Any]]:
    """Each label with its class's name and how often each split has it; -1 is unlabelled."""
    count = data.num_classes
    if count is None:
        return []
    splits = data.splits()
    counts = {
        name: sum(
            (
                torch.bincount(y.cpu() + 1, minlength=count + 1)
                for some in torch.split(places, CHUNK)
                if (y := splits[name].examples(some)[1]) is not None
            ),
            torch.zeros(count + 1, dtype=torch.int64),
        ).tolist()
        for name, places in looked.items()
    }
    names = ["unlabelled", *(data.classes or map(str, range(count)))]
    rows = [
        {"label": i - 1, "name": names[i], **{split: counts[split][i] for split in counts}}
        for i in range(count + 1)
    ]
    return rows if any(counts[split][0] for split in counts) else rows[1:]


def _columns(data: Data, places: Tensor) -> list[dict[str, Any]]:
    """Least, greatest, mean and standard deviation of each number of a vector."""
    x = torch.cat([data.train.examples(some)[0] for some in torch.split(places, CHUNK)]).double()
    names = [str(i) for i in range(x.shape[1])]
    if isinstance(data.preprocessing, TablePreprocessing):
        x, names = data.preprocessing.restore(x), list(data.preprocessing.columns)
    figures = {
        "min": x.amin(0),
        "max": x.amax(0),
        "mean": x.mean(0),
        "std": x.std(0, unbiased=False),
    }
    return [
        {"name": name, **{figure: values[i].item() for figure, values in figures.items()}}
        for i, name in enumerate(names)
    ]
