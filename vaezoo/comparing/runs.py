"""A run as a comparison shows it: what its files say, without its model or its data.

So runs of other machines, and of plugins that are not installed here, are compared as well.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any, Literal

from vaezoo.errors import RunError
from vaezoo.training.run_folder import FIGURES, RunFolder

WEIGHTS = "model.safetensors"
CURVE = "training_curve"
"""A picture of one run's course; the page draws those of all in one chart instead."""
MEASURED_ON = {"data": str, "split": str, "examples": int, "binarization": str}
"""What the figures of a finished run are told with."""
VALIDATED = ("elbo", "reconstruction", "kl")
MOST_HEADER = 100_000_000
"""Bytes of a safetensors file's header; more are refused by the format's own library."""


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """What the files of one run say."""

    path: Path
    name: str
    """The last part of its path, or as many parts as tell it from the others."""
    state: Literal["finished", "running", "interrupted"]
    config: Mapping[str, Any]
    records: Sequence[Mapping[str, Any]]
    """The lines of its metrics."""
    figures: Mapping[str, Any]
    """As in ``figures.json``; of an unfinished run those of its best validation, if any."""
    trouble: str
    """What cannot be read of it, or ""."""
    pictures: Mapping[str, Path]
    """By name, without the curve of its training."""
    weights: Mapping[str, int]
    """How many numbers each part of the saved model has; empty where they cannot be read."""

    @property
    def variant(self) -> str:
        return str(self.config["model"].get("variant") or "own modules")

    @property
    def step(self) -> int:
        """The last step that is recorded."""
        return max((record["step"] for record in self.records), default=0)

    @property
    def steps(self) -> int | None:
        """The steps that were meant to be made; None where that is not known."""
        steps = self.config["training"].get("steps")
        return steps if isinstance(steps, int) else None

    @property
    def warnings(self) -> list[str]:
        """What the run ended with, and what to try."""
        told = self.figures.get("warnings")
        return [*map(str, told)] if isinstance(told, list) else []


def read_runs(folders: Sequence[RunFolder]) -> list[ComparedRun]:
    """The runs in these folders. Raises RunError for one whose config cannot be read.

    What else is damaged is named in ``trouble``.
    """
    names = short_names([folder.path for folder in folders])
    return [_read(folder, name) for folder, name in zip(folders, names, strict=True)]


def short_names(paths: Sequence[Path]) -> list[str]:
    """As few of the last parts of each path as tell it from the others."""
    parts = [path.resolve().parts for path in paths]
    names = [own[-1] for own in parts]
    for count in range(2, max(map(len, parts), default=0) + 1):
        twice = {name for name, times in Counter(names).items() if times > 1}
        if not twice:
            break
        names = [
            str(Path(*own[-count:])) if name in twice else name
            for name, own in zip(names, parts, strict=True)
        ]
    return names


def number(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    found = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if found else None


def _read(folder: RunFolder, name: str) -> ComparedRun:
    config, trouble = folder.config(), ""
    try:
        records = folder.records()
    except (OSError, RecursionError) as error:
        records, trouble = [], f"its metrics cannot be read: {error}"
    finished = (folder.path / FIGURES).exists()
    figures: Mapping[str, Any] = {}
    if finished:
        try:
            figures = _final(folder.path / FIGURES)
        except RunError as error:
            trouble = f"{error}; `vaezoo eval {folder.path}` measures it anew"
    else:
        figures = _best(records, config)
    return ComparedRun(
        path=folder.path,
        name=name,
        state="finished" if finished else "running" if folder.busy() else "interrupted",
        config=config,
        records=records,
        figures=figures,
        trouble=trouble,
        pictures={
            path.stem: path for path in sorted(folder.samples.glob("*.png")) if path.stem != CURVE
        },
        weights=_weights(folder.model / WEIGHTS),
    )


def _final(path: Path) -> Mapping[str, Any]:
    """The figures of a finished run. Raises RunError where they cannot be read."""
    try:
        figures = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"its {path.name} cannot be read: {error}") from error
    told = isinstance(figures, dict) and all(
        isinstance(figures.get(name), kind) for name, kind in MEASURED_ON.items()
    )
    if not told:
        raise RunError(f"its {path.name} does not hold the figures of a run")
    return {str(name): value for name, value in figures.items()}


def _best(records: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of the best validation: of the greatest ELBO, or of no bound the least loss."""
    validations = [record for record in records if record.get("split") == "validation"]
    for merit, sign in (("elbo", 1), ("loss", -1)):
        valid = [(sign * v, r) for r in validations if (v := number(r.get(merit))) is not None]
        if valid:
            _, best = max(valid, key=lambda pair: pair[0])
            kind = config["training"].get("binarization")
            return {
                "split": "validation",
                "binarization": kind,
                **{name: best[name] for name in VALIDATED if name in best},
            }
    return {}


def _weights(path: Path) -> Mapping[str, int]:
    """How many numbers each part of a saved model has, from the header of its file alone."""
    counts: Counter[str] = Counter()
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size) if size <= MOST_HEADER else b"")
        for name, tensor in header.items():
            if name != "__metadata__":
                counts[str(name).partition(".")[0]] += math.prod(tensor["shape"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return dict(counts)
