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

SPEED = "images/s"
REPORTED = pytest.StashKey[dict[str, dict[str, Any]]]()


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

    images: how many one timed call processes. rows: of what was measured side by side, by name:
    value, in ``unit``, and what else there is to say of it.
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
        if "rows" in facts and benchmark.enabled:
            request.config.stash.setdefault(REPORTED, {})[benchmark.group] = facts
        benchmark.extra_info.update(facts)

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
    """A table for each group: images per second, or what it costs, and how vaezoo compares."""
    for group, facts in config.stash.get(REPORTED, {}).items():
        unit, rows = facts["unit"], facts["rows"]
        terminalreporter.section(f"{group}: {unit}")
        for name, row in rows.items():
            loss = "" if row.get("loss") is None else f"{row['loss']:10.2f} nats"
            terminalreporter.write_line(
                f"{name:20s} {row['value']:12,.5g} {ratio(name, rows, unit):8.2f}x {loss}"
            )


def ratio(name: str, rows: dict[str, Any], unit: str) -> float:
    """How many times better vaezoo is than this row; without it, this row over the first."""
    value = rows[name]["value"]
    if "vaezoo" not in rows:
        return float(value / next(iter(rows.values()))["value"])
    ours = rows["vaezoo"]["value"]
    return float(ours / value if unit == SPEED else value / ours)
