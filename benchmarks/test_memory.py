"""The memory that training takes, beside others: each in a process of its own, 784-400-20.

On a CPU: the process's peak, less that of one which has imported torch and made the images. On
CUDA: the peak of what torch has allocated there.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from bench_helpers import CUDA, Report, installed, race
from pytest_benchmark.fixture import BenchmarkFixture

NAMES = ("vaezoo", "pythae", "plain", "handwritten")
PLACES = [pytest.param("cpu", id="cpu"), pytest.param(*CUDA.values, id="cuda", marks=CUDA.marks)]
IMAGES = 60_000
STEPS = 3


@pytest.mark.parametrize("device", PLACES)
@pytest.mark.parametrize("batch", [128, 8192])
def test_memory(batch: int, device: str, benchmark: BenchmarkFixture, report: Report) -> None:
    smoke = not benchmark.enabled
    if smoke and batch > 128:
        pytest.skip("one of each kind shows that they run")
    benchmark.group = f"memory of training 784-400-20, batch {batch}, {device}"
    names = [name for name in NAMES[: 1 if smoke else None] if installed(name)]
    runs = {name: partial(peak, name, batch, device) for name in names}
    found = race(benchmark, runs, rounds=1)
    nothing = peak("nothing", batch, device) if device == "cpu" else 0.0
    report(
        device=device,
        batch=batch,
        execution="eager",
        unit="MiB",
        rows={name: {"value": used - nothing} for name, (_, used) in found.items()},
    )


def peak(name: str, batch: int, device: str) -> float:
    """Of a new process, in MiB."""
    command = (sys.executable, __file__, name, str(batch), device)
    done = subprocess.run(
        command, cwd=Path(__file__).parent, check=True, capture_output=True, text=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def peak_of_this_process() -> float:
    """In MiB. Not by getrusage where it can be helped: there a child begins with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) / 2**10
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(name: str, batch: int, device: str) -> None:
    """The child."""
    from contenders import CONTENDERS, TASKS, Setting

    images = torch.randint(256, (IMAGES, 1, 28, 28), dtype=torch.uint8)
    if name != "nothing":
        setting = Setting(
            task=TASKS["mlp"],
            images=images,
            batch=batch,
            device=device,
            precision="fp32",
            execution="eager",
        )
        CONTENDERS[name](setting).take(STEPS)
    if device == "cuda":
        used = torch.cuda.max_memory_allocated() / 2**20
    else:
        used = peak_of_this_process()
    print(json.dumps(used))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
