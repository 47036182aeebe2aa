"""The running mean of the weights: its formula, what is made of it, and that it is resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from training_helpers import Stop, images, interrupt_at, make_step, same, small, train, weights

import vaezoo
from vaezoo.training.average import Average
from vaezoo.training.step import TrainingStep


def test_the_mean_is_the_closed_form() -> None:
    """mean_n = d^n w_0 + (1 - d) sum_k d^(n-k) w_k."""
    decay, n = 0.9, 7
    model = small().double()
    step = make_step(model, ema=decay, learning_rate=1e-2)
    path = [weights(model)]
    for number in range(n):
        step(vaezoo.Batch(images(8).double()), number)
        path.append(weights(model))
    assert step.average is not None
    for name, mean in step.average.means.items():
        expected = decay**n * path[0][name]
        for k in range(1, n + 1):
            expected = expected + (1 - decay) * decay ** (n - k) * path[k][name]
        assert torch.allclose(mean, expected, rtol=1e-12, atol=1e-14)
        assert not torch.equal(path[-1][name], path[0][name])


def test_training_itself_is_the_same_with_and_without_a_mean() -> None:
    plain, averaged = small(), small()
    steps = [make_step(plain), make_step(averaged, ema=0.5)]
    for number in range(4):
        for step in steps:
            torch.manual_seed(number)
            step(vaezoo.Batch(images(8)), number)
    assert same(weights(plain), weights(averaged))


class Mixed(nn.Module):
    """Parameters of two precisions, one of them used twice, and a buffer."""

    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
        self.single = nn.Parameter(torch.zeros(2))
        self.again = self.single
        self.register_buffer("counts", torch.zeros(4))


def test_a_mean_is_kept_in_float32_and_given_in_the_weights_own_precision() -> None:
    model = Mixed()
    average = Average(model, 0.999)
    with torch.no_grad():
        model.narrow.fill_(2)
        model.single.fill_(4)
        model.counts.fill_(9)
        average.update()
    assert average.means["narrow"].dtype == torch.float32
    assert average.means["narrow"].tolist() == pytest.approx([1.001] * 3)  # bfloat16 has no 1.001
    with average.applied():
        assert model.narrow.dtype == torch.bfloat16
        assert model.single.tolist() == pytest.approx([0.004] * 2)
        assert model.counts.tolist() == [9] * 4  # buffers are the latest
        assert model.again is model.single
    assert (model.narrow.tolist(), model.single.tolist()) == ([2] * 3, [4] * 2)


def test_validation_the_best_weights_and_the_export_are_the_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[TrainingStep] = []
    original = TrainingStep.__init__

    def remember(self: TrainingStep, *arguments: Any) -> None:
        original(self, *arguments)
        steps.append(self)

    monkeypatch.setattr(TrainingStep, "__init__", remember)
    model = small()
    history = train(model, tmp_path, ema=0.8, steps=10)
    (step,) = steps
    assert step.average is not None
    assert same(dict(model.named_parameters()), step.average.means)
    assert same(weights(vaezoo.load(tmp_path)), weights(model))
    # The validation record is that of these weights.
    data = vaezoo.data.as_data(images(48))
    assert data.validation is not None
    x, _ = data.validation.examples(torch.arange(4))
    assert history.best is not None
    assert history.best["kl"] == pytest.approx(model(x).kl.mean().item(), rel=1e-4)


def test_the_mean_is_left_in_the_model_where_nothing_is_validated() -> None:
    plain, averaged = small(), small()
    for model, ema in ((plain, None), (averaged, 0.9)):
        train(model, None, ema=ema, validation=0)
    assert not same(weights(plain), weights(averaged))


@pytest.mark.parametrize("crash", [3, 17])
def test_a_mean_is_resumed_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crash: int
) -> None:
    whole, resumed = small(), small()
    train(whole, None, ema=0.9)
    with monkeypatch.context() as patch:
        interrupt_at(patch, crash)
        with pytest.raises(Stop):
            train(small(), tmp_path, ema=0.9, checkpoint_every=5)
    train(resumed, tmp_path, ema=0.9, checkpoint_every=5, resume=True)
    assert same(weights(whole), weights(resumed))


def test_a_run_without_a_mean_cannot_go_on_with_one(tmp_path: Path) -> None:
    train(small(), tmp_path)
    with pytest.raises(vaezoo.RunError, match=r"training.ema was None and now is 0.9"):
        train(small(), tmp_path, ema=0.9, resume=True)


@pytest.mark.parametrize("decay", [0.0, 1.0, -0.5])
def test_a_decay_that_makes_no_sense_is_refused(decay: float) -> None:
    with pytest.raises(vaezoo.OptionError, match=r"ema must lie between 0 and 1"):
        train(small(), None, ema=decay)


@pytest.mark.slow
def test_compiled_and_eager_means_are_the_same() -> None:
    models = [small(), small()]
    for model, execution in zip(models, ("eager", "compiled"), strict=True):
        train(model, None, ema=0.9, execution=execution)
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.gpu
def test_a_mean_on_cuda_does_not_wait_for_the_device() -> None:
    model = small().cuda()
    step = make_step(model, device="cuda", precision="fp32", execution="eager", ema=0.9)
    batch = vaezoo.Batch(images(8).cuda())
    step(batch, 0)  # the optimizer's state is made at the first step
    torch.cuda.set_sync_debug_mode("error")
    try:
        for number in range(1, 4):
            step(batch, number)
    finally:
        torch.cuda.set_sync_debug_mode("default")
