"""``vaezoo eval``: the figures of a trained model."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from vaezoo.cli.arguments import ModelPath, Unset, parse
from vaezoo.cli.tables import line, table
from vaezoo.registry import lookup
from vaezoo.registry.specs import DatasetSpec, MetricSpec

UNITS = {"bits_per_dim": "bits/dim", "samples": "", "examples": "", "seed": ""}
ERROR = "_standard_error"


@dataclass(frozen=True, kw_only=True)
class Eval:
    """What ``vaezoo eval`` takes."""

    path: ModelPath = ""
    """A run's folder, a model's folder, or a weights file."""
    data: Unset[str] = None
    """Data to measure on. Default: the run's."""
    data_root: Unset[Path] = None
    """Where data sets are kept. Default: $VAEZOO_DATA, else the cache folder."""
    split: Unset[str] = None
    """train, validation or test. Default: test, else what there is."""
    binarization: Unset[Literal["none", "threshold", "static", "dynamic"]] = None
    """How images become binary. Default: as in the run."""
    metrics: Unset[tuple[str, ...]] = None
    """elbo, bits-per-dim, log-likelihood. Default: elbo, and bits-per-dim if it is defined."""
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
        lookup.find(DatasetSpec, asked.data)
    for metric in asked.metrics or ():
        lookup.find(MetricSpec, metric)
    from vaezoo.cli.saved import open_saved, shown_split
    from vaezoo.evaluation import evaluate as measured

    saved = open_saved(asked.path, asked.device, "eval")
    data = saved.data(asked.data, asked.data_root)
    figures = measured(
        saved.model,
        data,
        metrics=asked.metrics or None,
        split=asked.split or shown_split(data)[0],
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


def show_figures(figures: Mapping[str, Any]) -> None:
    """A table of figures, each with its standard error and unit, under what they were made on."""
    made_on = f"{figures['data']}, {figures['split']}: {figures['examples']:,} examples"
    line(f"{made_on}; binarization {figures['binarization']}; seed {figures['seed']}")
    rows = []
    for name, value in figures.items():
        if isinstance(value, str) or name in ("examples", "seed") or name.endswith(ERROR):
            continue
        error = figures.get(name + ERROR)
        label = name.replace("_", "-")
        rows.append((label, _number(value), _error(error), UNITS.get(name, "nats")))
    table(rows)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 10 else f"{value:,.2f}"
    return "undefined" if value is None else str(value)


def _error(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"± {value:.2g}"
