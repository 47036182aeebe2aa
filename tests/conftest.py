"""Fixtures for all tests."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from vaezoo import registry

InstallPlugin = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run."""
    import torch

    missing = {
        "gpu": None if torch.cuda.is_available() else "needs CUDA",
        "data": None if os.environ.get("VAEZOO_DATA") else "needs $VAEZOO_DATA",
    }
    for item in items:
        for mark, reason in missing.items():
            if reason is not None and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def install_plugin(tmp_path: Path) -> Iterator[InstallPlugin]:
    """Installs a distribution that brings a vaezoo plugin, for one test.

        install_plugin(
            distribution="vaezoo-broken",
            version="1.0",
            entry_point="broken",
            code={"broken_vae/__init__.py": "...", "broken_vae/model.py": "..."},
        )

    The entry point loads the first package of ``code``; ``entry_point="broken = elsewhere"``
    loads another module. Processes that the test starts see the plugin where they are given
    ``sys.path``. Returns the folder, which stands for site-packages. May be called repeatedly.
    """
    folders: list[Path] = []

    def install(
        *,
        distribution: str,
        entry_point: str,
        code: Mapping[str, str],
        version: str = "1.0",
        requires: tuple[str, ...] = (),
    ) -> Path:
        folder = tmp_path / f"site-packages-{len(folders)}"
        name, _, module = (part.strip() for part in entry_point.partition("="))
        first = next(iter(code), "absent").removesuffix(".py")
        module = module or first.removesuffix("/__init__").replace("/", ".")
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
        info = f"{distribution.replace('-', '_')}-{version}.dist-info"
        files = {
            f"{info}/METADATA": metadata,
            f"{info}/entry_points.txt": f"[vaezoo]\n{name} = {module}\n",
            **{path: textwrap.dedent(text) for path, text in code.items()},
        }
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        folders.append(folder)
        sys.path.insert(0, str(folder))
        _look_again()
        return folder

    yield install

    for folder in folders:
        sys.path.remove(str(folder))
        for name, module in [*sys.modules.items()]:
            file = getattr(module, "__file__", None)
            if file and Path(file).is_relative_to(folder):
                del sys.modules[name]
    _look_again()


def _look_again() -> None:
    importlib.invalidate_caches()
    registry.refresh()


@pytest.fixture
def validated() -> Iterator[None]:
    """torch's distributions check their arguments, as in a new process: torch.compile turns that
    off for good."""
    from torch.distributions import Distribution

    before = Distribution._validate_args
    Distribution.set_default_validate_args(True)
    yield
    Distribution.set_default_validate_args(before)
