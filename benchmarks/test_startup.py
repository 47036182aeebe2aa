"""How long Python takes to import vaezoo, and the command to list the variants."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_helpers import Report
from pytest_benchmark.fixture import BenchmarkFixture

BARE = ("-c", "pass")
COMMANDS = {"import": ("-c", "import vaezoo"), "list": ("-m", "vaezoo.cli", "list")}
PAIRS = 10


@pytest.mark.benchmark(group="start-up")
@pytest.mark.parametrize("command", COMMANDS)
def test_startup(
    command: str, benchmark: BenchmarkFixture, report: Report, tmp_path: Path
) -> None:
    arguments = COMMANDS[command]

    def run(arguments: tuple[str, ...]) -> float:
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - start

    benchmark(run, arguments)
    # In turns, so that whatever else the machine does burdens both alike.
    pairs = [(run(arguments), run(BARE)) for _ in range(PAIRS if benchmark.enabled else 1)]
    report(
        bare_python_ms=round(1000 * statistics.median(bare for _, bare in pairs), 1),
        over_bare_python_ms=round(1000 * statistics.median(a - b for a, b in pairs), 1),
    )
