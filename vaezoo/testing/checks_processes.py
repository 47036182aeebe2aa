"""What happens in a process that has run nothing of the variant before."""

from __future__ import annotations

import importlib.metadata
import json

from vaezoo.registry import lookup
from vaezoo.registry.discovery import GROUP
from vaezoo.testing import importing
from vaezoo.testing.fresh import python, tail
from vaezoo.testing.report import expect, fail
from vaezoo.testing.subject import Subject


def imports(subject: Subject) -> None:
    """Importing the plugin imports neither torch nor numpy, prints nothing, and changes nothing
    that belongs to the process."""
    plugins = {(p.name, p.distribution) for p in map(lookup.owner, subject.specs) if p is not None}
    modules = [
        entry.module
        for entry in importlib.metadata.entry_points(group=GROUP)
        if entry.dist is not None and (entry.name, entry.dist.name) in plugins
    ]
    for module in modules:
        done = python([str(importing.__file__), module])
        look = f"the imports of {module}: give targets as 'module:attribute'"
        if done.returncode:
            fail(expected=f"{module} can be imported", found=tail(done.stderr), look=look)
        printed, _, last = done.stdout.rstrip().rpartition("\n")
        printed += done.stderr.partition(f"{importing.SAYS}\n")[2]
        report = json.loads(last)
        expect(
            not report["heavy"],
            expected="neither torch nor numpy imported, so that listing variants is fast",
            found=f"{module} imports {' and '.join(report['heavy'])}",
            look=look,
        )
        expect(
            not printed.strip(),
            expected=f"{module} prints nothing, and warns of nothing",
            found=tail(printed),
            look=f"print() in {module}, or in what it imports",
        )
        expect(
            not report["changed"],
            expected=f"{module} leaves alone what belongs to the process",
            found=f"changed: {', '.join(report['changed'])}",
            look=f"what {module} does as it is imported, outside functions, and in its hook",
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
            expected=f"phase {phase!r} compiles to what it is (or says compile=False)",
            found=error,
            look=look,
        )
