"""``vaezoo score``: how likely each example is, and which are the most unusual."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True, kw_only=True)
class Score(Through):
    """What ``vaezoo score`` takes."""

    samples: int = 100
    """Importance samples for each example: log p(x) is bounded more tightly by more."""
    seed: int = 0
    """Of the draws of z. Those of log p(x) depend on it alone, those of the ELBO on the batch size
    as well."""
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
    saved.model.require_bound("score", exact=True)
    examples = find_examples(saved, asked)
    with shown_reading():
        columns = _scores(examples, asked.samples, asked.seed)
    names = examples.names or list(map(str, range(len(examples))))
    _show(columns, names, f"{examples.described}; seed {asked.seed}")
    if asked.out is not None:
        write_csv(asked.out, ["name", *columns], _rows(names, [*columns.values()]))
        line(str(asked.out))


def _scores(examples: Examples, samples: int, seed: int) -> dict[str, Tensor]:
    """By name, (N,) float64 each, in nats, as ``vaezoo eval`` has them; of standardized rows in
    both units."""
    import torch

    from vaezoo.data import TablePreprocessing
    from vaezoo.importance import BLOCK
    from vaezoo.inference import seeded

    model, size = examples.model, examples.batch_size
    with seeded(seed, model.device):
        elbo = [model.elbo(b.x, examples.labels(b)) for b in examples.batches("ELBO")]
    chunk = None if size >= MOST else 4 * size
    aligned = replace(examples, batch_size=-(-size // BLOCK) * BLOCK)
    nats: list[Tensor] = []
    for b in aligned.batches("log p(x)"):
        y, first = examples.labels(b), len(nats) * aligned.batch_size
        nats.append(model.log_likelihood(b.x, y, samples, seed, chunk=chunk, first=first))
    rows = {"elbo": elbo, "log_likelihood": nats}
    columns = {name: torch.cat(pieces).double().cpu() for name, pieces in rows.items()}
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
