"""Which distributions a saved model was made with, and what to do where these are others now.

The config is that of ``config.json``: ``plugin`` brought the variant, ``part_plugins`` the parts
that are not vaezoo's own, each with its distribution and version. Torch-free.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from vaezoo.registry import lookup
from vaezoo.registry.discovery import DISTRIBUTION, UNKNOWN, Plugin
from vaezoo.registry.requirements import NAME
from vaezoo.registry.specs import LikelihoodSpec, NetworkSpec, PriorSpec, Spec, VariantSpec

PARTS: dict[str, type[Spec]] = {
    "network": NetworkSpec,
    "likelihood": LikelihoodSpec,
    "prior": PriorSpec,
}
VERSION = re.compile(r"[\w.!+-]+")


@dataclass(frozen=True)
class Origin:
    """Where a saved model's variant, or one of its parts, came from."""

    kind: type[Spec]
    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        if self.distribution == UNKNOWN:
            return "an unknown distribution"
        return f"{self.distribution} {self.version}"

    @property
    def command(self) -> str:
        return _command(self.distribution, self.version)

    def now(self) -> Plugin | None:
        """The plugin that brings a variant or part of that name here."""
        found = (plugin for spec, plugin in lookup.specs(self.kind) if spec.name == self.name)
        return next(found, None)


def missing(config: Mapping[str, Any]) -> str:
    """Why the variant or a part is not here, and what to do; "" where all are."""
    for origin in _origins(config):
        if origin.now() is None:
            return f"a {origin.kind.kind} {origin.name!r} of {origin}{_why_missing(origin)}"
    return ""


def differences(config: Mapping[str, Any], *, patches: bool) -> str:
    """Which distributions are others, or in other versions, than those of the model; "" if none.

    patches: whether a version counts that differs behind its first two numbers.
    """
    found = {}
    if isinstance(config.get("variant"), str):  # whose parts are vaezoo's, if not recorded apart
        saved = _fit(VERSION, config.get("vaezoo"))
        if _differ(saved, _installed(DISTRIBUTION) or UNKNOWN, patches=patches):
            found[DISTRIBUTION] = _other_version(DISTRIBUTION, saved, _installed(DISTRIBUTION))
    for origin in _origins(config):
        now = origin.now()
        if now is not None and now.distribution != origin.distribution:
            found[origin.name] = (
                f"its {origin.kind.kind} {origin.name!r} was that of {origin}, and here it is "
                f"that of {now.distribution} {now.version}"
            )
        elif now is not None and _differ(origin.version, now.version, patches=patches):
            told = _other_version(origin.distribution, origin.version, now.version)
            found[origin.distribution] = told
    return "; ".join(found.values())


def warning(config: Mapping[str, Any]) -> str:
    """What to tell where a model fits in spite of other distributions; "" where nothing."""
    told = differences(config, patches=False)
    return f"{told}. It fits, but what it computes may have changed" if told else ""


def _origins(config: Mapping[str, Any]) -> Iterator[Origin]:
    """Of the variant, and of each part that is recorded. What is damaged reads as unknown."""
    if isinstance(name := config.get("variant"), str):
        yield Origin(VariantSpec, name, *_distribution(config.get("plugin")))
    parts, plugins = (_mapping(config.get(name)) for name in ("parts", "part_plugins"))
    for slot, kind in PARTS.items():
        name = _mapping(parts.get(slot)).get("name")
        if slot in plugins and isinstance(name, str):
            yield Origin(kind, name, *_distribution(plugins[slot]))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _distribution(plugin: Any) -> tuple[str, str]:
    """The recorded distribution and version, fit for a command that somebody will copy."""
    plugin = _mapping(plugin)
    return _fit(NAME, plugin.get("distribution")), _fit(VERSION, plugin.get("version"))


def _fit(pattern: re.Pattern[str], value: Any) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else UNKNOWN


def _command(distribution: str, version: str) -> str:
    """What installs a distribution as it was."""
    return f"pip install '{distribution}{'' if version == UNKNOWN else f'=={version}'}'"


def _other_version(distribution: str, saved: str, installed: str) -> str:
    return (
        f"it was saved with {distribution} {saved}, and {installed} is installed "
        f"({_command(distribution, saved)} brings that back)"
    )


def _why_missing(origin: Origin) -> str:
    for plugin in lookup.plugins():
        if plugin.distribution == origin.distribution and plugin.status != "ok":
            return (
                f"; {plugin.distribution} {plugin.version} is installed, but {plugin.status}: "
                f"{plugin.error}. What to do: {plugin.advice}"
            )
    installed = _installed(origin.distribution)
    if origin.distribution == UNKNOWN:
        return f", and no plugin here brings it{lookup.skipped()}"
    if not installed:
        return f", which is not installed: {origin.command}"
    if origin.distribution == DISTRIBUTION and not _older(origin.version, installed):
        return ", and this vaezoo has none: pip install --upgrade vaezoo"
    return f"; {origin.distribution} {installed} is installed, and brings none: {origin.command}"


def _installed(distribution: str) -> str:
    try:
        return metadata.version(distribution) or UNKNOWN
    except metadata.PackageNotFoundError:
        return ""


def _older(version: str, other: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version) < Version(other)
    except InvalidVersion:
        return False


def _differ(saved: str, installed: str, *, patches: bool) -> bool:
    """Whether versions differ, as far as both are known."""
    if UNKNOWN in (saved, installed):
        return False
    numbers = (re.findall(r"\d+", version.partition("+")[0])[:2] for version in (saved, installed))
    first, second = numbers
    return saved != installed if patches else first != second
