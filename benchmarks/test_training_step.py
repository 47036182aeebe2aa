"""Training steps per second: the trainer's own batches and step, without its reports."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
import torch
from bench_helpers import CLASSES, CUDA, MakeModel, Report
from pytest_benchmark.fixture import BenchmarkFixture

import vaezoo
from vaezoo.data import Source, TensorSource, TrainingBatches, as_data
from vaezoo.training.config import TrainingConfig, resolve
from vaezoo.training.mode import training
from vaezoo.training.step import TrainingStep

STEPS = {"cpu": 5, "cuda": 100}  # in one timed call
EXECUTIONS = [
    pytest.param("cpu", "eager", id="cpu-eager"),
    pytest.param(*CUDA.values, "eager", id="cuda-eager", marks=CUDA.marks),
    pytest.param(*CUDA.values, "compiled", id="cuda-compiled", marks=CUDA.marks),
]

Measure = Callable[..., None]


@pytest.fixture(scope="module")
def images() -> TensorSource:
    """As many as MNIST has, of noise: the figures do not depend on what is seen."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (60_000, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return TensorSource(x, torch.arange(len(x)) % CLASSES)


@pytest.fixture(scope="module")
def sprites() -> Source:
    return as_data("sprites").train


@pytest.fixture
def measure(
    benchmark: BenchmarkFixture, report: Report, caplog: pytest.LogCaptureFixture
) -> Measure:
    """Times training steps of a model on a source."""

    def run(model: vaezoo.VAE, source: Source, *, batch: int, device: str, execution: Any) -> None:
        options = TrainingConfig(
            steps=1_000_000, batch_size=batch, device=device, execution=execution
        )
        batches = TrainingBatches(source.to(device), batch_size=batch, seed=0)
        config = resolve(options, batches.steps_per_epoch)
        count = STEPS[device] if benchmark.enabled else 1
        if execution == "compiled":
            torch.compiler.reset()  # what earlier benchmarks compiled counts towards a limit
        with training(model, config), caplog.at_level(logging.WARNING, logger="vaezoo"):
            first = batches.batch(0)
            for module in (model, model.objective):
                module.prepare(first, len(batches.source))
            steps = Steps(TrainingStep(model, config), batches, count)
            if benchmark.enabled:
                steps()  # compiles, and fills caches
            benchmark(steps)
        assert "runs eagerly" not in caplog.text
        report(
            model,
            device=device,
            images=batch * count,
            batch=batch,
            steps_per_call=count,
            execution=config.execution,
            precision=config.precision,
        )

    return run


class Steps:
    """What is timed: whole steps, from shuffled indices to updated weights, one after another."""

    def __init__(self, step: TrainingStep, batches: TrainingBatches, count: int) -> None:
        self.step = step
        self.batches = batches
        self.count = count
        self.number = 0

    def __call__(self) -> None:
        for _ in range(self.count):
            self.step(self.batches.batch(self.number), self.number)
            self.number += 1
        if self.step.device.type == "cuda":
            torch.cuda.synchronize()


# Inductor's advice on float32 precision must not become the error that stops compilation.
@pytest.mark.filterwarnings("ignore:TensorFloat32:UserWarning")
@pytest.mark.parametrize(("device", "execution"), EXECUTIONS)
@pytest.mark.parametrize("batch", [128, 1024])
def test_training_step(
    variant: str,
    device: str,
    execution: str,
    batch: int,
    images: TensorSource,
    make_model: MakeModel,
    benchmark: BenchmarkFixture,
    measure: Measure,
) -> None:
    benchmark.group = f"training step, mlp 784-400-20, batch {batch}"
    measure(make_model(variant), images, batch=batch, device=device, execution=execution)


@pytest.mark.benchmark(group="training step, conv on sprites, batch 128")
@pytest.mark.filterwarnings("ignore:TensorFloat32:UserWarning")
@pytest.mark.parametrize(("device", "execution"), EXECUTIONS)
def test_training_step_on_sprites(
    device: str, execution: str, sprites: Source, make_model: MakeModel, measure: Measure
) -> None:
    model = make_model("beta-vae", input_shape=sprites.shape, network="conv")
    measure(model, sprites, batch=128, device=device, execution=execution)
