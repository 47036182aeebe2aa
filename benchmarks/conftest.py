"""What all benchmarks share: variants, devices, models of one size, and the facts reported."""

from __future__ import annotations

import platform
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from bench_helpers import CLASSES, CUDA, SIZES, MakeModel, Report
from pytest_benchmark.fixture import BenchmarkFixture

import vaezoo

REPORTED = pytest.StashKey[dict[str, list[dict[str, Any]]]]()


@pytest.fixture(params=vaezoo.list_variants())
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make_model() -> MakeModel:
    """A fresh model: 784-400-20 unless told otherwise, with labels if the variant takes any."""

    def make(name: str, device: str = "cpu", **options: Any) -> vaezoo.VAE:
        torch.manual_seed(0)
        try:
            model = vaezoo.create(name, **(options or SIZES), offered={"num_classes": CLASSES})
        except vaezoo.MissingRequirementError as error:
            pytest.skip(str(error))
        return model.to(device)

    return make


@pytest.fixture
def report(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Report:
    """Writes the facts behind a figure, and after the run its images per second.

    images: how many one timed call processes.
    """

    def write(
        model: vaezoo.VAE | None = None,
        *,
        device: str = "cpu",
        images: int | None = None,
        **facts: Any,
    ) -> None:
        facts |= {
            "device": device_name(device),
            "torch": str(torch.__version__),
            "vaezoo": vaezoo.__version__,
        }
        if model is not None:
            facts["parameters"] = sum(p.numel() for p in model.parameters())
        if images is not None and benchmark.stats is not None:  # None: --benchmark-disable
            facts["images_per_second"] = round(images / benchmark.stats.stats.median)
            facts["images_per_second_at_best"] = round(images / benchmark.stats.stats.min)
        benchmark.extra_info.update(facts)
        if "contender" in facts and "images_per_second_at_best" in facts:
            request.config.stash.setdefault(REPORTED, {}).setdefault(benchmark.group, []).append(
                facts
            )

    return write


def device_name(device: str) -> str:
    """The GPU, or the CPU with the number of threads that torch uses."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    try:
        names = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    except OSError:  # not Linux
        names = None
    name = names[1] if names else platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A table of ratios for each group of contenders: vaezoo's speed over theirs."""
    for group, rows in config.stash.get(REPORTED, {}).items():
        terminalreporter.section(f"{group}: images/s of the fastest round")
        speeds = {row["contender"]: row["images_per_second_at_best"] for row in rows}
        for row in rows:
            name, speed = row["contender"], row["images_per_second_at_best"]
            ratio = f"{speeds['vaezoo'] / speed:8.2f}x" if "vaezoo" in speeds else ""
            loss = "" if row["loss"] is None else f"{row['loss']:10.2f} nats"
            terminalreporter.write_line(f"{name:12s} {speed:12,d} {ratio} {loss}")
