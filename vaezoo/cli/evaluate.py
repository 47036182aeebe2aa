"""``vaezoo eval``: the figures of a trained model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeGuard

import tyro

from vaezoo.cli.arguments import ModelPath, Unset, parse
from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import UsageError, check_seed
from vaezoo.registry import lookup
from vaezoo.registry.paths import chosen_dataset
from vaezoo.registry.specs import MetricSpec
from vaezoo.words import counted

UNITS = {"bits_per_dim": "bits/dim", "accuracy": "", "labelled": "", "samples": ""}
UNITS |= {"examples": "", "seed": ""}
MADE_ON = {"data": str, "split": str, "examples": int, "binarization": str, "seed": int}
ERROR = "_standard_error"


@dataclass(frozen=True, kw_only=True)
class Eval:
    """What ``vaezoo eval`` takes."""

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
    metrics: Unset[tuple[str, ...]] = None
    """elbo (with reconstruction and kl), reconstruction, bits-per-dim, log-likelihood, accuracy.
    Default: elbo, and bits-per-dim if it is defined; reconstruction of what is no bound."""
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
    asked = parse(Eval, argv, "eval", "Measure a trained model; figures are in nats per example.")
    if asked.data:
        chosen_dataset(asked.data)
    for metric in asked.metrics or ():
        lookup.find(MetricSpec, metric)
    check_seed(asked.seed)
    metrics = _with_samples(asked.metrics or (), asked.samples)
    from vaezoo.cli.saved import open_saved
    from vaezoo.evaluation import evaluate as measured
    from vaezoo.shown import shown_split

    saved = open_saved(asked.path, asked.device, "eval")
    data = saved.data(asked.data, asked.data_root)
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


def _with_samples(metrics: Sequence[str], samples: int | None) -> list[str | dict[str, Any]]:
    """The metrics as ``evaluate`` takes them, with that number of samples where they have one."""
    if samples is None:
        return [*metrics]
    from vaezoo.options import options_class, options_of

    if samples < 1:
        raise UsageError(f"--samples must be at least 1, not {samples}")
    found: list[str | dict[str, Any]] = []
    for metric in metrics:
        options = options_of(options_class(lookup.recipe(lookup.find(MetricSpec, metric))))
        takes = any(option.name == "samples" for option in options)
        found.append({"name": metric, "samples": samples} if takes else metric)
    if found == [*metrics]:
        raise UsageError("--samples needs a metric that takes it: --metrics log-likelihood")
    return found


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
    table(
        (
            name.replace("_", "-"),
            number(figures[name]),
            error(figures.get(name + ERROR)),
            UNITS.get(name, "nats"),
        )
        for name in measured(figures)
    )
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
        if not (isinstance(value, str | list) or name in MADE_ON or name.endswith(ERROR))
    ]


def number(value: Any) -> str:
    """A figure, with as many digits as matter."""
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"
    return "undefined" if value is None else str(value)


def error(value: Any) -> str:
    """A figure's standard error, where there is one."""
    known = isinstance(value, float) and math.isfinite(value)
    return f"± {value:.2g}" if known else ""
