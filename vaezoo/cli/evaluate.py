"""``vaezoo eval``: the figures of a trained model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

import tyro

from vaezoo.cli import metric_flags
from vaezoo.cli.arguments import CorruptFlag, ModelPath, Unset, parse
from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import check_seed
from vaezoo.registry.paths import check_readable
from vaezoo.words import counted

MADE_ON = {"data": str, "split": str, "examples": int, "binarization": str, "seed": int}
ERROR = "_standard_error"
SHOWN = 10
"""Dimensions whose KL the table tells; JSON tells all."""


@dataclass(frozen=True, kw_only=True)
class Eval:
    """What ``vaezoo eval`` takes, beside metrics and their options."""

    path: ModelPath = ""
    """A run's folder, a model's folder, or a weights file."""
    data: Unset[str] = None
    """Data to measure on, a name or a path. Default: the run's."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    split: Unset[str] = None
    """train, validation or test. Default: test, else what there is."""
    binarization: Unset[Literal["none", "threshold", "static", "dynamic"]] = None
    """How images become binary. Default: as in the run."""
    corrupt: CorruptFlag = None
    samples: Unset[int] = None
    """Importance samples for each example, of metrics that take them. Default: the metric's own,
    5000 of log-likelihood."""
    seed: int = 0
    """Of the draws of z."""
    device: str = "auto"
    """auto: the GPU if there is one."""
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Print JSON."""


def evaluate(argv: Sequence[str]) -> None:
    """``vaezoo eval``."""
    names = metric_flags.named(argv)
    metric_flags.check(argv, names)
    about = "Measure a trained model; figures are in nats per example unless they say otherwise."
    asked = parse(metric_flags.command_class(Eval, names), argv, "eval", about)
    check_readable(asked.data)
    check_seed(asked.seed)
    metrics = metric_flags.with_samples(metric_flags.chosen(asked, names), asked.samples)
    from vaezoo.cli.reading import shown_reading
    from vaezoo.cli.saved import open_saved
    from vaezoo.evaluation import evaluate as measured
    from vaezoo.shown import shown_split

    saved = open_saved(asked.path, asked.device, "eval")
    data = saved.data(asked.data, asked.data_root, asked.corrupt)
    with shown_reading():
        figures = measured(
            saved.model,
            data,
            metrics=metrics or None,
            split=asked.split or (shown_split(data)[0] if len(data.splits()) > 1 else None),
            binarization=saved.binarization(asked.binarization),
            seed=asked.seed,
        )
    if asked.json:
        line(json.dumps(finite(figures), indent=2, allow_nan=False))
    else:
        show_figures(figures)


def finite(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Figures for JSON, which has no NaN: null."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in figures.items()
    }


def are_figures(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is what ``evaluate`` returns, as far as ``show_figures`` needs it."""
    if not isinstance(value, dict):
        return False
    told = value.get("warnings", [])  # of a run
    figures = {name: v for name, v in value.items() if name != "warnings"}
    return (
        all(isinstance(value.get(name), kind) for name, kind in MADE_ON.items())
        and all(isinstance(v, str | int | float | None) for v in figures.values())
        and isinstance(told, list)
        and all(isinstance(warning, str) for warning in told)
    )


def show_figures(figures: Mapping[str, Any]) -> None:
    """A table of figures, each with its standard error and unit, under what they were made on."""
    line(made_on(figures))
    units = metric_flags.units()
    table(
        (
            name.replace("_", "-"),
            number(figures[name]),
            error(figures.get(name + ERROR)),
            units.get(name, "nats"),
        )
        for name in measured(figures)
    )
    for site, kl in figures.get("kl_by_dimension", {}).items():
        line(f"kl of the dimensions of {site}: {_largest(kl)}")
    if figures.get("bound") == "relaxed":
        line("The ELBO bounds the likelihood of a relaxation of this model, not its own.")
    if "log_det" in figures:
        line("of standardized columns; with log-det added, of the values in the file's own units")


def made_on(figures: Mapping[str, Any]) -> str:
    """What figures were made on, in a line."""
    made_on = f"{figures['data']}, {figures['split']}: {counted(figures['examples'], 'example')}"
    return f"{made_on}; binarization {figures['binarization']}; seed {figures['seed']}"


def measured(figures: Mapping[str, Any]) -> list[str]:
    """The names of what was measured, without its standard errors."""
    return [
        name
        for name, value in figures.items()
        if not (isinstance(value, str | list | dict) or name in MADE_ON or name.endswith(ERROR))
    ]


def number(value: Any) -> str:
    """A figure, with as many digits as matter."""
    if isinstance(value, float):
        if math.isnan(value):
            return "undefined"
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"
    return "undefined" if value is None else str(value)


def _largest(kl: Sequence[float]) -> str:
    """The largest of them, in nats, and how many others there are."""
    shown = sorted(kl, reverse=True)[:SHOWN]
    more = f" and {len(kl) - SHOWN} smaller ones" if len(kl) > SHOWN else ""
    return " ".join(f"{value:.2f}" for value in shown) + f"{more} (nats)"


def error(value: Any) -> str:
    """A figure's standard error, where there is one."""
    known = isinstance(value, float) and math.isfinite(value)
    return f"± {value:.2g}" if known else ""
