"""Running something in a new process, which sees the same plugins as this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vaezoo.registry.loading import SET_BY_PLUGINS

TIMEOUT = 180.0  # seconds, for a child that imports torch and compiles
TAIL = 16  # lines of an error that are shown


@dataclass(frozen=True, kw_only=True)
class Fresh:
    """What a new process reports of a variant that it makes, compiles and runs."""

    phases: dict[str, str]
    """By phase, why it does not compile; empty if it does."""
    settings: tuple[str, ...]
    """The process's settings that were changed on the way."""
    error: str = ""
    """Why there is no report."""


def run_fresh(name: str, options: Mapping[str, Any]) -> Fresh:
    """Train a variant for a few compiled steps, with nothing run eagerly before."""
    arguments = ["-m", "vaezoo.testing.compile", name, json.dumps(options)]
    done = python(arguments)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    try:
        report = json.loads(last)
        return Fresh(phases=report["phases"], settings=tuple(report["settings"]))
    except (ValueError, KeyError, TypeError):
        reason = tail(done.stderr) or f"exit code {done.returncode}, and no message"
        return Fresh(phases={}, settings=(), error=reason)


def python(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Run this Python with this process's import path, in the environment as it was before any
    plugin. A timeout reads as an error."""
    path = [entry or str(os.getcwd()) for entry in sys.path]  # noqa: PTH109  (a string, as here)
    own = {"PYTHONPATH": os.pathsep.join(path), "OMP_NUM_THREADS": "1"}
    inherited = {**os.environ, **SET_BY_PLUGINS, **own}
    environment = {name: value for name, value in inherited.items() if value is not None}
    try:
        return subprocess.run(
            [sys.executable, "-P", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        message = f"no end after {TIMEOUT:g} seconds"
        return subprocess.CompletedProcess(error.cmd, 1, "", message)


def tail(text: str, lines: int = TAIL) -> str:
    """The last lines that are not empty."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-lines:])
