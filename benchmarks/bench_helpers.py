"""Names that the benchmarks share with their fixtures."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

import vaezoo

SIZES: dict[str, Any] = {
    "input_shape": (1, 28, 28),
    "latent_dim": 20,
    "network": {"name": "mlp", "hidden": [400]},
}
CLASSES = 10

MakeModel = Callable[..., vaezoo.VAE]
Report = Callable[..., None]

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    ],
)


def installed(name: str) -> bool:
    """Whether this contender can take part."""
    return name != "pythae" or importlib.util.find_spec("pythae") is not None


def race(
    benchmark: BenchmarkFixture, contenders: Mapping[str, Callable[[], Any]], *, rounds: int
) -> dict[str, tuple[float, Any]]:
    """Let all run in turns, ``rounds`` times: seconds of each one's fastest, and what it returned.

    In turns, since a machine is now faster and now slower. pytest-benchmark's own figures are of
    the first alone.
    """
    first, *others = contenders
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    found: dict[str, Any] = {}

    def run(name: str) -> None:
        start = time.perf_counter()
        found[name] = contenders[name]()
        seconds[name].append(time.perf_counter() - start)

    def run_others() -> None:
        for name in others:
            run(name)

    benchmark.pedantic(run, args=(first,), setup=run_others, rounds=rounds)
    return {name: (min(seconds[name]), found[name]) for name in contenders}
