"""``vaezoo predict``: the most probable label of each example."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from vaezoo.cli.arguments import Unset, parse
from vaezoo.cli.examples import Through, check_asked, find_examples
from vaezoo.cli.outputs import CSV, check_output, write_csv
from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import check_seed


@dataclass(frozen=True, kw_only=True)
class Predict(Through):
    """What ``vaezoo predict`` takes."""

    seed: int = 0
    """Of the draws of z, for models without a classifier of their own."""
    out: Unset[Path] = None
    """The CSV file to write: name, label and its probability. Default: none, only a summary."""


def predict(argv: Sequence[str]) -> None:
    """``vaezoo predict``."""
    about = "Label examples with a model that was trained on labels."
    asked = parse(Predict, argv, "predict", about)
    check_seed(asked.seed)
    check_asked(asked)
    if asked.out is not None:
        check_output(asked.out, "predict", (CSV,), folder=False, overwrite=asked.overwrite)
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved

    saved = open_saved(asked.path, asked.device, "predict")
    saved.model.require_labels()
    examples = find_examples(saved, asked, labels=False)
    size = saved.model.num_classes or 0
    called = saved.classes or tuple(map(str, range(size)))
    counts = dict.fromkeys(range(size), 0)

    def rows() -> Iterator[list[str]]:
        names = iter(examples.names or map(str, count()))
        for batch in examples.batches("labels"):
            probability, label = saved.model.predict_proba(batch.x, seed=asked.seed).max(1)
            for i, p in zip(label.tolist(), probability.tolist(), strict=True):
                counts[i] += 1
                yield [next(names), called[i], str(p)]

    with shown_reading():
        if asked.out is not None:
            write_csv(asked.out, ["name", "label", "probability"], rows())
        else:
            deque(rows(), maxlen=0)  # for the counts
    line(examples.described)
    table((called[i], str(n)) for i, n in counts.items())
    if asked.out is not None:
        line(str(asked.out))
