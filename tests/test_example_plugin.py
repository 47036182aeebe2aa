"""vaezoo-example, and what ``vaezoo new-plugin`` makes of it, work where pip installs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from vaezoo.scaffold import template, write_plugin

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "plugins" / "vaezoo-example"

PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
USE = """
import warnings
import torch, vaezoo

warnings.simplefilter("error")
name = {name!r}
assert name in vaezoo.list_variants()
assert {{option.name for option in vaezoo.describe(name).options}} == {{"skew"}}
model = vaezoo.create(name, input_shape=(1, 5, 6), latent_dim=2, skew=0.2)
vaezoo.fit(model, torch.rand(40, 1, 5, 6), steps=3, batch_size=8, progress=False)
vaezoo.save(model, "model")
loaded = vaezoo.load("model")
assert loaded.config.plugin["distribution"] == {distribution!r}
assert torch.equal(loaded.sample(3, seed=0), model.sample(3, seed=0))
combined = vaezoo.create(name, network="conv", likelihood="laplace", input_shape=(3, 32, 32))
assert combined(torch.rand(2, 3, 32, 32), samples=4).elbo.shape == (4, 2)
"""


def install(source: Path, site: Path) -> dict[str, str]:
    """The environment in which Python finds the package, which pip installs without a network."""
    where = ("--target", str(site), "--no-deps", "--no-index", "--no-build-isolation")
    run("-m", "pip", "install", "--quiet", *where, str(source), cwd=source.parent)
    paths = [str(site), *filter(None, sys.path)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}


def run(*arguments: str, cwd: Path, environment: dict[str, str] | None = None) -> str:
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
def example(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Where vaezoo-example is installed."""
    return install(EXAMPLE, tmp_path_factory.mktemp("example"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that new-plugin wrote, whose two names are one word."""
    folder = tmp_path_factory.mktemp("written") / "of-mine"
    write_plugin("ring", folder)
    return folder


@pytest.mark.slow
def test_the_examples_own_tests_pass(example: dict[str, str], tmp_path: Path) -> None:
    tests = str(EXAMPLE / "tests")
    printed = run(*PYTEST, tests, cwd=tmp_path, environment=example)
    assert re.search(r"^[3-9]\d passed", printed, re.MULTILINE), printed


@pytest.mark.slow
def test_the_tests_of_a_written_package_pass_at_once(written: Path) -> None:
    environment = install(written, written.parent / "site")
    printed = run(*PYTEST, str(written / "tests"), cwd=written, environment=environment)
    assert re.search(r"^[3-9]\d passed", printed, re.MULTILINE), printed
    use = USE.format(name="ring", distribution="vaezoo-ring")
    run("-c", use, cwd=written.parent, environment=environment)


@pytest.mark.slow
def test_its_variant_is_created_combined_trained_saved_and_loaded(
    example: dict[str, str], tmp_path: Path
) -> None:
    use = USE.format(name="example/skewed-vae", distribution="vaezoo-example")
    run("-c", use, cwd=tmp_path, environment=example)


@pytest.mark.slow
def test_the_command_line_has_it(example: dict[str, str], tmp_path: Path) -> None:
    def vaezoo(*arguments: str) -> str:
        return run("-m", "vaezoo.cli", *arguments, cwd=tmp_path, environment=example)

    assert "example/skewed-vae  Holds codes by" in vaezoo("list", "example/*")
    described = vaezoo("describe", "example/skewed-vae")
    assert "arXiv:2006.10599" in described
    assert "0 is the VAE." in described
    found = {plugin["name"]: plugin for plugin in json.loads(vaezoo("plugins", "--json"))}
    assert found["example"]["distribution"] == "vaezoo-example"
    assert found["example"]["status"] == "ok"
    np.save(tmp_path / "x.npy", np.random.default_rng(0).random((64, 8, 8), dtype=np.float32))
    short = ("--data", "x.npy", "--steps", "2", "--batch-size", "8", "--validate-every", "2")
    vaezoo("train", "example/skewed-vae", *short, "--model.skew", "0.3", "--out", "run")
    config = json.loads((tmp_path / "run/config.json").read_text())
    assert config["model"]["options"] == {"skew": 0.3}


def test_importing_the_plugin_imports_no_torch() -> None:
    code = "import sys, vaezoo_example; assert not {'torch', 'numpy'} & set(sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(EXAMPLE / "src"), *sys.path])}
    run("-c", code, cwd=ROOT, environment=environment)


def test_it_is_a_package_of_its_own_that_needs_vaezoo_alone() -> None:
    for folder in (EXAMPLE, template()):
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["name"] == "vaezoo-example"
        assert project["dependencies"] == ["vaezoo>=0.1"]
        assert project["optional-dependencies"] == {"test": ["pytest>=8"]}
        assert project["entry-points"] == {"vaezoo": {"example": "vaezoo_example"}}
    assert (EXAMPLE / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_its_ci_file_installs_and_tests_it_on_the_pythons_that_it_takes() -> None:
    text = (EXAMPLE / ".github/workflows/test.yml").read_text(encoding="utf-8")
    assert "\t" not in text
    assert {"name", "on", "jobs"} == set(re.findall(r"^(\w+):", text, re.MULTILINE))
    assert 'python: ["3.11", "3.12"]' in text
    assert re.findall(r"^ +- run: (.+)$", text, re.MULTILINE) == [
        "pip install '.[test]'",
        "pytest",
    ]


def test_the_readme_names_what_is_there() -> None:
    text = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    for path in re.findall(r"`([\w./]+\.(?:py|toml|yml)|LICENSE)`", text):
        assert (EXAMPLE / path).is_file(), path
