"""annealed-vae: gamma * |KL - C(t)| for each example."""

from __future__ import annotations

import pytest
import torch
from training_helpers import QUICK, images, small

import vaezoo

B = 6


def scored(model: vaezoo.VAE, x: torch.Tensor, step: int) -> tuple[vaezoo.Trace, torch.Tensor]:
    torch.manual_seed(7)
    trace = model(x)
    return trace, model.objective.score(trace, model.objective.weights(torch.tensor(step))).loss


@pytest.mark.parametrize(("step", "capacity"), [(0, 0.0), (25, 5.0), (100, 20.0), (999, 20.0)])
def test_the_loss_is_equation_8_with_a_capacity_that_rises_and_stays(
    step: int, capacity: float
) -> None:
    model = small("annealed-vae", gamma=7.0, max_capacity=20.0, capacity_steps=100).double()
    trace, loss = scored(model, images(B).double(), step)
    expected = -trace.log_px[0] + 7.0 * (trace.kl[0] - capacity).abs()
    assert torch.allclose(loss, expected, rtol=1e-12)


def test_without_steps_the_capacity_is_there_from_the_start() -> None:
    model = small("annealed-vae", max_capacity=4.0, capacity_steps=0)
    assert model.objective.weights(torch.tensor(0))["capacity"] == 4.0


def test_at_capacity_0_and_gamma_1_it_is_the_vae_bit_for_bit() -> None:
    vae = small("vae")
    annealed = small("annealed-vae", gamma=1.0, max_capacity=0.0)
    annealed.load_state_dict(vae.state_dict())
    found = []
    for model in (vae, annealed):
        _, loss = scored(model, images(B), 3)
        loss.mean().backward()
        found.append([loss, *(p.grad for p in model.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_each_example_is_held_to_the_capacity_on_its_own() -> None:
    """Deviations of both signs add up; of the batch's mean KL they would cancel."""
    model = small("annealed-vae", gamma=2.0)
    trace = model(images(2))
    trace.kl = torch.tensor([[2.0, 5.0]], requires_grad=True)
    weights = {"gamma": torch.tensor(2.0), "capacity": torch.tensor(3.0)}
    regularizer = model.objective.regularizer(trace, weights)
    assert regularizer.tolist() == [[2.0, 4.0]]
    regularizer.sum().backward()
    assert trace.kl.grad.tolist() == [[-2.0, 2.0]]  # up to the capacity, and down to it
    assert model.objective.per_example


def test_training_holds_the_kl_at_the_capacity() -> None:
    model = small("annealed-vae", max_capacity=3.0, capacity_steps=200)
    options = {"steps": 400, "learning_rate": 3e-3, "validation": images(16, seed=1)}
    history = vaezoo.fit(model, images(64), **options, **QUICK)
    assert history.column("kl", "validation")[-1] == pytest.approx(3.0, abs=0.5)
    assert history.column("capacity")[-1] == 3.0
    assert history.column("gamma")[-1] == 30.0
    assert not history.column("beta")  # which weighs nothing here


@pytest.mark.parametrize("option", ["gamma", "max_capacity", "capacity_steps"])
def test_what_is_negative_is_refused(option: str) -> None:
    with pytest.raises(vaezoo.OptionError, match=f"{option} must not be negative"):
        vaezoo.create("annealed-vae", **{option: -1})
