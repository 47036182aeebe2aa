"""What whoever looks at a comparison must know first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vaezoo.comparing import figures
from vaezoo.comparing.options import shown
from vaezoo.comparing.runs import ComparedRun

FOLLOWS = {
    "contents": {"data"},
    "shape": {"data"},
    "rule": {"data", "split"},
    "examples": {"data", "split"},
}
"""What needs no word of its own where one of those differs."""


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A sentence, and what it rests on."""

    title: str
    lines: Sequence[str] = ()


def notices(runs: Sequence[ComparedRun]) -> list[Notice]:
    """Of figures that cannot be compared, of runs that are not whole, and what these warned of."""
    found = [*_incomparable(runs), *_other_training_data(runs)]
    for run in runs:
        if run.trouble:
            found.append(Notice(title=f"{run.name}: {run.trouble}."))
        elif run.state != "finished":
            found.append(_unfinished(run))
        if run.warnings:
            found.append(Notice(title=f"{run.name} ended with a warning", lines=run.warnings))
    return found


def group_names(runs: Sequence[ComparedRun]) -> list[str]:
    """A letter for each run that has figures, the same where nats may be compared, or ""."""
    measured = [place for place, run in enumerate(runs) if figures.figure_names([run])]
    bases = [figures.basis(runs[place]) for place in measured]
    letters = [""] * len(runs)
    for i, group in enumerate(figures.groups(bases)):
        for place in group:
            letters[measured[place]] = chr(ord("A") + i) if i < 26 else str(i + 1)
    return letters


def _incomparable(runs: Sequence[ComparedRun]) -> list[Notice]:
    letters = group_names(runs)
    measured = [run for run, letter in zip(runs, letters, strict=True) if letter]
    kinds = sorted({*letters} - {""})
    if len(kinds) < 2:
        return []
    lines = [
        f"{kind}: {_listed(runs, [i for i, letter in enumerate(letters) if letter == kind])}"
        for kind in kinds
    ]
    found = figures.differing([figures.basis(run) for run in measured])
    for name, values in found.items():
        if FOLLOWS.get(name, set()) & found.keys():
            continue
        told = "; ".join(f"{_value(value)} ({_listed(measured, of)})" for value, of in values)
        lines.append(f"They differ in {figures.BASIS[name]}: {told}.")
    title = "These nats cannot all be compared: only those of runs of one letter can."
    return [Notice(title=title, lines=lines)]


def _other_training_data(runs: Sequence[ComparedRun]) -> list[Notice]:
    """Of runs that may be compared, but have learned from other examples or labels."""
    found = []
    for group in figures.groups([figures.basis(run, "validation") for run in runs], ()):
        prints: dict[str, list[int]] = {}
        for place in group:
            print_ = str(runs[place].config["data"].get("fingerprint"))
            prints.setdefault(print_, []).append(place)
        if len(prints) > 1:
            told = "; ".join(_listed(runs, of) for of in prints.values())
            title = f"Trained on different examples or labels of one data set: {told}."
            found.append(Notice(title=title))
    return found


def _unfinished(run: ComparedRun) -> Notice:
    of = "" if run.steps is None else f" of {run.steps:,}"
    state = "is still running" if run.state == "running" else "was interrupted"
    told = (
        "Its figures are those of its best validation so far."
        if figures.figure_names([run])
        else "It has no figures yet."
    )
    return Notice(title=f"{run.name} {state}, at step {run.step:,}{of}.", lines=[told])


def _listed(runs: Sequence[ComparedRun], places: Sequence[int]) -> str:
    return ", ".join(runs[place].name for place in places)


def _value(value: Any) -> str:
    return "not told" if value is None else shown(value)
