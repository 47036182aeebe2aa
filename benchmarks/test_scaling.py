"""How the time of a step grows with the number of images, of latents, of samples, and the batch.

The trainer's own batches and step on 784-400-20 and noise, one thing changed at a time. The table
has each row's time beside that of the first.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from bench_helpers import CUDA, Report, race
from contenders import TASKS, Setting, Task, ours
from pytest_benchmark.fixture import BenchmarkFixture

ROUNDS = 5
WARM_UP = 3  # steps
PLACES = [pytest.param("cpu", id="cpu"), pytest.param(*CUDA.values, id="cuda", marks=CUDA.marks)]
SIZES = {"images": 60_000, "latents": 20, "samples": 1, "batch": 128}
GROWN = {
    "images": (1_000, 10_000, 60_000, 600_000),
    "latents": (2, 20, 200, 2_000),
    "samples": (1, 5, 50),
    "batch": (32, 128, 1_024, 8_192),
}
SEEN = {"cpu": 2**13, "cuda": 2**20}
"""Images in a round, each sample counted, if that makes a step or more."""


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
@pytest.mark.parametrize("what", GROWN)
def test_scaling(what: str, device: str, benchmark: BenchmarkFixture, report: Report) -> None:
    smoke = not benchmark.enabled
    benchmark.group = f"time of a step by {what}, {device}"
    execution: Any = "eager" if smoke else {"cpu": "compiled", "cuda": "captured"}[device]
    torch.compiler.reset()
    rounds: dict[str, Callable[[], Any]] = {}
    steps: dict[str, int] = {}
    for size in GROWN[what][: 2 if smoke else None]:
        sizes = SIZES | {what: size}
        setting = Setting(
            task=task_of(sizes["latents"], sizes["samples"]),
            images=torch.randint(256, (sizes["images"], 1, 28, 28), dtype=torch.uint8),
            batch=sizes["batch"],
            device=device,
            precision="fp32",
            execution=execution,
        )
        take = ours(setting).take
        name = f"batch {size:,}" if what == "batch" else f"{size:,} {what}"
        steps[name] = 1 if smoke else max(1, SEEN[device] // (sizes["batch"] * sizes["samples"]))
        if not smoke:
            take(WARM_UP)
        rounds[name] = partial(take, steps[name])
    found = race(benchmark, rounds, rounds=1 if smoke else ROUNDS)
    report(
        device=device,
        execution=execution,
        unit="ms a step",
        rows={
            name: {"value": 1000 * seconds / steps[name], "precision": "fp32"}
            for name, (seconds, _) in found.items()
        },
    )
    del take, rounds
    gc.collect()
