"""Data that stay in the host's memory: the same batches, sent ahead."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import torch
from torch import Tensor
from training_helpers import QUICK, images, same, small, train, weights

import vaezoo
from vaezoo.data import Subset, TensorSource, TrainingBatches, as_data
from vaezoo.data.host_batches import AHEAD, HostBatches
from vaezoo.training.batches import fits, training_batches
from vaezoo.training.config import TrainingConfig


def source() -> TensorSource:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (50, 1, 4, 4), dtype=torch.uint8, generator=generator)
    return TensorSource(x, torch.arange(50) % 3)


@pytest.mark.parametrize("binarization", ["none", "static", "dynamic"])
def test_they_are_the_batches_of_data_on_the_device(binarization: Any) -> None:
    options: dict[str, Any] = {"batch_size": 8, "seed": 3, "binarization": binarization}
    resident = TrainingBatches(source(), **options)
    sent = HostBatches(source(), device="cpu", **options)
    for step in [*range(20), 5, 6, 40]:
        torch.manual_seed(step)
        expected = resident.batch(step)
        torch.manual_seed(step)
        for ours, theirs in zip(sent.batch(step), expected, strict=True):
            assert torch.equal(ours, theirs)  # type: ignore[arg-type]


def test_a_run_with_data_on_the_host_is_the_same_run() -> None:
    here, there = small(), small()
    train(here, None)
    train(there, None, data_memory=0)
    assert same(weights(here), weights(there))


def test_the_next_batches_are_gathered_meanwhile() -> None:
    class Slow(TensorSource):
        def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
            time.sleep(0.02)
            threads.add(threading.current_thread().name)
            return super().examples(index)

    threads: set[str] = set()
    batches = HostBatches(Slow(source().x), batch_size=8, seed=0, device="cpu")
    batches.batch(0)
    time.sleep(0.02 * (AHEAD + 3))  # a step, long enough
    started = time.perf_counter()
    batches.batch(1)
    assert time.perf_counter() - started < 0.015
    assert threading.current_thread().name not in threads


def test_what_cannot_be_gathered_raises_where_it_is_asked_for() -> None:
    class Broken(TensorSource):
        def examples(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
            raise vaezoo.DataError("this cannot be read")

    batches = HostBatches(Broken(source().x), batch_size=8, seed=0, device="cpu")
    with pytest.raises(vaezoo.DataError, match="cannot be read"):
        batches.batch(0)


def test_what_fits_lies_on_the_device() -> None:
    big = source()
    assert big.nbytes == 50 * 16 + 50 * 8
    assert Subset(big, range(25)).nbytes == big.nbytes // 2
    gib = big.nbytes / 2**30
    assert fits(big, "cpu", None)
    assert fits(big, "cpu", gib)
    assert not fits(big, "cpu", 0.99 * gib)
    assert as_data("sprites").train.nbytes == 0  # rendered
    data = as_data(images())
    config = TrainingConfig(batch_size=8, data_memory=0)
    assert isinstance(training_batches(small(), data, config), HostBatches)


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(vaezoo.OptionError, match="data_memory must be at least 0"):
        vaezoo.fit(small(), images(), steps=1, data_memory=-1, **QUICK)


@pytest.mark.gpu
def test_batches_reach_cuda_without_waiting() -> None:
    resident = TrainingBatches(source().to("cuda"), batch_size=8, seed=0)
    sent = HostBatches(source(), batch_size=8, seed=0, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = [sent.batch(step) for step in range(12)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for step, batch in enumerate(found):
        assert torch.equal(batch.x, resident.batch(step).x)


@pytest.mark.gpu
def test_a_run_on_cuda_with_data_on_the_host_is_the_same_run() -> None:
    options: dict[str, Any] = {"device": "cuda", "precision": "fp32", "execution": "eager"}
    here, there = small(), small()
    train(here, None, **options)
    train(there, None, data_memory=0, **options)
    for name, value in weights(here).items():
        torch.testing.assert_close(weights(there)[name], value)
