"""``vaezoo compare``: runs side by side, as one HTML page to send to somebody."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vaezoo.cli.outputs import check_output
from vaezoo.cli.runs import find_runs
from vaezoo.cli.tables import line
from vaezoo.cli.usage import PlainParser, UsageError, tell
from vaezoo.errors import RunError, did_you_mean
from vaezoo.training.run_folder import CONFIG, RunFolder

DEFAULT = "compare.html"
HEAVY = 5_000_000
"""Bytes of a page, above which mail and browsers make it slow."""


def compare(argv: Sequence[str]) -> None:
    """``vaezoo compare RUN RUN ... [--out FILE] [--pictures NAME ...] [--overwrite]``."""
    parser = PlainParser(
        "compare",
        "Write figures, options, training curves and pictures of runs to one HTML page that needs "
        "no other file. Reads the files of the runs alone: neither their data nor a GPU.",
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a run's folder, or one of runs")
    parser.add_argument("--out", metavar="FILE", help=f"the page; default: {DEFAULT}")
    parser.add_argument("--pictures", nargs="*", metavar="NAME", help="these only; default: all")
    parser.add_argument("--overwrite", action="store_true", help="replace the page that is there")
    asked = parser.parse(argv)
    out = check_output(
        Path(asked.out or DEFAULT), "compare", [".html"], folder=False, overwrite=asked.overwrite
    )
    folders = _folders(asked.runs)
    from vaezoo.comparing import read_runs
    from vaezoo.files import write_atomic

    runs = read_runs(folders)
    _check_pictures(asked.pictures, {name for run in runs for name in run.pictures})
    from vaezoo.comparing.page import page

    text = page(runs, shlex.join(["vaezoo", "compare", *argv]), asked.pictures)
    data = text.encode(errors="replace")  # a folder's name may be no UTF-8
    write_atomic(out, data)
    if len(data) > HEAVY:
        tell(f"the page has {len(data) / 1e6:.1f} MB: --pictures samples makes a smaller one")
    line(str(out))


def _folders(given: Sequence[str]) -> list[RunFolder]:
    """The runs that are meant. Raises UsageError unless there are two, each once."""
    found: dict[Path, RunFolder] = {}
    for text in given:
        for run in _runs_at(Path(text)):
            place = run.path.resolve()
            if place in found:
                raise UsageError(f"compare: {run.path} is given twice: name each run once")
            found[place] = run
    if len(found) < 2:
        has = f"{given[0]!r} is one" if found else "none is given"
        raise UsageError(
            f"compare: say which runs, two or more, as in `vaezoo compare runs/a runs/b`, or a "
            f"folder of runs; {has}. `vaezoo runs` lists them."
        )
    return [*found.values()]


def _runs_at(path: Path) -> list[RunFolder]:
    """A run, or those in a folder. Raises UsageError where there is none."""
    if not path.is_dir():
        problem = "is a file" if path.exists() else "does not exist"
        raise UsageError(f"compare: there is no run {str(path)!r}: it {problem}")
    found = [*find_runs(path)]
    if found and found[0].path == path:
        found[0].config()  # raises what is wrong with it
        return found
    whole = []
    for run in found:
        try:
            run.config()
        except RunError as error:
            tell(f"warning: {run.path} is left out: {error}")
        else:
            whole.append(run)
    if not whole:
        model = "it is a model without its run" if (path / "model.safetensors").exists() else ""
        why = model or f"there is no {CONFIG} of a run in it, nor below it"
        raise UsageError(f"compare: {path} holds no run: {why}")
    return whole


def _check_pictures(chosen: Sequence[str] | None, known: set[str]) -> None:
    for name in chosen or ():
        if name not in known:
            raise UsageError(
                f"--pictures: the runs have no picture {name!r}.{did_you_mean(name, known)}"
            )
