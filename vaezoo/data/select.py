"""Some classes of a data set: what to train on where others are to be told apart afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from vaezoo.data.source import Source, Subset
from vaezoo.data.splits import Data, as_data
from vaezoo.errors import DataError
from vaezoo.options import convert

PIECE = 10_000


def select(
    data: Any,
    *,
    classes: Sequence[int],
    root: str | Path | None = None,
) -> Data:
    """The examples of these classes, in every split; labels stay as they are.

    data: as for ``fit``. Train on what this gives, and measure on the whole data, as with the
    metric ``anomaly``. The name tells the choice, so that no run of it is taken for one on all.
    Raises DataError for a stream, for data without labels, and for a class that is not there.
    """
    whole = as_data(data, root=root)
    chosen = tuple(sorted({*convert(tuple(classes), tuple[int, ...], "classes")}))
    if whole.stream is not None:
        raise DataError(f"{whole.name} is a stream: nothing can be selected from it beforehand")
    if whole.num_classes is None:
        raise DataError(f"{whole.name} has no labels: pass (x, y), or data that have them")
    if not chosen or not 0 <= chosen[0] <= chosen[-1] < whole.num_classes:
        raise DataError(
            f"classes must lie in 0..{whole.num_classes - 1} and be at least one, not {[*chosen]}"
        )
    parts = {name: _of_classes(split, chosen, name) for name, split in whole.splits().items()}
    listed = ", ".join(map(str, chosen))
    name = f"{whole.name} (classes {listed})"
    return replace(
        whole,
        name=name,
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        description={
            **whole.description,
            "name": name,
            "splits": {
                split: {"size": len(part), "rule": _rule(whole.description, split, listed)}
                for split, part in parts.items()
            },
        },
    )


def _of_classes(source: Source, classes: Sequence[int], split: str) -> Source:
    wanted = torch.tensor(classes, device=source.device)
    places = []
    for start in range(0, len(source), PIECE):
        stop = min(start + PIECE, len(source))
        piece = torch.arange(start, stop, device=source.device)
        _, y = source.examples(piece)
        assert y is not None
        places.append(piece[torch.isin(y, wanted)])
    found = torch.cat(places)
    if not len(found):
        raise DataError(f"the {split} split holds no example of the classes {[*classes]}")
    return Subset(source, found)


def _rule(description: Mapping[str, Any], split: str, classes: str) -> str:
    rule = description.get("splits", {}).get(split, {}).get("rule", "as given")
    return f"{rule}; of these, classes {classes}"
