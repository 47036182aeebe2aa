"""``list``, ``describe`` and ``plugins``: what there is. ``list`` starts at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Any

from vaezoo.cli.tables import line, table
from vaezoo.cli.usage import PlainParser
from vaezoo.errors import PluginWarning, UnknownVariantError, did_you_mean
from vaezoo.registry import lookup
from vaezoo.registry.discovery import DISABLE, GROUP, Plugin
from vaezoo.registry.specs import VariantSpec

if TYPE_CHECKING:
    from vaezoo.options import Option


SLOW = 0.5
"""How many seconds a plugin may take to load before its record says so."""


def list_(argv: Sequence[str]) -> None:
    """``vaezoo list [PATTERN]``: plain text, since rich alone would double its time."""
    parser = PlainParser("list", "List the variants, each with a line on what it is.")
    parser.add_argument("pattern", nargs="?", default="*", help="a shell pattern, such as '*-vae'")
    pattern = parser.parse(argv).pattern
    chosen = lookup.list_variants(pattern)
    if not chosen:
        known = lookup.list_variants()
        raise UnknownVariantError(f"no variant matches {pattern!r}.{did_you_mean(pattern, known)}")
    specs = {spec.name: spec for spec, _ in lookup.specs(VariantSpec)}
    width = max(map(len, chosen))
    for name in chosen:
        command = specs[name].install_command()
        needs = f" (not installed: {command})" if command else ""
        line(f"{name:<{width}}  {specs[name].summary}{needs}")


def describe(argv: Sequence[str]) -> None:
    """``vaezoo describe NAME``."""
    parser = PlainParser("describe", "Describe a variant or a component, with its options.")
    parser.add_argument("name", help="of a variant, network, prior, likelihood, dataset, metric")
    name = parser.parse(argv).name
    from vaezoo.zoo import kinds

    found = kinds(name)
    _describe(name, found[0] if found else None)
    for kind in found[1:]:  # a network and a prior of one name, say
        line()
        _describe(name, kind)


def _describe(name: str, kind: str | None) -> None:
    from vaezoo.cli.model_flags import FROM_DATA
    from vaezoo.zoo import describe as described

    found = described(name, kind)
    line(f"{found.name}: {found.summary}")
    line()
    facts = [
        ("kind", found.kind),
        ("paper", found.paper),
        ("needs", ", ".join(found.requires)),
        ("plugin", f"{found.plugin}, of {found.distribution} {found.version}"),
    ]
    table(fact for fact in facts if fact[1])
    _options("options of its own", found.options)
    _options("options of every variant", found.shared)
    if found.shared:
        line()
        line(
            f"As flags: vaezoo train {found.name} --model.latent-dim 10; see its --help. "
            f"{' and '.join(FROM_DATA)} are no flags: they come from the data."
        )


def _options(title: str, options: Iterable[Option]) -> None:
    from vaezoo.options import type_name

    rows = [
        (
            option.name,
            type_name(option.type),
            "required" if option.required else str(option.default),
            " ".join(option.help.split()),
        )
        for option in options
    ]
    if rows:
        line()
        table(rows, [title, "type", "default", "meaning"])


def plugins(argv: Sequence[str]) -> None:
    """``vaezoo plugins [--json]``."""
    parser = PlainParser("plugins", "List the plugins: where they come from, what they bring.")
    parser.add_argument("--json", action="store_true", help="print JSON")
    as_json = parser.parse(argv).json
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PluginWarning)  # the table says the same
        found = lookup.plugins()
    if as_json:
        line(json.dumps([_as_dict(plugin) for plugin in found], indent=2))
        return
    for misspelt, names in _other_groups().items():
        line(f"{names}: the entry-point group {misspelt!r} is read by nobody; is {GROUP!r} meant?")
        line()
    rows = [
        (p.name, p.distribution, p.version, p.status, "; ".join(_brings(p)) or "nothing")
        for p in found
    ]
    table(rows, ["plugin", "distribution", "version", "status", "brings"], fold=(0, 1))
    for plugin in found:
        notes = {"why": plugin.error, "what to do": _what_to_do(plugin), "slow": _slow(plugin)}
        if any(notes.values()):
            line()
            line(f"{plugin.name}, of {plugin.distribution} {plugin.version}: {plugin.status}")
            table((f"  {name}", note) for name, note in notes.items() if note)


def _other_groups() -> dict[str, str]:
    """Entry-point groups that look as if they were meant for vaezoo, with who has them."""
    entries = metadata.entry_points()
    groups = [g for g in entries.groups if g.lower().startswith(GROUP[:5]) and g != GROUP]
    return {
        group: ", ".join(sorted({e.dist.name for e in entries.select(group=group) if e.dist}))
        for group in sorted(groups)
    }


def _what_to_do(plugin: Plugin) -> str:
    if plugin.status == "broken":
        return f"{plugin.advice}; or set {DISABLE}={plugin.key}"
    return plugin.advice


def _slow(plugin: Plugin) -> str:
    if plugin.seconds < SLOW:
        return ""
    return (
        f"loading it took {plugin.seconds:.1f} s, for which `vaezoo list` waits too: its author "
        f"should import in the modules of its targets what takes long"
    )


def _names(plugin: Plugin) -> dict[str, list[str]]:
    """What a plugin brings: names by kind."""
    names: dict[str, list[str]] = {}
    for spec in plugin.specs:
        names.setdefault(spec.kind, []).append(spec.name)
    return names


def _brings(plugin: Plugin) -> list[str]:
    return [f"{kind}: {', '.join(names)}" for kind, names in _names(plugin).items()]


def _as_dict(plugin: Plugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "error": plugin.error,
        "what_to_do": _what_to_do(plugin),
        "seconds": round(plugin.seconds, 3),
        "brings": _names(plugin),
    }
