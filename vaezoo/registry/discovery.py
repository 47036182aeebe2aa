"""Finding plugins: lazily, and each in isolation, so that a broken one breaks nothing else."""

from __future__ import annotations

import importlib.metadata
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Literal

import pluggy

from vaezoo.errors import PluginWarning
from vaezoo.registry import builtin, hooks
from vaezoo.registry.specs import SPECS, Spec

GROUP = "vaezoo"
DISABLE = "VAEZOO_DISABLE_PLUGINS"
DISTRIBUTION = "vaezoo"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One plugin as ``vaezoo plugins`` shows it."""

    name: str
    """The entry point's name."""
    distribution: str
    """The distribution (what ``pip install`` takes) that brings it."""
    version: str
    status: Literal["ok", "broken", "disabled"] = "ok"
    error: str = ""
    """Why it was skipped, and what to do."""
    specs: tuple[Spec, ...] = ()


class BrokenPluginError(Exception):
    """Internal: why a plugin is skipped."""


def discover() -> tuple[Plugin, ...]:
    """All plugins, the core's own components first, then vaezoo's own variants.

    A plugin that fails in any way is skipped whole, recorded with the reason, and reported by a
    PluginWarning; whoever came first keeps a name.
    """
    core = Plugin(name="core", distribution=DISTRIBUTION, version=_version(DISTRIBUTION))
    found = [replace(core, specs=_specs_of(builtin, "core"))]
    disabled = {name.strip() for name in os.environ.get(DISABLE, "").split(",") if name.strip()}
    for entry in _entry_points():
        plugin = _unloaded(entry)
        if disabled & {"all", plugin.name}:
            found.append(replace(plugin, status="disabled", error=f"disabled by ${DISABLE}"))
            continue
        try:
            specs = _load(entry)
            _refuse_clashes(specs, found)
        except BrokenPluginError as error:
            plugin = replace(plugin, status="broken", error=str(error))
            warnings.warn(
                f"the vaezoo plugin {plugin.name!r} of {plugin.distribution} {plugin.version} "
                f"was skipped: {error}. Upgrade or uninstall {plugin.distribution}, or set "
                f"{DISABLE}={plugin.name}; `vaezoo plugins` shows all plugins.",
                PluginWarning,
                stacklevel=2,
            )
        else:
            plugin = replace(plugin, specs=specs)
        found.append(plugin)
    return tuple(found)


def _entry_points() -> list[importlib.metadata.EntryPoint]:
    """vaezoo's own first, then by distribution: a fixed order decides a name clash."""

    def order(entry: importlib.metadata.EntryPoint) -> tuple[bool, str, str]:
        name = entry.dist.name if entry.dist else ""
        return name != DISTRIBUTION, name, entry.name

    return sorted(importlib.metadata.entry_points(group=GROUP), key=order)


def _unloaded(entry: importlib.metadata.EntryPoint) -> Plugin:
    distribution, version = "unknown", "unknown"
    if entry.dist is not None:
        distribution, version = entry.dist.name, entry.dist.version
    return Plugin(name=entry.name, distribution=distribution, version=version)


def _load(entry: importlib.metadata.EntryPoint) -> tuple[Spec, ...]:
    try:
        module = entry.load()
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"importing {entry.value!r} failed with {type(error).__name__}: {error}"
        ) from error
    return _specs_of(module, entry.name)


def _specs_of(module: ModuleType, name: str) -> tuple[Spec, ...]:
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    try:
        manager.register(module, name)
        manager.check_pending()  # a hook that vaezoo does not have: most likely misspelt
    except Exception as error:
        raise BrokenPluginError(f"{type(error).__name__}: {error}") from error
    implementations = manager.hook.vaezoo_specs.get_hookimpls()
    if not implementations:
        raise BrokenPluginError(
            f"{getattr(module, '__name__', module)!r} has no function vaezoo_specs marked "
            f"with @vaezoo.hookimpl"
        )
    return tuple(_checked(implementations[0].function))


def _checked(hook: object) -> Iterator[Spec]:
    assert callable(hook)
    seen: set[tuple[str, str]] = set()
    try:
        yielded: Iterable[object] = list(hook())
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"its hook vaezoo_specs failed with {type(error).__name__}: {error}"
        ) from error
    for spec in yielded:
        if not isinstance(spec, SPECS):
            kinds = ", ".join(kind.__name__ for kind in SPECS)
            raise BrokenPluginError(
                f"its hook vaezoo_specs yielded {spec!r}, which is none of {kinds}"
            )
        if (spec.kind, spec.name) in seen:
            raise BrokenPluginError(f"it yields the {spec.kind} {spec.name!r} twice")
        seen.add((spec.kind, spec.name))
        yield spec


def _refuse_clashes(specs: Iterable[Spec], found: Iterable[Plugin]) -> None:
    owners = {(s.kind, s.name): plugin for plugin in found for s in plugin.specs}
    for spec in specs:
        if owner := owners.get((spec.kind, spec.name)):
            raise BrokenPluginError(
                f"its {spec.kind} {spec.name!r} already belongs to the plugin {owner.name!r} "
                f"of {owner.distribution}; its author could name it 'vendor/{spec.name}'"
            )


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
