"""The time from a new model to a given ELBO of test images, 784-400-20 at batch 128.

Everything counts but the import of the packages and the reading of the images: making the model,
compiling, training, and the evaluation of 2,000 test images after each 100 steps.
"""

from __future__ import annotations

import gc
from functools import partial
from typing import Any

import pytest
import torch
from bench_helpers import CUDA, Report, installed, race
from contenders import CONTENDERS, TASKS, Setting
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from vaezoo.data import as_data

NAMES = ("vaezoo", "pythae", "plain", "handwritten")
PLACES = [pytest.param("cpu", id="cpu"), pytest.param(*CUDA.values, id="cuda", marks=CUDA.marks)]
TARGETS = {"mnist": -115.0, "fashion-mnist": -250.0}  # nats, of grey images as probabilities
STEPS, LIMIT = 100, 5_000
TESTED = 2_000
ROUNDS = 3


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", PLACES)
@pytest.mark.parametrize("data", [*TARGETS])
def test_time_to_elbo(data: str, device: str, benchmark: BenchmarkFixture, report: Report) -> None:
    target = TARGETS[data]
    benchmark.group = f"time to {target:g} nats on {data}, {device}"
    try:
        splits = as_data(data)
    except Exception as error:  # there is no such data on this machine
        pytest.skip(f"needs images: {error}")
    images = splits.train.examples(torch.arange(len(splits.train)))[0]
    tested = splits.test.examples(torch.arange(TESTED))[0].float().to(device) / 255
    # What each would choose for so short a run: on a CPU, compiling takes longer than it saves.
    execution = "eager" if device == "cpu" else "compiled"
    setting = Setting(
        task=TASKS["mlp"],
        images=images,
        batch=128,
        device=device,
        precision="fp32",
        execution=execution,
    )
    smoke = not benchmark.enabled
    names = [name for name in NAMES if installed(name)]
    runs = {
        name: partial(reached, name, setting, tested, target, STEPS if smoke else LIMIT)
        for name in names
    }
    found = race(benchmark, runs, rounds=1 if smoke else ROUNDS)
    assert smoke or all(elbo >= target for _, (_, elbo) in found.values())
    report(
        device=device,
        batch=128,
        execution=execution,
        unit="s",
        rows={
            name: {"value": seconds, "steps": steps, "loss": -elbo, "precision": "fp32"}
            for name, (seconds, (steps, elbo)) in found.items()
        },
    )


def reached(
    name: str, setting: Setting, tested: Tensor, target: float, limit: int
) -> tuple[int, float]:
    """After how many steps, and what then."""
    torch.compiler.reset()
    contender: Any = CONTENDERS[name](setting)
    steps, elbo = 0, float("-inf")
    while elbo < target and steps < limit:
        contender.take(STEPS)
        elbo = -contender.loss(tested).item()
        steps += STEPS
    gc.collect()
    return steps, elbo
