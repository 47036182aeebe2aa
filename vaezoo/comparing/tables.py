"""The tables of the page: a column for each run."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from vaezoo.comparing import options as chosen
from vaezoo.comparing.chart import swatch
from vaezoo.comparing.curves import seconds_at, time_unit
from vaezoo.comparing.elements import Html, element, join
from vaezoo.comparing.figures import ERROR, basis, figure_names, kind_of, marks
from vaezoo.comparing.notices import group_names
from vaezoo.comparing.runs import ComparedRun, number

ARROWS = {"higher": "↑", "lower": "↓", "": ""}
MEASURED = {
    "data": "data",
    "split": "split",
    "examples": "examples",
    "binarization": "binarization",
    "likelihood": "likelihood p(x|z)",
}
"""What figures were measured on, of ``figures.basis``."""
MEANING = (
    "± is the standard error of a mean over the examples; of another seed of training it tells "
    "nothing. The best is named where it differs from each other figure that it may be compared "
    "with by more than twice the standard error of the difference, taken as that of independent "
    "figures. Within error: which of them is the best cannot be told. ↑ higher is better, ↓ "
    "lower; a figure without an arrow is neither, and without a standard error no best is named."
)


def figures(runs: Sequence[ComparedRun]) -> Html:
    """What the runs were measured on, and their figures."""
    bases, letters = [basis(run) for run in runs], group_names(runs)
    rows = [
        _row(title, [_counted(each[name]) for each in bases]) for name, title in MEASURED.items()
    ]
    seeds = [chosen.shown(run.figures.get("seed", chosen.ABSENT)) for run in runs]
    rows.append(_row("seed of z", seeds))
    if len({*letters} - {""}) > 1:
        rows.append(_row("nats compare within", [letter or "–" for letter in letters]))
    measured = [_figure(runs, name) for name in figure_names(runs)]
    body = [element("tbody", *rows), element("tbody", *measured, class_="figures")]
    table = _table(runs, body, "The figures of all runs")
    return join(table, element("p", MEANING, class_="muted"))


def options(runs: Sequence[ComparedRun]) -> Html:
    """The options that the runs have otherwise, and all of them to unfold."""
    table = chosen.table(runs)
    rows = {name: list(map(chosen.shown, values)) for name, values in table.items()}
    other = {name: values for name, values in rows.items() if chosen.differs(values)}
    pieces = []
    if other:
        body = element("tbody", *(_row(name, each, code=True) for name, each in other.items()))
        pieces.append(_table(runs, [body], "Options that differ"))
    else:
        pieces.append(element("p", "No option differs."))
    every = element("tbody", *(_row(name, each, code=True) for name, each in rows.items()))
    summary = element("summary", f"All {len(rows)} options, as resolved")
    pieces.append(
        element("details", summary, _table(runs, [every], "All options"), class_="unfold")
    )
    return join(*pieces)


def cost(runs: Sequence[ComparedRun]) -> Html:
    """How large the models are, how long they were trained, and on what."""
    rows: dict[str, Callable[[ComparedRun], str]] = {
        "state": lambda run: run.state,
        "steps": progress,
        "time of training": _time,
        "numbers in the saved model": lambda run: _sum(run.weights),
        "of them": lambda run: ", ".join(f"{part} {n:,}" for part, n in run.weights.items()),
        "device": lambda run: _told(run, "environment", "device"),
        "CPU threads": lambda run: _told(run, "environment", "threads"),
        "torch": lambda run: _told(run, "environment", "torch"),
        "python": lambda run: _told(run, "environment", "python"),
        "vaezoo": lambda run: _told(run, "environment", "vaezoo"),
        "plugin": lambda run: " ".join(map(str, _part(run.config["model"], "plugin").values())),
        "begun, UTC": lambda run: str(run.config.get("started") or "")[:16].replace("T", " "),
        "folder": lambda run: str(run.path),
    }
    body = [_row(title, [tell(run) or "–" for run in runs]) for title, tell in rows.items()]
    note = (
        "Training times, without validation, are of the machines named; the saved model's numbers "
        "are its parameters and what else it needs to be loaded."
    )
    table = _table(runs, [element("tbody", *body)], "Size, time and machine")
    return join(table, element("p", note, class_="muted"))


def named(place: int, run: ComparedRun) -> Html:
    """A run's name beside its line in the charts."""
    return element("span", swatch(place), " ", element("b", run.name), class_="run")


def progress(run: ComparedRun) -> str:
    """How far a run is."""
    of = "" if run.steps in (None, run.step) else f" of {run.steps:,}"
    return f"{run.step:,}{of} steps"


def scrolling(content: Html, label: str) -> Html:
    """What may be wider than the page, and then is scrolled by itself, by keyboard too."""
    return element("div", content, class_="scroll", tabindex="0", role="region", aria_label=label)


def _table(runs: Sequence[ComparedRun], body: Sequence[Html], label: str) -> Html:
    heads = [element("th", named(place, run), scope="col") for place, run in enumerate(runs)]
    head = element("thead", element("tr", element("td"), *heads))
    return scrolling(element("table", head, *body), label)


def _row(title: str, cells: Sequence[str], *, code: bool = False) -> Html:
    """A row of text; what all runs have in common stands once."""
    head = element("th", _code(title) if code else title, scope="row")
    if len({*cells}) == 1:
        return element("tr", head, element("td", cells[0], colspan=len(cells), class_="common"))
    return element("tr", head, *(element("td", cell) for cell in cells))


def _code(name: str) -> Html:
    """The name of an option, which may break after its dots and underscores."""
    pieces = re.findall(r"[^._]*[._]?", name)
    return element("code", *(join(piece, element("wbr")) for piece in pieces if piece))


def _figure(runs: Sequence[ComparedRun], name: str) -> Html:
    """A row of one figure, the best marked where it can be told."""
    kind = kind_of(name)
    unit = element("small", f"{kind.unit} {ARROWS[kind.better]}".strip(), class_="muted")
    head = element("th", kind.title, " ", unit, scope="row")
    cells = []
    for run, mark in zip(runs, marks(runs, name), strict=True):
        if name not in run.figures:
            cells.append(element("td", "–", class_="muted"))
            continue
        value, error = number(run.figures[name]), number(run.figures.get(name + ERROR))
        badge = element("span", mark, class_="mark") if mark else Html()
        exact = None if value is None else repr(value)
        text = rounded(value, error)
        cells.append(
            element(
                "td",
                element("span", text, class_="value", title=exact),
                " ",
                badge,
                class_="best" if mark == "best" else None,
            )
        )
    return element("tr", head, *cells)


def rounded(value: float | None, error: float | None = None) -> str:
    """A figure with its standard error, both to the error's second digit."""
    if value is None:
        return "undefined"
    if not error:
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"
    digits = 1 - int(f"{error:e}".partition("e")[2])
    return f"{value:,.{max(0, digits)}f} ± {error:,.{max(0, digits)}f}"


def _time(run: ComparedRun) -> str:
    clock = seconds_at(run.records)
    if clock is None:
        return ""
    seconds = clock(run.step)
    unit, size = time_unit(seconds)
    return f"{seconds / size:,.1f} {unit}"


def _sum(weights: Any) -> str:
    return f"{sum(weights.values()):,}" if weights else ""


def _part(mapping: Any, name: str) -> dict[str, Any]:
    part = mapping.get(name)
    return part if isinstance(part, dict) else {}


def _told(run: ComparedRun, part: str, name: str) -> str:
    value = _part(run.config, part).get(name)
    return "" if value is None else str(value)


def _counted(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return chosen.shown(chosen.ABSENT if value is None else value)
