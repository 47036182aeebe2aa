"""Loading one plugin: importing it, and asking its hook for specs. Whatever goes wrong is told."""

from __future__ import annotations

import contextlib
import os
import reprlib
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from typing import Any

import pluggy

from vaezoo.registry import hooks
from vaezoo.registry.faults import BrokenPluginError, described, remedy
from vaezoo.registry.requirements import vaezoo_asked_for
from vaezoo.registry.specs import SPECS, Spec

HOOK = "vaezoo_specs"
SET_BY_PLUGINS: dict[str, str | None] = {}
"""Environment variables that the code of plugins has set, each with its value before."""


def check(entry: metadata.EntryPoint, distribution: str, vaezoo: str) -> None:
    """Raise BrokenPluginError where a plugin need not be imported to know that it is broken.

    vaezoo: the version that is installed.
    """
    asked, too_old = vaezoo_asked_for(entry.dist, vaezoo) if entry.dist else ("", False)
    if asked:
        older = f"pip install --upgrade {distribution}, for one that works with vaezoo {vaezoo}"
        raise BrokenPluginError(
            f"it needs {asked}, and this is {vaezoo}",
            "pip install --upgrade vaezoo" if too_old else older,
        )
    if not entry.pattern.match(entry.value):
        raise BrokenPluginError(f"its entry point {entry.value!r} is not the name of a module")


def load(entry: metadata.EntryPoint, distribution: str) -> tuple[Spec, ...]:
    """The specs of a plugin. Raises BrokenPluginError where it fails in any way.

    What it prints goes to stderr, so that it is in no command's output.
    """
    requires = tuple((entry.dist.requires if entry.dist else None) or ())
    try:
        with plugin_code():
            plugin = entry.load()
    except (Exception, SystemExit) as error:
        advice = remedy(error, distribution, module=entry.module, requires=requires)
        reason = f"importing {entry.value!r} failed with {described(error)}"
        raise BrokenPluginError(reason, advice) from error
    with plugin_code():
        return specs_of(plugin, entry.value)


@contextlib.contextmanager
def plugin_code() -> Iterator[None]:
    """Where the code of plugins runs.

    Its ``print`` must not get into what is piped or parsed. Which environment variables it sets is
    remembered, since every process that is started from here inherits them.
    """
    before = dict(os.environ)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        for name in before.keys() | os.environ.keys():
            if os.environ.get(name) != before.get(name):
                SET_BY_PLUGINS.setdefault(name, before.get(name))


def specs_of(plugin: Any, name: str) -> tuple[Spec, ...]:
    """What the hook of a module yields, checked. Raises BrokenPluginError."""
    manager = pluggy.PluginManager(hooks.PROJECT)
    manager.add_hookspecs(hooks)
    try:
        manager.register(plugin, name)
    except pluggy.PluginValidationError as error:
        raise BrokenPluginError(f"its hook takes no arguments: def {HOOK}()") from error
    except Exception as error:
        raise BrokenPluginError(described(error)) from error
    implementations = manager.hook.vaezoo_specs.get_hookimpls()
    callers = manager.get_hookcallers(plugin) or ()
    if unknown := sorted({caller.name for caller in callers} - {HOOK}):
        raise BrokenPluginError(
            f"{name} has an unknown hook {unknown[0]!r}: the one hook is {HOOK!r}"
        )
    if not implementations:
        raise BrokenPluginError(_why_no_hook(plugin, name))
    return tuple(_checked(implementations[0].function))


def _why_no_hook(plugin: Any, name: str) -> str:
    module, _, attribute = name.partition(":")
    if attribute:
        return (
            f"its entry point {name!r} is not a module: it must name {module!r}, where "
            f"{HOOK} is, marked with @vaezoo.hookimpl"
        )
    if callable(getattr(plugin, HOOK, None)):
        return f"the function {HOOK} of {name} is not marked with @vaezoo.hookimpl"
    return f"{name} has no function {HOOK} marked with @vaezoo.hookimpl"


def _checked(hook: Any) -> Iterator[Spec]:
    try:
        found = hook()
        yielded: list[object] = [*found] if isinstance(found, Iterable) else []
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(f"its hook {HOOK} failed with {described(error)}") from error
    if not isinstance(found, Iterable):
        what = "None" if found is None else f"a {type(found).__name__}"
        raise BrokenPluginError(f"its hook {HOOK} returned {what} instead of yielding specs")
    seen: set[tuple[str, str]] = set()
    for spec in yielded:
        if not isinstance(spec, SPECS):
            kinds = ", ".join(kind.__name__ for kind in SPECS)
            raise BrokenPluginError(
                f"its hook {HOOK} yielded {reprlib.repr(spec)}, which is none of {kinds}"
            )
        if (spec.kind, spec.name) in seen:
            raise BrokenPluginError(f"it yields the {spec.kind} {spec.name!r} twice")
        seen.add((spec.kind, spec.name))
        yield spec
