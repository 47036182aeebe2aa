"""What users do with a model: create, save, load, sample, and score it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from bench_helpers import CLASSES, MakeModel, Report
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

import vaezoo


def labels(model: vaezoo.VAE, n: int, device: str) -> Tensor | None:
    return None if model.num_classes is None else torch.arange(n, device=device) % CLASSES


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


@pytest.mark.benchmark(group="create")
def test_create(
    variant: str, make_model: MakeModel, benchmark: BenchmarkFixture, report: Report
) -> None:
    report(benchmark(make_model, variant))


@pytest.mark.benchmark(group="save")
def test_save(
    variant: str,
    make_model: MakeModel,
    benchmark: BenchmarkFixture,
    report: Report,
    tmp_path: Path,
) -> None:
    model = make_model(variant)
    benchmark(vaezoo.save, model, tmp_path / "model")
    report(model)


@pytest.mark.benchmark(group="load")
def test_load(
    variant: str,
    make_model: MakeModel,
    benchmark: BenchmarkFixture,
    report: Report,
    tmp_path: Path,
) -> None:
    vaezoo.save(make_model(variant), tmp_path / "model")
    report(benchmark(vaezoo.load, tmp_path / "model"))


@pytest.mark.benchmark(group="sample 64 images")
def test_sample(
    variant: str,
    device: str,
    make_model: MakeModel,
    benchmark: BenchmarkFixture,
    report: Report,
) -> None:
    model = make_model(variant, device)
    y = labels(model, 64, device)

    def sample() -> None:
        model.sample(64, y)
        wait(device)

    benchmark(sample)
    report(model, device=device, images=64, batch=64)


@pytest.mark.benchmark(group="elbo of 1,000 images")
def test_elbo(
    variant: str,
    device: str,
    make_model: MakeModel,
    benchmark: BenchmarkFixture,
    report: Report,
) -> None:
    model = make_model(variant, device)
    if model.bound == "none":
        pytest.skip(f"{variant} minimises no bound on log p(x)")
    x = torch.rand(1000, *(model.input_shape or ()), device=device)
    y = labels(model, len(x), device)

    def elbo() -> None:
        model.elbo(x, y)
        wait(device)

    benchmark(elbo)
    report(model, device=device, images=len(x), batch=len(x))
