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
from vaezoo.registry import requirements
from vaezoo.registry.discovery import Plugin, discover
from vaezoo.registry.faults import described, remedy
from vaezoo.registry.loading import plugin_code
from vaezoo.registry.requirements import required_by
from vaezoo.registry.specs import MetricSpec, Spec, VariantSpec

S = TypeVar("S", bound=Spec)

PARTS = ("network", "likelihood", "prior")
"""The kinds that are parts of a variant."""


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
    raise missing(f"unknown {kind.kind} {name!r}.{_hint(kind, name)}{skipped()}")


def _hint(kind: type[Spec], name: str) -> str:
    """The nearest match and what exists; of a figure's name, the metric that brings it; of what is
    of another kind, which."""
    for other, _ in specs(Spec):
        if other.name == name:
            slot = f": try it in a variant, as in vae --model.{other.kind} {name}"
            return f" It is a {other.kind}{slot if other.kind in PARTS else '.'}"
    known = sorted((spec for spec, _ in specs(kind)), key=lambda spec: spec.name)
    figure = name.replace("-", "_")
    for spec in known:
        if isinstance(spec, MetricSpec) and figure in spec.figures:
            listed = ", ".join(other.listed for other in known)
            return f" It is a figure of the metric {spec.name!r}. Available: {listed}."
    return did_you_mean(name, [spec.name for spec in known], {s.name: s.listed for s in known})


def skipped() -> str:
    """The tail of an error about an unknown name: the plugins that might have brought it."""
    found = [f"{p.key} ({p.status})" for p in plugins() if p.status != "ok"]
    return f" Skipped plugins: {', '.join(found)}; see `vaezoo plugins`." if found else ""


def owner(spec: Spec) -> Plugin | None:
    """The plugin that a spec comes from."""
    return next((plugin for plugin in plugins() if any(spec is s for s in plugin.specs)), None)


def recipe(spec: Spec) -> Callable[..., Any]:
    """The recipe of a spec.

    Raises MissingRequirementError when an extra package is absent, and VaezooError, which names
    the distribution and what to do, when the target does not exist, fails to be imported, or is
    no recipe.
    """
    if command := spec.install_command():
        reasons = "; ".join(filter(None, map(requirements.unmet, spec.requires)))
        raise MissingRequirementError(
            f"{spec.kind} {spec.name!r} needs {', '.join(spec.missing())} ({reasons}): {command}"
        )
    from vaezoo.options import options_class, options_of  # here: listing needs none of it

    try:
        with plugin_code():
            loaded = spec.load()
            options_of(options_class(loaded))
    except (Exception, SystemExit) as error:
        raise VaezooError(_why_no_recipe(spec, error)) from error
    return loaded


def wrong_result(spec: Spec, made: object, wanted: str) -> VaezooError:
    """The error for a recipe that did not make what those of its kind must."""
    plugin = owner(spec)
    whose = f", from {plugin.distribution} {plugin.version}" if plugin else ""
    return VaezooError(
        f"the recipe of the {spec.kind} {spec.name!r} ({spec.target}{whose}) returned "
        f"{type(made).__name__}, not a {wanted}"
    )


def _why_no_recipe(spec: Spec, error: BaseException) -> str:
    plugin = owner(spec)
    distribution = plugin.distribution if plugin else "its distribution"
    named = f"{spec.kind} {spec.name!r} of {distribution} {plugin.version if plugin else ''}"
    target = spec.target if isinstance(spec.target, str) else repr(spec.target)
    advice = remedy(error, distribution, module=target, requires=required_by(distribution))
    return (
        f"the {named.rstrip()} cannot be loaded from {target!r}: {described(error)}. "
        f"What to do: {advice}; `vaezoo plugins` shows all plugins"
    )
