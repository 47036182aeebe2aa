"""A step that is recorded once and replayed: by CUDA graphs, here mostly by a stand-in."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import QUICK, images, make_step, same, small, weights

import vaezoo
from vaezoo.data import TensorSource, TrainingBatches
from vaezoo.data.host_batches import HostBatches
from vaezoo.training.captured import WARM_UP, Captured, Replay, Taking

STEPS = 12


def batches(device: str = "cpu", size: int = 8) -> TrainingBatches:
    return TrainingBatches(TensorSource(images(48)).to(device), batch_size=size, seed=0)


GATHER = batches().gather


def trained(
    name: str, take: Callable[[Any], Any], **options: Any
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Weights and figures after some steps, taken by what ``take`` makes of the training step."""
    model = small(name, **options)
    step = make_step(model, learning_rate=1e-2, batch_size=8, ema=0.9)
    go, source = take(step), batches()
    torch.manual_seed(0)
    for number in range(STEPS):
        go(source.draw(number), number)
    return weights(model), step.figures()


@pytest.mark.parametrize("name", ["vae", "iwae", "factor-vae", "vae-gan", "vq-vae"])
def test_replayed_steps_are_the_steps(name: str) -> None:
    recorded = 0

    def record(work: Callable[[], None]) -> Replay:
        nonlocal recorded
        recorded += 1
        return work

    expected, figures = trained(name, lambda step: Taking(step, GATHER))
    found, ours = trained(name, lambda step: Captured(step, GATHER, record))
    assert recorded == 1
    assert same(found, expected)
    assert ours == figures


def test_batches_from_the_host_are_copied_to_where_the_recording_looks() -> None:
    found = []
    for capture in (False, True):
        source = HostBatches(
            TensorSource(images(48)), batch_size=8, seed=0, binarization="dynamic", device="cpu"
        )
        model = small()
        step = make_step(model, batch_size=8)
        take = Taking(step, source.gather)
        if capture:
            take = Captured(step, source.gather, lambda work: work)
        torch.manual_seed(0)
        for number in range(STEPS):
            take(source.draw(number), number)
        found.append(weights(model))
    assert same(*found)


def test_each_set_of_phases_has_a_recording() -> None:
    def every_second(step: Any) -> Any:
        object.__setattr__(step.updates[1].phase, "every", 2)
        return step

    recorded: list[Replay] = []

    def record(work: Callable[[], None]) -> Replay:
        recorded.append(work)
        return work

    expected = trained("factor-vae", lambda step: Taking(every_second(step), GATHER))
    found = trained("factor-vae", lambda step: Captured(every_second(step), GATHER, record))
    assert len(recorded) == 2
    assert same(found[0], expected[0])


def test_what_cannot_be_recorded_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def record(work: Callable[[], None]) -> Replay:
        raise RuntimeError("a synchronisation is not permitted")

    expected, _ = trained("vae", lambda step: Taking(step, GATHER))
    with caplog.at_level(logging.WARNING, logger="vaezoo"):
        found, _ = trained("vae", lambda step: Captured(step, GATHER, record))
    assert same(found, expected)
    assert caplog.text.count("a synchronisation is not permitted") == 1


def test_a_batch_of_another_shape_runs_as_it_is() -> None:
    model = small()
    step = make_step(model, batch_size=8)
    take = Captured(step, GATHER, lambda work: work)
    for number in range(WARM_UP + 2):
        take(batches().draw(number), number)
    take(batches(size=6).draw(0), WARM_UP + 2)
    assert step.step.item() == WARM_UP + 3


@pytest.mark.slow
def test_a_cpu_has_no_graphs_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vaezoo"):
        options = {"device": "cpu", "execution": "captured", **QUICK}
        vaezoo.fit(small(), images(), steps=2, **options)
    assert "cpu has no CUDA graphs" in caplog.text


ON_CUDA: dict[str, Any] = {"device": "cuda", "precision": "fp32", **QUICK}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["vae", "factor-vae", "vq-vae"])
def test_captured_and_eager_training_on_cuda_are_the_same(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    losses = []
    with caplog.at_level(logging.WARNING, logger="vaezoo"):
        for execution in ("eager", "captured"):
            history = vaezoo.fit(small(name), images(), steps=30, execution=execution, **ON_CUDA)
            column = "loss" if name != "factor-vae" else "elbo"
            losses.append(history.column(column))
    assert "not captured" not in caplog.text
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.gpu
def test_a_captured_step_waits_for_nothing_and_draws_anew() -> None:
    model, source = small().cuda(), batches("cuda")
    take = Captured(
        make_step(
            model,
            device="cuda",
            precision="fp32",
            execution="captured",
            batch_size=8,
            learning_rate=1e-12,
        ),
        source.gather,
    )
    for number in range(WARM_UP + 1):
        take(source.draw(0), number)
    take.step.figures()
    seen = set()
    for number in range(4):
        drawn = source.draw(0)
        torch.cuda.set_sync_debug_mode("error")
        try:
            take(drawn, number)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        seen.add(take.step.figures()["loss"])
    assert not take.fails
    assert len(seen) == 4


@pytest.mark.gpu
def test_a_captured_run_resumes(tmp_path: Path) -> None:
    options = {"execution": "captured", "checkpoint_every": 10, "validate_every": 10, **ON_CUDA}
    whole, cut = small(), small()
    vaezoo.fit(whole, images(), steps=30, out=tmp_path / "whole", **options)
    vaezoo.fit(cut, images(), steps=10, out=tmp_path / "cut", **options)
    vaezoo.fit(cut := small(), images(), steps=30, out=tmp_path / "cut", resume=True, **options)
    for name, value in weights(whole).items():
        torch.testing.assert_close(weights(cut)[name], value, rtol=1e-4, atol=1e-5)
