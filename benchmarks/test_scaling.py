"""How the time of a step grows with the number of images, of latents, of samples, and the batch.

The trainer's own batches and step on 784-400-20 and noise, one thing changed at a time. The table
has each row's time beside that of the first.
"""

from __future__ import annotations

import gc
from typing import Any

import pytest
import torch
from bench_helpers import CUDA, Report
from contenders import TASKS, Setting, Task, ours
from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 5
WARM_UP = 3  # steps
PLACES = [pytest.param("cpu", id="cpu"), pytest.param(*CUDA.values, id="cuda", marks=CUDA.marks)]
SIZES = {"images": 60_000, "latents": 20, "samples": 1, "batch": 128}
ROWS = [
    *(("images", size) for size in (1_000, 10_000, 60_000, 600_000)),
    *(("latents", size) for size in (2, 20, 200, 2_000)),
    *(("samples", size) for size in (1, 5, 50)),
    *(("batch", size) for size in (32, 128, 1_024, 8_192)),
]
STEPS = {"cpu": 2**13, "cuda": 2**20}  # images seen in a timed call, if that is a step or more


def task_of(latents: int, samples: int) -> Task:
    """An IWAE, which with one sample is a VAE."""
    network = {"name": "mlp", "hidden": [400]}
    return Task(
        name="iwae",
        variant="iwae",
        options={"network": network, "latent_dim": latents, "samples": samples},
        handwritten=TASKS["mlp"].handwritten,
        shape=(1, 28, 28),
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", PLACES)
@pytest.mark.parametrize(("what", "size"), ROWS)
def test_scaling(
    what: str, size: int, device: str, benchmark: BenchmarkFixture, report: Report
) -> None:
    smoke = not benchmark.enabled
    sizes = SIZES | {what: size}
    if smoke:
        sizes["images"] = min(sizes["images"], 10_000)
    benchmark.group = f"time of a step by {what}, {device}"
    images = torch.randint(256, (sizes["images"], 1, 28, 28), dtype=torch.uint8)
    execution: Any = "eager" if smoke else {"cpu": "compiled", "cuda": "captured"}[device]
    torch.compiler.reset()
    setting = Setting(
        task=task_of(sizes["latents"], sizes["samples"]),
        images=images,
        batch=sizes["batch"],
        device=device,
        precision="fp32",
        execution=execution,
    )
    take = ours(setting).take
    seen = sizes["batch"] * sizes["samples"]
    count = 1 if smoke else max(1, STEPS[device] // seen)
    if not smoke:
        take(WARM_UP)
    benchmark.pedantic(take, args=(count,), rounds=1 if smoke else ROUNDS)
    seconds = None if smoke else benchmark.stats.stats.min / count
    report(
        device=device,
        batch=sizes["batch"],
        row=f"{size:,} {what}" if what != "batch" else f"batch {size:,}",
        value=None if seconds is None else 1e3 * seconds,
        unit="ms a step",
        sizes=sizes,
        execution=execution,
        precision="fp32",
    )
    del take
    gc.collect()
