"""The package: what its wheel holds, that it works away from the checkout, what no file holds."""

from __future__ import annotations

import ast
import configparser
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"vaezoo": "vaezoo", "plugins/vaezoo_plugins": "vaezoo_plugins"}  # in tree: in wheel
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def tree() -> list[str]:
    """The files of the checkout, relative to its root: what git tracks, or would if asked to."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("this needs git, and a checkout")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in names.split("\0") if name and (ROOT / name).is_file()]


def run(*arguments: str | Path, cwd: Path, environment: dict[str, str] | None = None) -> str:
    """The standard output of Python with these arguments; what went wrong if it failed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the tree."""
    folder = tmp_path_factory.mktemp("copy")
    for name in tree():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel built from it, with the installed build backend: without a network."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the wheel alone is installed."""
    folder = tmp_path_factory.mktemp("installed")
    where = ("--target", folder, "--no-deps", "--no-index", "--no-compile")
    run("-m", "pip", "install", "--quiet", *where, wheel, cwd=folder)
    return folder


@pytest.fixture
def environment(installed: Path) -> dict[str, str]:
    """Where Python finds the wheel's vaezoo before the one that the tests run against."""
    paths = [str(installed), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def contents(wheel: Path) -> dict[str, str]:
    """The metadata files of a wheel by name, with their text."""
    with zipfile.ZipFile(wheel) as file:
        names = [name for name in file.namelist() if ".dist-info/" in name]
        return {n.partition("/")[2]: file.read(n).decode() for n in names}


@pytest.mark.slow
def test_the_wheel_holds_both_import_packages_whole_and_nothing_else(
    wheel: Path, copy: Path
) -> None:
    with zipfile.ZipFile(wheel) as file:
        found = {name for name in file.namelist() if ".dist-info/" not in name}
    expected = {
        str(PurePosixPath(target, path.relative_to(copy / source).as_posix()))
        for source, target in PACKAGES.items()
        for path in (copy / source).rglob("*")
        if path.is_file()
    }
    assert found == expected
    assert {"vaezoo/py.typed", "vaezoo_plugins/py.typed", "vaezoo/zoo.py"} <= found


@pytest.mark.slow
def test_the_wheel_names_its_command_its_plugin_its_version_and_its_license(wheel: Path) -> None:
    files = contents(wheel)
    entry_points = configparser.ConfigParser()
    entry_points.read_string(files["entry_points.txt"])
    assert dict(entry_points["console_scripts"]) == {"vaezoo": "vaezoo.cli:main"}
    assert dict(entry_points["vaezoo"]) == {"first-party": "vaezoo_plugins"}
    metadata = Parser().parsestr(files["METADATA"])
    assert (metadata["Name"], metadata["Version"]) == ("vaezoo", PROJECT["version"])
    assert metadata["License-Expression"] == "Apache-2.0"
    assert files["licenses/LICENSE"] == (ROOT / "LICENSE").read_text(encoding="utf-8")


USE = """
import sys, warnings
from pathlib import Path
import torch, vaezoo, vaezoo_plugins

for module in (vaezoo, vaezoo_plugins):
    assert Path(module.__file__).is_relative_to(sys.argv[1]), module.__file__
warnings.simplefilter("error")
for name in vaezoo.list_variants():
    vaezoo.create(name, offered={"num_classes": 3})
model = vaezoo.create("beta-vae", input_shape=(1, 5, 6), latent_dim=2)
history = vaezoo.fit(model, torch.rand(40, 1, 5, 6), steps=2, batch_size=8, progress=False)
assert history.last()["step"] == 2
vaezoo.save(model, "model")
assert torch.equal(vaezoo.load("model").sample(3, seed=0), model.sample(3, seed=0))
print(vaezoo.__version__)
"""


@pytest.mark.slow
def test_the_installed_wheel_creates_trains_saves_and_loads_away_from_the_checkout(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    printed = run("-c", USE, installed, cwd=tmp_path, environment=environment)
    assert printed.split() == [PROJECT["version"]]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["module", "script"])
def test_the_installed_command_lists_the_variants(
    command: str, installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    script = next((installed / "bin").glob("vaezoo*"))
    start = ["-m", "vaezoo.cli"] if command == "module" else [script]
    printed = run(*start, "list", cwd=tmp_path, environment=environment)
    for name in ("vae", "beta-vae", "cvae"):
        assert re.search(rf"^\W*{name}\b", printed, re.MULTILINE), printed


def test_pyproject_changelog_and_citation_agree_on_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.findall(r"^## \[(\d[^\]]*)\]", changelog, re.MULTILINE)
    cited = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    assert released[0] == PROJECT["version"]
    assert cited == [PROJECT["version"]]


# Written so that this file holds none of them.
NOT_IN_FILES = {
    "a path on somebody's machine": rb"(?<![\w.])/(?:work|home|root|Users|mnt|tmp)/+[\w.]",
    "the address of a package index": rb"https?://[^\s\"'<>]*/simple\b|file:///+\w",
    "an option that names a package index": rb"(?i)\b(?:extra[-_])?index[-_]url\b",
    "an address without a name": rb"https?://\d+\.\d+\.\d+\.\d+",
}


def test_no_file_names_a_machine_or_a_package_index() -> None:
    found = []
    for name in tree():
        content = (ROOT / name).read_bytes()
        for what, pattern in NOT_IN_FILES.items():
            found += [f"{name}: {what}: {m[0]!r}" for m in re.finditer(pattern, content)]
    assert not found


PICKLING = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
PICKLING |= {f"torch.{name}" for name in ("load", "save", "serialization", "hub", "package")}
PICKLING |= {"torch.jit.load", "torch.jit.save", "pandas.read_pickle"}
PICKLING |= {f"numpy.lib.format.{name}" for name in ("read_array", "write_array")}


def uses(source: str) -> Iterator[str]:
    """The names that a file imports or takes from modules, in full: ``torch.load``."""
    nodes = [*ast.walk(ast.parse(source))]
    modules: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            modules |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names = {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            yield from names.values()
            modules |= names
    for node in nodes:
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            yield f"{modules.get(first, first)}.{rest}"


def pickles(source: str) -> list[str]:
    """What a file uses that pickles or unpickles."""
    found = {use for use in uses(source) if {use, *prefixes(use)} & PICKLING}
    allowed = re.findall(r"allow_pickle\s*=\s*(?!False\b)\S+|weights_only\s*=", source)
    return sorted({*found, *allowed})


def prefixes(name: str) -> list[str]:
    """The modules and classes that a dotted name lies in."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load('x')",
        "import torch as t\nt.save({}, 'x')",
        "from torch import load as read",
        "from torch.serialization import load",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.lib.format.write_array(file, x)",
        "from numpy.lib import format\nformat.read_array(file)",
        "import numpy as np\nanything = True\nnp.load('x', allow_pickle=anything)",
    ],
)
def test_pickling_is_recognised(source: str) -> None:
    assert pickles(source)
    assert not pickles("import numpy as np\nimport safetensors.torch\nsafetensors.torch.save({})")


def test_the_product_never_unpickles() -> None:
    files = [path for folder in ("vaezoo", "plugins") for path in (ROOT / folder).rglob("*.py")]
    assert files
    found = {str(p.relative_to(ROOT)): pickles(p.read_text(encoding="utf-8")) for p in files}
    assert not {name: uses for name, uses in found.items() if uses}
