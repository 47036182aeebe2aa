"""The one hook of vaezoo, and the marker that plugins put on their implementation of it."""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from vaezoo.registry.specs import Spec

PROJECT = "vaezoo"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def vaezoo_specs() -> Iterable[Spec]:
    """Yield the specs that this plugin contributes."""
    raise NotImplementedError
