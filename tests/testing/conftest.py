"""Variants that are written down in a test, sound or broken."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import pytest

from vaezoo.testing import ConformanceError, check_variant

NAME = "planted/vae"

INIT = f"""
import vaezoo

@vaezoo.hookimpl
def vaezoo_specs():
    yield vaezoo.VariantSpec(name={NAME!r}, target="planted_vae.model:recipe", summary="Planted")
"""

HEAD = """
from dataclasses import dataclass

import torch
from torch import nn

import vaezoo
from vaezoo import ELBO, VAE, Objective, Phase, Site, Terms, Trace
from vaezoo.networks import MLP


@dataclass(frozen=True, kw_only=True)
class Options:
    pass


def made(parts, cls=VAE, objective=None, **kwargs):
    return cls(parts.encoder(), parts.decoder(), parts.prior(), objective=objective, **kwargs)
"""

Plant = Callable[..., str]
Fails = Callable[..., ConformanceError]


@pytest.fixture
def plant(install_plugin: Callable[..., Any]) -> Plant:
    """Installs a plugin with one variant, whose module defines ``recipe``; returns its name.

    The module begins with HEAD: imports, empty Options, and ``made(parts, ...)``.
    """

    def install(source: str, *, init: str = "") -> str:
        code = {
            "planted_vae/__init__.py": INIT + textwrap.dedent(init),
            "planted_vae/model.py": HEAD + textwrap.dedent(source),
        }
        install_plugin(distribution="vaezoo-planted", entry_point="planted", code=code)
        return NAME

    return install


@pytest.fixture
def fails(plant: Plant) -> Fails:
    """Plants a variant and asserts that this check, run alone, fails it for this reason."""

    def run(check: str, reason: str, source: str, *, init: str = "", **options: Any) -> Any:
        name = plant(source, init=init)
        with pytest.raises(ConformanceError) as caught:
            check_variant(name, only=[check], **options)
        (failure,) = caught.value.failures
        assert failure.check == check
        assert reason in str(caught.value), str(caught.value)
        assert "planted_vae" in failure.look  # the author's own file is named
        return caught.value

    return run
