"""A plugin installed for the tests: small data, which train in a moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from cli_helpers import DATA, PLUGIN, SMALL, Result, install

from vaezoo.cli import main
from vaezoo.registry import lookup


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    files = {"tiny_vaezoo": PLUGIN, "tiny_vaezoo_data": DATA}
    install(folder, "tiny-vaezoo", "tiny_vaezoo", files)
    return folder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Any:
    """Models so small gain nothing from more, and on a busy machine they lose much."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def plugin(site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The plugin is installed, here and in processes started from here; runs go to tmp_path."""
    monkeypatch.syspath_prepend(str(site))
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.delenv("VAEZOO_DISABLE_PLUGINS", raising=False)
    monkeypatch.chdir(tmp_path)
    lookup.refresh()
    yield
    lookup.refresh()


@pytest.fixture
def vaezoo(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command line in this process."""

    def command(*argv: object) -> Result:
        capsys.readouterr()
        code = main([str(argument) for argument in argv])
        return Result(code, *capsys.readouterr())

    return command


@pytest.fixture(scope="session")
def trained(site: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished runs, by variant."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        lookup.refresh()
        for variant in ("vae", "cvae"):
            small = [*SMALL, "--binarization", "dynamic"]
            out = ["--data", "tiny", "--out", str(runs / variant)]
            assert main(["train", variant, *out, *small]) == 0
    return {variant: runs / variant for variant in ("vae", "cvae")}
