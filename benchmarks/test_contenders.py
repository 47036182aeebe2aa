"""Training against others: pythae, a tutorial's loop, the best loop by hand, and the floor.

One process, one machine, the same data, network, optimizer and number of steps, in turns; each
contender at its own best settings. What is compared is the fastest round of each.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from bench_helpers import CUDA, Report, installed, race
from contenders import CONTENDERS, TASKS, Setting
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from vaezoo.data import as_data

IMAGES = 20_000
ROUNDS = 7
PLACES = [
    pytest.param("cpu", 1, "fp32", id="cpu-1-fp32"),
    pytest.param("cpu", 2, "fp32", id="cpu-2-fp32"),
    pytest.param("cpu", 1, "bf16", id="cpu-1-bf16"),
    pytest.param("cpu", 2, "bf16", id="cpu-2-bf16"),
    pytest.param(*CUDA.values, None, "fp32", id="cuda-fp32", marks=CUDA.marks),
    pytest.param(*CUDA.values, None, "bf16", id="cuda-bf16", marks=CUDA.marks),
]
WARM_UP = 3  # steps: they compile, and fill caches
CPU_STEPS = {
    ("mlp", 128): 60,
    ("mlp", 1024): 10,
    ("mlp", 8192): 2,
    ("conv", 128): 4,
    ("iwae", 128): 2,
    ("vq", 128): 10,
    ("factor", 128): 5,
}
"""Of a round, the same for every contender, so that their losses compare. What is not named here
takes seconds a step on a CPU."""
CUDA_STEPS = {128: 2000, 1024: 500, 8192: 100}
FP32_ONLY = ("plain",)


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> Iterator[int | None]:
    """As many as asked for; None: as many as there are."""
    before, number = torch.get_num_threads(), request.param
    if number is not None:
        torch.set_num_threads(number)
    yield number
    torch.set_num_threads(before)


def images_of(task: str) -> Tensor:
    """Real images, without which nothing could be said of the losses: (N, *shape) uint8."""
    try:
        data = as_data("sprites" if task == "conv" else "fashion-mnist")
    except Exception as error:  # there is no such data on this machine
        pytest.skip(f"needs images: {error}")
    return data.train.examples(torch.arange(IMAGES))[0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("device", "threads", "precision"), PLACES, indirect=["threads"], scope="module"
)
@pytest.mark.parametrize("batch", [128, 1024, 8192])
@pytest.mark.parametrize("task", [*TASKS])
def test_contenders(
    task: str,
    batch: int,
    device: str,
    threads: int | None,
    precision: Any,
    benchmark: BenchmarkFixture,
    report: Report,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if device == "cpu" and (task, batch) not in CPU_STEPS:
        pytest.skip("seconds a step")
    smoke = not benchmark.enabled
    if smoke and (device, threads, precision, batch) != ("cpu", 1, "fp32", 128):
        pytest.skip("one of each kind shows that they run")
    benchmark.group = f"{TASKS[task].name}, batch {batch}, {device} {precision}, {threads} threads"
    torch.compiler.reset()
    setting = Setting(
        task=TASKS[task],
        images=images_of(task),
        batch=batch,
        device=device,
        precision=precision,
        execution="eager" if smoke else {"cpu": "compiled", "cuda": "captured"}[device],
    )
    steps = 1 if smoke else CPU_STEPS[task, batch] if device == "cpu" else CUDA_STEPS[batch]
    with caplog.at_level(logging.WARNING, logger="vaezoo"):
        takes = {name: CONTENDERS[name](setting).take for name in CONTENDERS if installed(name)}
        if not smoke:
            for take in takes.values():
                take(WARM_UP)
        rounds = {name: partial(timed, take, steps, device) for name, take in takes.items()}
        found = race(benchmark, rounds, rounds=1 if smoke else ROUNDS)
    assert "runs eagerly" not in caplog.text
    report(
        device=device,
        batch=batch,
        steps_per_round=steps,
        execution=setting.execution,
        unit="images/s",
        rows={
            name: {
                "value": round(batch * steps / seconds),
                "loss": None if loss is None else round(loss, 2),
                "precision": "fp32" if name in FP32_ONLY else precision,
            }
            for name, (seconds, loss) in found.items()
        },
    )
    del takes, rounds
    gc.collect()


def timed(take: Any, steps: int, device: str) -> float | None:
    loss: float | None = take(steps)
    if device == "cuda":
        torch.cuda.synchronize()
    return loss
