"""``vaezoo score``: how likely each example is, and which are the most unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vaezoo.cli.arguments import Unset, parse
from vaezoo.cli.evaluate import error, number
from vaezoo.cli.examples import MOST, Examples, Through, check_asked, find_examples
from vaezoo.cli.outputs import CSV, check_output, write_csv
from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import UsageError, check_seed

if TYPE_CHECKING:
    from torch import Tensor

UNUSUAL = 5
CHUNK = 4096
"""Decoded examples at a time, as ``log_likelihood`` has it."""


@dataclass(frozen=True, kw_only=True)
class Score(Through):
    """What ``vaezoo score`` takes."""

    samples: int = 100
    """Importance samples for each example: log p(x) is bounded more tightly by more."""
    seed: int = 0
    """Of the draws of z. The same seed and batch size repeat them."""
    out: Unset[Path] = None
    """The CSV file to write, a row for each example. Default: none, only a summary."""


def score(argv: Sequence[str]) -> None:
    """``vaezoo score``."""
    about = "Measure how likely each example is, in nats: its ELBO and its log p(x)."
    asked = parse(Score, argv, "score", about)
    if asked.samples < 1:
        raise UsageError(f"--samples must be at least 1, not {asked.samples}")
    check_seed(asked.seed)
    check_asked(asked)
    if asked.out is not None:
        check_output(asked.out, "score", (CSV,), folder=False, overwrite=asked.overwrite)
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved

    saved = open_saved(asked.path, asked.device, "score")
    saved.model.require_bound("score")
    examples = find_examples(saved, asked)
    with shown_reading():
        columns = _scores(examples, asked.samples, asked.seed)
    names = examples.names or tuple(map(str, range(len(examples))))
    _show(columns, names, f"{examples.described}; seed {asked.seed}")
    if asked.out is not None:
        write_csv(asked.out, ["name", *columns], _rows(names, [*columns.values()]))
        line(str(asked.out))


def _scores(examples: Examples, samples: int, seed: int) -> dict[str, Tensor]:
    """By name, (N,) float64 each, in nats; of standardized rows in both units.

    All ELBOs are drawn before the first log p(x), each from the seed, as ``vaezoo eval`` does.
    """
    import torch

    from vaezoo.data import TablePreprocessing
    from vaezoo.inference import seeded

    model = examples.model
    chunk = CHUNK if examples.batch_size >= MOST else 4 * examples.batch_size

    def elbo(x: Tensor, y: Tensor | None) -> Tensor:
        return model.elbo(x, y)

    def log_likelihood(x: Tensor, y: Tensor | None) -> Tensor:
        return model.log_likelihood(x, y, samples=samples, chunk=chunk)

    columns = {}
    for figure, what in ((elbo, "ELBO"), (log_likelihood, "log p(x)")):
        with seeded(seed, model.device):
            rows = [figure(b.x, examples.labels(b)) for b in examples.batches(what)]
        columns[figure.__name__] = torch.cat(rows).double().cpu()
    if isinstance(how := model.preprocessing, TablePreprocessing):
        columns |= {f"{name}_in_file_units": v + how.log_det for name, v in columns.items()}
    return columns


def _rows(names: Sequence[str], columns: Sequence[Tensor]) -> Iterator[list[str]]:
    values = zip(*(column.tolist() for column in columns), strict=True)
    for name, row in zip(names, values, strict=True):
        yield [name, *map(str, row)]


def _show(columns: dict[str, Tensor], names: Sequence[str], made_on: str) -> None:
    """Means with their standard errors, and the examples that are the least likely."""
    line(made_on)
    n = len(names)
    table(
        (
            name.replace("_", "-"),
            number(values.mean().item()),
            error((values.std() / n**0.5).item()) if n > 1 else "",
            "nats",
        )
        for name, values in columns.items()
    )
    if len(columns) > 2:
        line("of standardized columns; in-file-units has log-det added")
    likely = columns["log_likelihood"]
    lowest = likely.argsort(stable=True)[:UNUSUAL].tolist()
    line("the lowest log p(x), the most unusual:")
    table((f"  {names[i]}", number(likely[i].item())) for i in lowest)
