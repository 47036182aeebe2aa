"""The child of the check ``import``: python .../importing.py MODULE

Imports a plugin's module, and asks it for its specs, in a process that has imported nothing of it
before. The last line of the output is a report in JSON. It is run as a file, since the kit's
package would import torch.
"""

from __future__ import annotations

import builtins
import importlib
import json
import locale
import logging
import os
import random
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

SAYS = "vaezoo: here the import begins"  # on stderr, after whatever else Python said

READERS: dict[str, Callable[[], Any]] = {
    "the working directory": os.getcwd,
    "the warnings filters": lambda: [*warnings.filters],
    "warnings.showwarning": lambda: warnings.showwarning,
    "the state of random": random.getstate,
    "the locale": lambda: locale.setlocale(locale.LC_ALL),
    "the level of logging's root": lambda: (logging.root.level, logging.root.manager.disable),
    "the handlers of logging's root": lambda: [*logging.root.handlers],
    "sys.path": lambda: [*sys.path],
    "sys.meta_path": lambda: [*sys.meta_path],
    "sys.stdout or sys.stderr": lambda: (sys.stdout, sys.stderr),
    "sys.excepthook": lambda: (sys.excepthook, threading.excepthook),
    "the recursion limit": sys.getrecursionlimit,
    "sys.settrace or sys.setprofile": lambda: (sys.gettrace(), sys.getprofile()),
    "the running threads": threading.enumerate,
}


def process_state() -> dict[str, Any]:
    """What belongs to the process and no plugin may change, by name."""
    found = {name: read() for name, read in READERS.items()}
    found |= {f"os.environ[{name!r}]": value for name, value in os.environ.items()}
    found |= {f"builtins.{name}": value for name, value in vars(builtins).items() if name != "_"}
    for number in signal.valid_signals():
        name = getattr(number, "name", number)
        found[f"the handler of {name}"] = signal.getsignal(number)
    return found


def changed(before: Mapping[str, Any]) -> list[str]:
    """The names of what is no longer as it was."""
    after, absent = process_state(), object()
    names = [*before, *(name for name in after if name not in before)]
    return [name for name in names if before.get(name, absent) != after.get(name, absent)]


def main(module: str) -> None:
    import vaezoo.registry  # noqa: F401  (whatever it does is not the plugin's)

    os.chdir(tempfile.gettempdir())  # the kit's own process may be where the plugin went
    before = process_state()
    sys.stderr.write(f"{SAYS}\n")
    hook = getattr(importlib.import_module(module), "vaezoo_specs", None)
    _ = [*hook()] if callable(hook) else []
    heavy = [name for name in ("torch", "numpy") if name in sys.modules]
    report = {"heavy": heavy, "changed": [] if heavy else changed(before)}
    sys.__stdout__.write("\n" + json.dumps(report) + "\n")  # type: ignore[union-attr]


if __name__ == "__main__":
    main(sys.argv[1])
