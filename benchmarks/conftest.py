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
        if "row" in facts and benchmark.stats is not None:
            facts.setdefault("value", facts.get("images_per_second_at_best"))
            facts.setdefault("unit", SPEED)
            groups = request.config.stash.setdefault(REPORTED, {})
            groups.setdefault(benchmark.group, []).append(facts)
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


def ratio(row: dict[str, Any], rows: list[dict[str, Any]]) -> float:
    """How many times better vaezoo is than this row; without it, this row over the first."""
    ours = next((each["value"] for each in rows if each["row"] == "vaezoo"), None)
    if ours is None:
        return float(row["value"] / rows[0]["value"])
    better = ours / row["value"] if row["unit"] == SPEED else row["value"] / ours
    return float(better)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """A table for each group: images per second, or what it costs, and how vaezoo compares."""
    for group, rows in config.stash.get(REPORTED, {}).items():
        terminalreporter.section(f"{group}: {rows[0]['unit']}")
        for row in rows:
            loss = "" if row.get("loss") is None else f"{row['loss']:10.2f} nats"
            terminalreporter.write_line(
                f"{row['row']:20s} {row['value']:12,.5g} {ratio(row, rows):8.2f}x {loss}"
            )
