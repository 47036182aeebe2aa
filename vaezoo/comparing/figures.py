"""Which figures of runs may be compared, and which is better than the others.

A mean over examples has a standard error, and two of them differ by chance: the best is named only
where it differs from each other by more than twice the standard error of the difference. That is
sqrt(s1^2 + s2^2), as of independent figures; of the same examples the difference mostly has a
smaller one, which is not known here, so this names no best too often rather than too seldom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vaezoo.comparing.runs import MEASURED_ON, ComparedRun, number
from vaezoo.registry import lookup
from vaezoo.registry.paths import label_of
from vaezoo.registry.specs import DatasetSpec, MetricSpec

ERROR = "_standard_error"
SURE = 2.0
"""Standard errors of a difference, above which it is taken for one."""
OWN = "its own"

Mark = Literal["best", "within error", ""]


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What is known of a figure."""

    title: str
    unit: str = "nats"
    better: Literal["higher", "lower", ""] = ""
    """"" where neither is better in itself."""
    needs: tuple[str, ...] = ()
    """What it must have in common with another to be compared, of ``BASIS``, beside the data."""


NATS = ("likelihood", "bound")
KINDS: Mapping[str, Kind] = {
    "elbo": Kind(title="ELBO", better="higher", needs=NATS),
    "log_likelihood": Kind(
        title="log p(x), importance-weighted", better="higher", needs=(*NATS, "samples")
    ),
    "reconstruction": Kind(title="reconstruction, E_q[log p(x|z)]", needs=NATS),
    "kl": Kind(title="KL to the prior", needs=NATS),
    "bits_per_dim": Kind(
        title="-ELBO, per number of x", unit="bits/dim", better="lower", needs=("bound",)
    ),
    "accuracy": Kind(title="accuracy", unit="of 1", better="higher"),
    "log_det": Kind(title="log-det of the standardization"),
}
"""Of other figures the better side is not known."""
NO_FIGURES = {*MEASURED_ON, "seed", "samples"}
BASIS = {
    "data": "data",
    "contents": "contents of the data (fingerprint)",
    "shape": "shape of an example",
    "split": "split",
    "rule": "rule of the split",
    "examples": "examples",
    "binarization": "binarization",
    "likelihood": "likelihood p(x|z)",
    "bound": "kind of bound",
    "samples": "importance samples",
}
"""What figures must have in common to be compared, with what people call it."""
OF_DATA = ("data", "contents", "shape", "split", "rule", "examples", "binarization")


def kind_of(name: str) -> Kind:
    """What is known of the figure of that name."""
    units = {k: unit for spec, _ in lookup.specs(MetricSpec) for k, unit in spec.units.items()}
    return KINDS.get(name, Kind(title=name.replace("_", " "), unit=units.get(name, "")))


def figure_names(runs: Sequence[ComparedRun]) -> list[str]:
    """The names of all figures, those that are known first."""
    found = {
        name
        for run in runs
        for name, value in run.figures.items()
        if not (name in NO_FIGURES or name.endswith(ERROR))
        and (value is None or number(value) is not None)
    }
    return [n for n in KINDS if n in found] + sorted(found - KINDS.keys())


def basis(run: ComparedRun, split: str | None = None) -> dict[str, Any]:
    """What a run's figures are of, as in ``BASIS``.

    split: of figures that are recorded in training, without number of examples.
    """
    model, data = run.config["model"], run.config["data"]
    figures = {} if split else run.figures
    split = split or figures.get("split")
    own_rule = _mapping(_mapping(data.get("splits")).get(str(split)))
    likelihood = _mapping(_mapping(model.get("parts")).get("likelihood")).get("name")
    options = _mapping(data.get("options"))
    named = data.get("name") in lookup.names(DatasetSpec) and "path" not in options
    return {
        "data": label_of({**options, "name": data.get("name")}),
        # A data set's name says which its test examples are; its training examples may be fewer.
        "contents": None if named else data.get("fingerprint"),
        "shape": _mapping(model.get("shared")).get("input_shape"),
        "split": split,
        "rule": own_rule.get("rule"),
        "examples": figures.get("examples", own_rule.get("size")),
        "binarization": figures.get("binarization", run.config["training"].get("binarization")),
        "likelihood": likelihood or f"{OWN} ({run.name})",  # which nobody can tell from another's
        "bound": figures.get("bound"),
        "samples": figures.get("samples"),
    }


def groups(bases: Sequence[Mapping[str, Any]], needs: Sequence[str] = NATS) -> list[list[int]]:
    """The places of those that may be compared with one another, in their order.

    needs: what they must have in common beside the data.
    """
    found: dict[str, list[int]] = {}
    for place, each in enumerate(bases):
        key = repr([each[name] for name in (*OF_DATA, *needs)])
        found.setdefault(key, []).append(place)
    return [*found.values()]


def differing(bases: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[Any, list[int]]]]:
    """What they do not have in common: each value, with the places of those that have it."""
    found = {}
    for name in BASIS:
        values: dict[str, tuple[Any, list[int]]] = {}
        for place, each in enumerate(bases):
            values.setdefault(repr(each[name]), (each[name], []))[1].append(place)
        if len(values) > 1:
            found[name] = [*values.values()]
    return found


def marks(runs: Sequence[ComparedRun], name: str) -> list[Mark]:
    """For each run, whether its figure is the best of those that it may be compared with.

    "within error": no best can be told, and it may be this one. Nothing is marked where no side
    is better, where figures have no standard error, or where there is nothing to compare with.
    """
    kind = kind_of(name)
    found: list[Mark] = ["" for _ in runs]
    if not kind.better:
        return found
    sign = 1 if kind.better == "higher" else -1
    for group in groups([basis(run) for run in runs], kind.needs):
        measured = {}
        for place in group:
            figures = runs[place].figures
            if (value := number(figures.get(name))) is not None:
                measured[place] = (sign * value, number(figures.get(name + ERROR)))
        for place, mark in _compared(measured).items():
            found[place] = mark
    return found


def _compared(measured: Mapping[int, tuple[float, float | None]]) -> dict[int, Mark]:
    """The marks of figures, the higher the better, each with its standard error."""
    known = {place: (value, e) for place, (value, e) in measured.items() if e is not None}
    if len(known) < 2 or len(known) < len(measured):
        return {}
    top = max(known, key=lambda place: known[place][0])
    best, error = known[top]
    near = [
        place
        for place, (value, own) in known.items()
        if place != top and best - value <= SURE * math.hypot(error, own)
    ]
    return dict.fromkeys([top, *near], "within error") if near else {top: "best"}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
