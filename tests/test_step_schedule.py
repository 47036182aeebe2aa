"""The learning rate that falls at milestones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from training_helpers import Stop, images, interrupt_at, make_step, same, small, train, weights

import vaezoo
from vaezoo.training import TrainingConfig

STEP: dict[str, Any] = {"lr_schedule": "step", "lr_milestones": (10, 22), "lr_factor": 0.5}


def test_it_is_multiplied_at_each_milestone_after_the_warm_up() -> None:
    rate = make_step(small(), learning_rate=2.0, lr_warmup_steps=4, **STEP).rate
    values = [rate(torch.tensor(step)).item() for step in (0, 3, 9, 10, 21, 22, 99)]
    assert values == [0.5, 2.0, 2.0, 1.0, 1.0, 0.5, 0.5]
    default = make_step(small(), learning_rate=2.0, lr_schedule="step", lr_milestones=(3,)).rate
    assert default(torch.tensor(3)).item() == pytest.approx(0.2)


def test_it_is_burdas_schedule() -> None:
    """Burda et al. 2016: 1e-3 times 10^(-i/7) for 3^i epochs, i = 0..7."""
    an_epoch = 7
    ends = [sum(3**j for j in range(i + 1)) * an_epoch for i in range(7)]
    rate = make_step(
        small(), lr_schedule="step", lr_milestones=tuple(ends), lr_factor=10 ** (-1 / 7)
    ).rate
    for i, end in enumerate(ends):
        before, after = (rate(torch.tensor(step)).item() for step in (end - 1, end))
        assert before == pytest.approx(1e-3 * 10 ** (-i / 7), rel=1e-5)
        assert after == pytest.approx(1e-3 * 10 ** (-(i + 1) / 7), rel=1e-5)


def test_a_run_resumes_across_a_milestone_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = small()
    train(whole, None, **STEP)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 17)
        with pytest.raises(Stop):
            train(small(), tmp_path / "run", **STEP)
    resumed = small()
    train(resumed, tmp_path / "run", resume=True, **STEP)
    assert same(weights(whole), weights(resumed))
    with pytest.raises(vaezoo.RunError, match=r"lr_milestones was \[10, 22\]"):
        train(small(), tmp_path / "run", resume=True, **STEP | {"lr_milestones": (11, 22)})


def test_it_needs_no_length() -> None:
    lines = vaezoo.data.Stream([images(8)] * 3)
    vaezoo.fit(small(), lines, epochs=1, batch_size=8, progress=False, **STEP)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr_schedule": "step"}, "needs lr_milestones"),
        ({**STEP, "lr_milestones": (22, 10)}, r"rising order .*, not \(22, 10\)"),
        ({**STEP, "lr_milestones": (0, 10)}, "positive steps"),
        ({**STEP, "lr_factor": 2.0}, r"lr_factor must lie in \(0, 1\], not 2.0"),
        ({"lr_milestones": (5,)}, "lr_milestones belongs to the schedule 'step'"),
        ({"lr_factor": 0.3, "lr_schedule": "cosine"}, "lr_schedule is 'cosine'"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=message):
        TrainingConfig(**options)
