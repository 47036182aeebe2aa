"""The time of runs as users have them, 784-400-20 at batch 128.

To a given ELBO of test images, from a new model, by the trainers' steps; and of one epoch of
10,000 images, by ``vaezoo.fit`` as it is called, beside the others' steps alone.

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

import vaezoo
from vaezoo.data import as_data

NAMES = ("vaezoo", "pythae", "plain", "handwritten")
PLACES = [pytest.param("cpu", id="cpu"), pytest.param(*CUDA.values, id="cuda", marks=CUDA.marks)]
TARGETS = {"mnist": -115.0, "fashion-mnist": -250.0}  # nats, of grey images as probabilities
STEPS, LIMIT = 100, 5_000
SHORT = 10_000  # images
TESTED = 2_000
ROUNDS = 5


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", PLACES)
@pytest.mark.parametrize("data", [*TARGETS])
def test_runs(data: str, device: str, benchmark: BenchmarkFixture, report: Report) -> None:
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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("device", PLACES)
def test_short_run(device: str, benchmark: BenchmarkFixture, report: Report) -> None:
    benchmark.group = f"one epoch of {SHORT:,} images, {device}"
    images = torch.randint(256, (SHORT, 1, 28, 28), dtype=torch.uint8)
    setting = Setting(
        task=TASKS["mlp"],
        images=images,
        batch=128,
        device=device,
        precision="fp32",
        execution="eager",
    )

    def fit() -> None:
        model = vaezoo.create("vae", input_shape=(1, 28, 28), **TASKS["mlp"].options)
        options = {"epochs": 1, "batch_size": 128, "validation": 0, "progress": False}
        vaezoo.fit(model, images, device=device, precision="fp32", **options)

    def steps(name: str) -> None:
        CONTENDERS[name](setting).take(SHORT // 128)

    others = [name for name in NAMES[1:] if installed(name)]
    runs = {"vaezoo": fit} | {name: partial(steps, name) for name in others}
    found = race(benchmark, runs, rounds=ROUNDS if benchmark.enabled else 1)
    rows = {name: {"value": seconds, "precision": "fp32"} for name, (seconds, _) in found.items()}
    report(device=device, batch=128, execution="eager", unit="s", rows=rows)
