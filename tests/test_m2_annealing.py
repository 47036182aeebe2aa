"""m2-vae: KLs that weigh more at the start."""

from __future__ import annotations

import pytest
import torch
from test_m2_vae import MIXED, tiny, traced, x_and_noise


def test_both_kls_weigh_start_beta_at_first_and_one_at_the_end() -> None:
    model = tiny(0.3, start_beta=5.0, anneal_steps=8)
    x, noise = x_and_noise()
    trace = traced(model, x, MIXED, noise)
    for step, beta in ((0, 5.0), (4, 3.0), (8, 1.0), (50, 1.0)):
        weights = model.objective.weights(torch.tensor(step))
        loss = model.objective.score(trace, weights).loss
        expected = -trace.log_px + beta * sum(trace.kls) + trace.penalties["classification"]
        assert len(trace.kls) == 2
        assert torch.allclose(loss, expected.mean(0), rtol=1e-12)
    assert torch.allclose(trace.elbo, trace.log_px - sum(trace.kls), rtol=1e-12)


def test_without_it_the_loss_is_the_bound() -> None:
    model = tiny()
    assert model.objective.weights(torch.tensor(0))["beta"].item() == 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_beta": 3.0}, "needs anneal_steps"),
        ({"start_beta": -1.0, "anneal_steps": 5}, "start_beta must not be negative"),
        ({"anneal_steps": -5}, "anneal_steps must not be negative"),
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tiny(**options)
