"""Finding plugins: lazily, and each in isolation, so that a broken one breaks nothing else."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from typing import Literal

from vaezoo.errors import PluginWarning
from vaezoo.registry import builtin
from vaezoo.registry.faults import BrokenPluginError, upgrade
from vaezoo.registry.loading import check, load, specs_of
from vaezoo.registry.requirements import normalized
from vaezoo.registry.specs import Spec

GROUP = "vaezoo"
DISABLE = "VAEZOO_DISABLE_PLUGINS"
DISTRIBUTION = "vaezoo"
UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One plugin as ``vaezoo plugins`` shows it."""

    name: str
    """The entry point's name."""
    distribution: str
    """The distribution (what ``pip install`` takes) that brings it."""
    version: str
    key: str
    """What $VAEZOO_DISABLE_PLUGINS takes for it alone: its name, or where another distribution
    has a plugin of that name too, ``distribution:name``."""
    status: Literal["ok", "broken", "disabled"] = "ok"
    error: str = ""
    """Why it was skipped."""
    advice: str = ""
    """What to do about it."""
    seconds: float = 0.0
    """How long it took to load, at the first look-up."""
    specs: tuple[Spec, ...] = ()

    def recorded(self) -> dict[str, str]:
        """What a saved model's config holds of the plugin."""
        return {"distribution": self.distribution, "version": self.version}


def discover() -> tuple[Plugin, ...]:
    """All plugins, the core's own components first, then vaezoo's own variants.

    A plugin that fails in any way is skipped whole, recorded with the reason, and reported by a
    PluginWarning; whoever came first keeps a name.
    """
    ours = _version(DISTRIBUTION)
    core = Plugin(name="core", distribution=DISTRIBUTION, version=ours, key="core")
    found = [replace(core, specs=specs_of(builtin, "core"))]
    entries = _entry_points()
    shared = Counter(entry.name for entry in entries)
    for entry in entries:
        plugin = _unloaded(entry, shared=shared[entry.name] > 1)
        if _is_disabled(plugin):
            error, advice = f"disabled by ${DISABLE}", f"take it out of ${DISABLE} to use it"
            found.append(replace(plugin, status="disabled", error=error, advice=advice))
            continue
        start = time.perf_counter()
        try:
            check(entry, plugin.distribution, ours)
            start = time.perf_counter()
            specs = load(entry, plugin.distribution)
            _refuse_clashes(specs, plugin, found)
        except BrokenPluginError as error:
            advice = error.advice or upgrade(plugin.distribution)
            plugin = replace(plugin, status="broken", error=str(error), advice=advice)
            warnings.warn(
                f"the vaezoo plugin {plugin.name!r} of {plugin.distribution} {plugin.version} "
                f"was skipped: {error}. What to do: {advice}; or set {DISABLE}={plugin.key}. "
                f"`vaezoo plugins` shows all plugins.",
                PluginWarning,
                stacklevel=2,
            )
        else:
            plugin = replace(plugin, specs=specs)
        found.append(replace(plugin, seconds=time.perf_counter() - start))
    return tuple(found)


def _entry_points() -> list[metadata.EntryPoint]:
    """vaezoo's own first, then by distribution: a fixed order decides a name clash."""

    def order(entry: metadata.EntryPoint) -> tuple[bool, str, str]:
        name = _name(entry)
        return name != DISTRIBUTION, name, entry.name

    return sorted(_installed(), key=order)


def _installed() -> Iterable[metadata.EntryPoint]:
    try:
        return metadata.entry_points(group=GROUP)
    except Exception:  # damaged metadata of some distribution, which hides those of all others
        found: dict[str, list[metadata.EntryPoint]] = {}
        for distribution in metadata.distributions():
            try:
                points = [*distribution.entry_points.select(group=GROUP)]
                found.setdefault(normalized(distribution.name), points)
            except Exception:  # it is not known whether that was a plugin
                continue
        return [entry for points in found.values() for entry in points]


def _name(entry: metadata.EntryPoint) -> str:
    """Of its distribution; what is left of an uninstalled one may have lost its metadata."""
    return (entry.dist.metadata["Name"] if entry.dist else None) or UNKNOWN


def _unloaded(entry: metadata.EntryPoint, *, shared: bool) -> Plugin:
    distribution = _name(entry)
    version = (entry.dist.metadata["Version"] if entry.dist else None) or UNKNOWN
    key = f"{distribution}:{entry.name}" if shared else entry.name
    return Plugin(name=entry.name, distribution=distribution, version=version, key=key)


def _is_disabled(plugin: Plugin) -> bool:
    """Whether it is named, or its distribution, both as ``distribution:name``, or all are."""
    disabled = {normalized(name.strip()) for name in os.environ.get(DISABLE, "").split(",")}
    both = f"{plugin.distribution}:{plugin.name}"
    return not disabled.isdisjoint(
        {"all", *map(normalized, (plugin.name, plugin.distribution, both))}
    )


def _refuse_clashes(specs: Iterable[Spec], plugin: Plugin, found: Iterable[Plugin]) -> None:
    owners = {(s.kind, s.name): other for other in found for s in other.specs}
    for spec in specs:
        if owner := owners.get((spec.kind, spec.name)):
            mine, theirs = plugin.distribution, owner.distribution
            reason = f"its {spec.kind} {spec.name!r} already belongs to "
            reason += f"the plugin {owner.name!r} of {theirs} {owner.version}"
            if "/" not in spec.name:
                reason += f"; its author could name it 'vendor/{spec.name}'"
            either = f"pip uninstall {mine}, or pip uninstall {theirs}: one of the two can be used"
            raise BrokenPluginError(reason, "" if theirs in (DISTRIBUTION, mine) else either)


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return UNKNOWN
