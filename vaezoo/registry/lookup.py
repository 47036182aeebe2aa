"""Looking a name up among all plugins. Discovery runs at the first look-up, once a process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, TypeVar

from vaezoo.errors import (
    MissingRequirementError,
    UnknownComponentError,
    UnknownVariantError,
    VaezooError,
    did_you_mean,
)
from vaezoo.registry.discovery import Plugin, discover
from vaezoo.registry.specs import MetricSpec, Spec, VariantSpec

S = TypeVar("S", bound=Spec)


@cache
def plugins() -> tuple[Plugin, ...]:
    """All plugins, working and broken."""
    return discover()


def refresh() -> None:
    """Forget what was discovered, so that the next look-up sees newly installed plugins."""
    plugins.cache_clear()


def specs(kind: type[S]) -> Iterator[tuple[S, Plugin]]:
    """All specs of a kind, each with the plugin that it comes from."""
    for plugin in plugins():
        for spec in plugin.specs:
            if isinstance(spec, kind):
                yield spec, plugin


def names(kind: type[Spec], pattern: str = "*") -> list[str]:
    """The sorted names of a kind that match a shell pattern."""
    return sorted(spec.name for spec, _ in specs(kind) if fnmatchcase(spec.name, pattern))


def list_variants(pattern: str = "*") -> list[str]:
    """The names of all variants that match a shell pattern, sorted."""
    return names(VariantSpec, pattern)


def find(kind: type[S], name: str) -> S:
    """The spec of that name. Raises what ``find_with_plugin`` raises."""
    return find_with_plugin(kind, name)[0]


def find_with_plugin(kind: type[S], name: str) -> tuple[S, Plugin]:
    """The spec of that name, and where it comes from.

    Raises UnknownVariantError, or for the other kinds UnknownComponentError, with the nearest
    match and what exists.
    """
    for spec, plugin in specs(kind):
        if spec.name == name:
            return spec, plugin
    missing = UnknownVariantError if kind is VariantSpec else UnknownComponentError
    broken = [p.name for p in plugins() if p.status == "broken"]
    skipped = f" Skipped plugins: {', '.join(broken)} (see `vaezoo plugins`)." if broken else ""
    raise missing(f"unknown {kind.kind} {name!r}.{_hint(kind, name)}{skipped}")


def _hint(kind: type[Spec], name: str) -> str:
    """The nearest match and what exists; of a figure's name, the metric that brings it."""
    known = sorted((spec for spec, _ in specs(kind)), key=lambda spec: spec.name)
    figure = name.replace("-", "_")
    for spec in known:
        if isinstance(spec, MetricSpec) and figure in spec.figures:
            listed = ", ".join(other.listed for other in known)
            return f" It is a figure of the metric {spec.name!r}. Available: {listed}."
    return did_you_mean(name, [spec.name for spec in known], {s.name: s.listed for s in known})


def recipe(spec: Spec) -> Callable[..., Any]:
    """The recipe of a spec.

    Raises MissingRequirementError when an extra package is absent, VaezooError when the target
    does not exist.
    """
    if missing := spec.missing():
        needed = " ".join(missing)
        raise MissingRequirementError(
            f"{spec.kind} {spec.name!r} needs {needed}: pip install {needed}"
        )
    try:
        return spec.load()
    except (ImportError, AttributeError) as error:
        raise VaezooError(
            f"{spec.kind} {spec.name!r} cannot be loaded from {spec.target!r}: {error}. "
            f"Upgrade or uninstall the plugin that brings it (see `vaezoo plugins`)."
        ) from error
