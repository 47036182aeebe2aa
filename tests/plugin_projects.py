"""Projects of plugins, as their authors write them: built to wheels and installed with pip.

A process sees what is installed in a folder that is on its PYTHONPATH.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BUILD = """
import os, sys
from hatchling.build import build_wheel
for project in sys.argv[2:]:
    os.chdir(project)
    build_wheel(sys.argv[1])
"""
RUN = """
import contextlib, io, json, sys
from vaezoo.cli import main
done = []
for line in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(line)
    done.append([code, out.getvalue(), err.getvalue()])
sys.__stdout__.write("\\n" + json.dumps(done))
"""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A distribution that is yet to be built."""

    name: str
    code: Mapping[str, str]
    """By path."""
    entry_points: Mapping[str, str]
    version: str = "1.0"
    dependencies: tuple[str, ...] = ()

    def write(self, folder: Path) -> Path:
        """Write it to a folder; returns its root."""
        root = folder / f"{self.name}-{self.version}"
        points = "\n".join(f'"{name}" = "{value}"' for name, value in self.entry_points.items())
        packages = sorted({path.partition("/")[0] for path in self.code})
        pyproject = f"""
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{self.name}"
version = "{self.version}"
dependencies = {json.dumps(self.dependencies)}

[project.entry-points.vaezoo]
{points}

[tool.hatch.build]
dev-mode-dirs = ["."]

[tool.hatch.build.targets.wheel]
include = {json.dumps(packages)}
"""
        for path, text in {"pyproject.toml": pyproject, **self.code}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(textwrap.dedent(text), encoding="utf-8")
        return root


@dataclass
class Site:
    """A folder where distributions are installed, and processes that see it."""

    path: Path
    environment: dict[str, str] = field(default_factory=dict)

    def python(self, *arguments: object, cwd: Path | None = None, **environment: str) -> Done:
        """Python with these arguments; ``environment`` is added to its own."""
        paths = [str(self.path), os.environ.get("PYTHONPATH", "")]
        settings = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd or self.path,
            env={**os.environ, **settings, **self.environment, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def vaezoo(self, *line: object, cwd: Path | None = None, **environment: str) -> Done:
        """One command line."""
        return self.python("-m", "vaezoo.cli", *line, cwd=cwd, **environment)

    def lines(self, *lines: list[str], cwd: Path | None = None, **environment: str) -> list[Done]:
        """Command lines, one after the other in one process, which imports torch once."""
        done = self.python("-c", RUN, json.dumps(lines), cwd=cwd, **environment)
        assert done.code == 0, done.err
        return [Done(*each) for each in json.loads(done.out.rpartition("\n")[2])]

    def report(self, script: str, *arguments: object, cwd: Path | None = None) -> Any:
        """What a script prints as JSON in its last line."""
        done = self.python("-c", textwrap.dedent(script), *arguments, cwd=cwd)
        assert done.code == 0, done.err
        return json.loads(done.out.rstrip().rpartition("\n")[2])


@dataclass(frozen=True)
class Done:
    """What a process did."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that a mistake is answered with."""
        assert self.code == 2, self
        (line,) = [each for each in self.err.splitlines() if each.startswith("vaezoo: error: ")]
        return line.removeprefix("vaezoo: error: ")


def build(projects: Iterable[Project], folder: Path) -> dict[str, Path]:
    """The wheels of projects, by name and version, without a network and in one process."""
    roots = [project.write(folder / "projects") for project in projects]
    wheels = folder / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    run("-c", BUILD, wheels, *roots)
    found = {tuple(path.name.split("-")[:2]): path for path in wheels.glob("*.whl")}
    return {f"{name.replace('_', '-')}-{version}": p for (name, version), p in found.items()}


def pip_install(target: Path, *what: Path) -> Site:
    """Install wheels, or projects, into a folder."""
    where = ["--target", target, "--no-deps", "--no-index", "--no-build-isolation"]
    run("-m", "pip", "install", "--quiet", "--disable-pip-version-check", *where, *what)
    return Site(target)


def run(*arguments: object) -> None:
    """Run this Python."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
