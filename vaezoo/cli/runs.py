"""``vaezoo runs``: the runs in a folder. Reads their JSON alone, so it starts at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from vaezoo.cli.tables import line
from vaezoo.cli.usage import PlainParser, UsageError
from vaezoo.errors import RunError
from vaezoo.registry.paths import label_of
from vaezoo.training.run_folder import CONFIG, FIGURES, METRICS, RunFolder

DEFAULT = "runs"
DEPTH = 4  # folders below the given one are looked at, not a whole disk
SHOWN = ("elbo", "reconstruction", "kl")
LARGEST = 1e9  # nats that are written in full
HEADER = ["run", "variant", "data", "state", "steps", "elbo", "recon", "kl", "of", "begun"]
HEADER += ["overrides"]


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A run as the table shows it."""

    path: str
    state: Literal["finished", "interrupted", "running", "damaged"]
    reason: str = ""
    """Of the damage."""
    variant: str | None = None
    data: str | None = None
    step: int = 0
    steps: int | None = None
    """Meant to be made; None where that is not known."""
    split: str | None = None
    """What the figures are of: test or validation, best so far; or train, the latest."""
    figures: Mapping[str, float | None] = field(default_factory=dict)
    """ELBO, reconstruction and KL in nats, as far as there are any."""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    started: str | None = None
    """ISO 8601, UTC."""
    init_from: str | None = None
    warnings: Sequence[str] = ()


def runs(argv: Sequence[str]) -> None:
    """``vaezoo runs [DIR] [--json]``."""
    parser = PlainParser("runs", "List the runs in a folder, the latest last; figures in nats.")
    parser.add_argument("folder", nargs="?", metavar="DIR", help=f"default: {DEFAULT}")
    parser.add_argument("--json", action="store_true", help="print JSON, with all there is")
    asked = parser.parse(argv)
    folder = Path(asked.folder or DEFAULT)
    if asked.folder and not folder.is_dir():
        raise UsageError(f"there is no folder {asked.folder!r} to look for runs in")
    found = sorted(map(listed, find_runs(folder)), key=lambda run: (run.started or "", run.path))
    if asked.json:
        line(json.dumps([asdict(run) for run in found], indent=2))
    elif not found:
        line(f"no runs in {folder}: `vaezoo train` makes one")
    else:
        rows = [HEADER, *map(_row, found)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:  # the last column is as long as it is: nothing is cut off
            line("  ".join(map(str.ljust, row, widths)).rstrip())


def find_runs(folder: Path) -> Iterator[RunFolder]:
    """The folder itself, or the runs below it; none that lie within a run."""
    for path, below, files in os.walk(folder):
        here = Path(path)
        run = RunFolder(here)
        if _is_run(run, files):
            below.clear()
            yield run
        below[:] = sorted(name for name in below if not name.startswith("."))
        if len(here.relative_to(folder).parts) >= DEPTH:
            below.clear()


def _is_run(run: RunFolder, files: Sequence[str]) -> bool:
    """A saved model has a config, too, but weights beside it."""
    config = CONFIG in files and "model.safetensors" not in files
    return METRICS in files or run.checkpoints.is_dir() or (config and _has_parts(run))


def _has_parts(run: RunFolder) -> bool:
    try:
        run.config()
    except RunError:
        return (run.path / ".lock").exists()  # else it is somebody else's config
    return True


def listed(run: RunFolder) -> Listed:
    """What the files of a run say; for a damaged run, what is wrong with them."""
    try:
        return _read(run)
    except (RunError, OSError) as error:
        return Listed(path=str(run.path), state="damaged", reason=" ".join(str(error).split()))
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        reason = f"its files do not hold what a run's do ({type(error).__name__}: {error})"
        return Listed(path=str(run.path), state="damaged", reason=reason)


def _read(run: RunFolder) -> Listed:
    config, records = run.config(), run.records()
    finished = (run.path / FIGURES).exists()
    final = _json(run.path / FIGURES) if finished else {}
    figures = final if finished else _best(records)
    begun = datetime.fromtimestamp((run.path / CONFIG).stat().st_mtime, UTC)
    return Listed(
        path=str(run.path),
        state="running" if run.busy() else "finished" if finished else "interrupted",
        variant=config["model"].get("variant"),
        data=_data(config["data"]),
        step=max([run.safe_step(), *(record["step"] for record in records)]),
        steps=config["training"].get("steps"),
        split=figures.get("split"),
        figures={name: _number(figures[name]) for name in SHOWN if name in figures},
        overrides=dict(config.get("overrides", {})),
        started=config.get("started") or begun.isoformat(timespec="seconds"),
        init_from=config.get("init_from"),
        warnings=list(final.get("warnings", [])),
    )


def _data(config: Mapping[str, Any]) -> str | None:
    """What a run learned from: a dataset's name, or a file's or folder's own."""
    options, name = config.get("options"), config.get("name")
    return (
        label_of({**(options if isinstance(options, dict) else {}), "name": name})
        if name
        else None
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"{path} does not hold the figures of a run")
    return value


def _best(records: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Of validation the record with the best ELBO, else the latest of training."""
    validations = [r for r in records if r.get("split") == "validation" and r.get("elbo")]
    latest = records[-1] if records else {}
    return max(validations, key=lambda r: float(r["elbo"]), default=latest)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _shown(nats: float) -> str:
    """Two decimals, or three digits of what has diverged."""
    return f"{nats:,.2f}" if abs(nats) < LARGEST else f"{nats:.3g}"


def _row(run: Listed) -> list[str]:
    if run.state == "damaged":
        return [run.path, "", "", run.state, "", "", "", "", "", "", run.reason]
    steps = f"{run.step:,}" if run.steps is None else f"{run.step:,}/{run.steps:,}"
    figures = [run.figures.get(name) for name in SHOWN]
    return [
        run.path,
        str(run.variant or "own modules"),
        str(run.data),
        run.state,
        steps,
        *("" if figure is None else _shown(figure) for figure in figures),
        run.split or "",
        (run.started or "")[:16].replace("T", " "),
        " ".join(f"{name}={_text(value)}" for name, value in run.overrides.items()),
    ]


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
