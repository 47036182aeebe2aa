"""The flags ``--metrics`` and ``--metrics.NAME.OPTION``: made from the metrics that there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import tyro

from vaezoo.cli.arguments import annotated, make, values_of
from vaezoo.cli.usage import UsageError, flag_name, given, groups
from vaezoo.errors import did_you_mean
from vaezoo.options import Option, options_class, options_of
from vaezoo.registry import lookup
from vaezoo.registry.specs import MetricSpec

FLAG = "--metrics"
PREFIX = f"{FLAG}."
FIELD = "options_of_"
"""Before a metric's place on the line: the field of its options."""
DEFAULT = "elbo, and bits-per-dim if it is defined; reconstruction of what is no bound"


def named(argv: Sequence[str]) -> list[str]:
    """The metrics that a line names. Raises UnknownComponentError for one that does not exist."""
    found: list[str] = []
    for first, *rest in filter(None, groups(argv)):
        if flag_name(first) == FLAG:
            _, equals, value = first.partition("=")
            found = [value] * bool(equals) + rest
    for name in found:
        lookup.find(MetricSpec, name)
        if found.count(name) > 1:
            raise UsageError(f"{FLAG} names {name} twice: name each metric once")
    return found


def check(argv: Sequence[str], names: Sequence[str]) -> None:
    """Raise UsageError for an option of a metric that is not asked for, or that has no such."""
    for flag in sorted(given(argv)):
        if not flag.startswith(PREFIX):
            continue
        metric, _, option = flag.removeprefix(PREFIX).rpartition(".")
        if not metric:
            raise UsageError(f"{flag}: say of which metric, as in --metrics.knn.k 5")
        lookup.find(MetricSpec, metric)
        if metric not in names:
            raise UsageError(
                f"{flag} is an option of the metric {metric!r}, which is not asked for: add it, "
                f"as in --metrics {metric}"
            )
        known = [o.name.replace("_", "-") for o in _options(metric)]
        if option.removeprefix("no-") not in known:
            raise UsageError(
                f"the metric {metric!r} has no option {option!r}.{did_you_mean(option, known)}"
            )


def command_class(base: type[Any], names: Sequence[str]) -> type[Any]:
    """``base`` with ``--metrics`` and the options of these metrics."""
    text = f"{'; '.join(_listed())}. Default: {DEFAULT}. The options of some are flags, too: see "
    text += f"`vaezoo eval {FLAG} knn --help`."
    metrics = annotated(tuple[str, ...], tyro.conf.arg(help=text, help_behavior_hint=""))
    nested = {
        f"{FIELD}{i}": (f"metrics.{name}", make("MetricOptions", options))
        for i, name in enumerate(names)
        if (options := _options(name))
    }
    made = make(base.__name__, (), nested=nested, bases=(base,))
    field = ("metrics", metrics, dataclasses.field(default=()))
    return dataclasses.make_dataclass(
        base.__name__, [field], bases=(made,), frozen=True, kw_only=True
    )


def chosen(asked: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """The metrics with their options, as ``vaezoo.evaluate`` takes them."""
    found = []
    for i, name in enumerate(names):
        options = getattr(asked, f"{FIELD}{i}", None)
        found.append({"name": name, **({} if options is None else values_of(options))})
    return found


def with_samples(metrics: list[dict[str, Any]], samples: int | None) -> list[dict[str, Any]]:
    """The metrics with that number of samples where they have one. Raises UsageError."""
    if samples is None:
        return metrics
    if samples < 1:
        raise UsageError(f"--samples must be at least 1, not {samples}")
    if not any("samples" in metric for metric in metrics):
        raise UsageError("--samples needs a metric that takes it: --metrics log-likelihood")
    return [{**m, "samples": samples} if "samples" in m else m for m in metrics]


def units() -> dict[str, str]:
    """The units of all figures that are not in nats."""
    found: dict[str, str] = {}
    for spec, _ in lookup.specs(MetricSpec):
        found |= spec.units
    return found


def _options(metric: str) -> tuple[Option, ...]:
    return options_of(options_class(lookup.recipe(lookup.find(MetricSpec, metric))))


def _listed() -> Iterator[str]:
    """The metrics that there are, each with its line."""
    for spec, _ in sorted(lookup.specs(MetricSpec), key=lambda found: found[0].name):
        yield f"{spec.name}: {spec.summary}" if spec.summary else spec.name
