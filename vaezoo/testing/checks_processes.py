"""What happens in a process that has run nothing of the variant before."""

from __future__ import annotations

import importlib.metadata
import json

from vaezoo.registry.discovery import GROUP
from vaezoo.testing.fresh import python, tail
from vaezoo.testing.report import expect, fail
from vaezoo.testing.subject import Subject

IMPORT = """
import sys, importlib, json
import vaezoo
importlib.import_module({module!r})
print("\\n" + json.dumps([name for name in ("torch", "numpy") if name in sys.modules]))
"""


def imports(subject: Subject) -> None:
    """Importing the plugin imports neither torch nor numpy, and prints nothing."""
    plugin = subject.plugin
    modules = [
        entry.module
        for entry in importlib.metadata.entry_points(group=GROUP, name=plugin.name)
        if entry.dist is not None and entry.dist.name == plugin.distribution
    ]
    for module in modules:
        done = python(["-c", IMPORT.format(module=module)])
        look = f"the imports of {module}: give targets as 'module:attribute'"
        if done.returncode:
            fail(expected=f"{module} can be imported", found=tail(done.stderr), look=look)
        printed, _, imported = done.stdout.rstrip().rpartition("\n")
        expect(
            not json.loads(imported),
            expected="neither torch nor numpy imported, so that listing variants is fast",
            found=f"{module} imports {' and '.join(json.loads(imported))}",
            look=look,
        )
        expect(
            not printed.strip(),
            expected=f"{module} prints nothing",
            found=tail(printed),
            look=f"print() in {module}",
        )


def compiles(subject: Subject) -> None:
    """Every phase compiles into one graph (fullgraph) that serves every step, in a new process
    and with nothing run eagerly before."""
    fresh = subject.fresh
    look = "python numbers that change, branches on tensors' values, .item(), print() in the loss"
    if fresh.error:
        fail(expected="a process that makes and compiles it", found=fresh.error, look=look)
    for phase, error in fresh.phases.items():
        expect(
            not error,
            expected=f"phase {phase!r} compiles (else say compile=False in its Phase)",
            found=error,
            look=look,
        )
