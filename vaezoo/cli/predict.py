"""``vaezoo predict``: the most probable label of each example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    import torch

    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved

    saved = open_saved(asked.path, asked.device, "predict")
    saved.model.require_labels()
    examples = find_examples(saved, asked, labels=False)
    with shown_reading():
        batches = examples.batches("labels")
        rows = [saved.model.predict_proba(b.x, seed=asked.seed).cpu() for b in batches]
    probability, label = torch.cat(rows).max(1)
    size = saved.model.num_classes or 0
    called = saved.classes or tuple(map(str, range(size)))
    line(examples.described)
    counts = torch.bincount(label, minlength=size).tolist()
    table((called[i], str(count)) for i, count in enumerate(counts))
    if asked.out is not None:
        names = examples.names or tuple(map(str, range(len(examples))))
        found = zip(names, label.tolist(), probability.tolist(), strict=True)
        lines = ([name, called[i], str(p)] for name, i, p in found)
        write_csv(asked.out, ["name", "label", "probability"], lines)
        line(str(asked.out))
