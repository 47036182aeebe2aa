"""What users do with a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import vaezoo

B, C, H, W, D = 3, 2, 6, 5, 4


def make(name: str = "vae", **options: Any) -> vaezoo.VAE:
    torch.manual_seed(0)
    return vaezoo.create(name, input_shape=(C, H, W), latent_dim=D, **options)


def batch() -> Tensor:
    return torch.rand(B, C, H, W, generator=torch.Generator().manual_seed(1))


def test_shapes_of_everything() -> None:
    model, x = make(), batch()
    assert model(x, samples=7).log_w.shape == (7, B)
    assert model.encode(x).mean.shape == (B, D)
    assert model.decode(torch.randn(7, B, D)).mean.shape == (7, B, C, H, W)
    assert model.embed(x).shape == (B, D)
    assert model.reconstruct(x).shape == (B, C, H, W)
    assert model.sample(7).shape == (7, C, H, W)
    assert model.interpolate(x[:2], x[1:], steps=7).shape == (2, 7, C, H, W)
    assert model.traverse(x[:1], dims=[3, 1], steps=7).shape == (2, 7, C, H, W)
    assert model.elbo(x).shape == (B,)
    assert model.log_likelihood(x, samples=7).shape == (B,)


def test_embedding_is_the_posterior_mean_and_reconstruction_its_decoding() -> None:
    model, x = make(), batch()
    assert torch.equal(model.embed(x), model.encode(x).mean)
    assert torch.allclose(model.reconstruct(x), model.decode(model.embed(x)).mean)


def test_an_interpolation_begins_and_ends_with_the_reconstructions() -> None:
    model, x = make(), batch()
    path = model.interpolate(x[:1], x[1:2], steps=5)[0]
    assert torch.allclose(path[0], model.reconstruct(x[:1])[0], atol=1e-6)
    assert torch.allclose(path[-1], model.reconstruct(x[1:2])[0], atol=1e-6)


def test_a_traversal_moves_one_dimension_and_leaves_the_others() -> None:
    model, x = make(), batch()
    rows = model.traverse(x[:1], dims=[2], steps=3, limit=1.5)[0]
    z = model.embed(x[:1])
    for value, image in zip((-1.5, 0.0, 1.5), rows, strict=True):
        moved = z.clone()
        moved[0, 2] = value
        assert torch.allclose(image, model.decode(moved).mean[0], atol=1e-6)


def test_more_examples_than_a_piece_holds_give_the_same_as_few() -> None:
    model = make()
    x = torch.rand(2100, C, H, W)
    assert torch.allclose(model.embed(x)[2050:], model.embed(x[2050:]), atol=1e-6)
    assert model.elbo(x).shape == (2100,)
    assert model.sample(2100).shape[0] == 2100


def test_seeds_decide_and_leave_the_callers_random_state_alone() -> None:
    model, x = make(), batch()
    state = torch.get_rng_state()
    assert torch.equal(model.sample(5, seed=1), model.sample(5, seed=1))
    assert not torch.equal(model.sample(5, seed=1), model.sample(5, seed=2))
    assert torch.equal(model.elbo(x, seed=1), model.elbo(x, seed=1))
    assert torch.equal(
        model.log_likelihood(x, samples=9, seed=1), model.log_likelihood(x, samples=9, seed=1)
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_methods_run_in_eval_mode_and_restore_each_modules_own() -> None:
    model, x = make(), batch()
    model.train()
    model.encoder.eval()
    seen = []
    model.decoder.register_forward_hook(lambda module, *_: seen.append(module.training))
    assert not model.reconstruct(x).requires_grad
    assert seen == [False]
    assert model.training
    assert model.decoder.training
    assert not model.encoder.training
    assert model(x).log_px.requires_grad


def test_uint8_images_are_scaled() -> None:
    model = make()
    x = torch.randint(0, 256, (B, C, H, W), dtype=torch.uint8)
    assert torch.equal(model.embed(x), model.embed(x.float() / 255))


def test_the_elbo_never_contains_beta() -> None:
    plain, heavy = make("beta-vae", beta=1.0), make("beta-vae", beta=50.0)
    assert torch.equal(plain.elbo(batch(), seed=0), heavy.elbo(batch(), seed=0))


def test_the_bound_tightens_with_the_samples() -> None:
    model = make()
    x = batch().repeat(300, 1, 1, 1)
    bounds = [model.log_likelihood(x, samples=k, seed=0).mean() for k in (1, 5, 50)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert bounds[0].item() == pytest.approx(model.elbo(x, seed=0).mean().item(), abs=0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.embed(torch.rand(B, C, W, H)), r"model takes \(B, 2, 6, 5\)"),
        (lambda m: m.embed(torch.rand(C, H, W)), r"model takes"),
        (lambda m: m.embed(torch.rand(0, C, H, W)), "no example"),
        (lambda m: m.elbo(torch.rand(B, C, H, W) * 2), r"\[0, 1\]"),
        (lambda m: m.decode(torch.rand(B, D + 1)), r"must be \(\.\.\., B, 4\)"),
        (lambda m: m.decode(torch.rand(D)), r"must be \(\.\.\., B, 4\)"),
        (lambda m: m.traverse(torch.rand(2, C, H, W)), "one example"),
        (lambda m: m.traverse(torch.rand(1, C, H, W), dims=[4]), r"there are 0\.\.3"),
    ],
)
def test_wrong_input_gets_one_clear_error(call: Any, message: str) -> None:
    with pytest.raises(vaezoo.DataError, match=message):
        call(make())


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "pass y"),
        (torch.tensor([0, 1, 6]), r"lies in 0\.\.6; this model takes int64 labels in 0\.\.5"),
        (torch.tensor([0, 1, -1]), r"lies in -1\.\.1"),
        (torch.tensor([0, 1]), r"shape \(2,\)"),
        (torch.tensor([0.0, 1.0, 2.0]), "float32"),
    ],
)
def test_wrong_labels_get_one_clear_error(y: Tensor | None, message: str) -> None:
    model = make("cvae", num_classes=6)
    for call in (model.embed, model.reconstruct, model.elbo):
        with pytest.raises(vaezoo.DataError, match=message):
            call(batch(), y)
    with pytest.raises(vaezoo.DataError, match=message):
        model.sample(3, y)


def test_a_conditional_model_heeds_its_labels() -> None:
    model = make("cvae", num_classes=6)
    y = torch.tensor([0, 3, 5])
    assert not torch.equal(model.sample(3, y, seed=0), model.sample(3, y.flip(0), seed=0))
    assert model.traverse(batch()[:1], y=y[:1]).shape == (D, 11, C, H, W)
    assert model.interpolate(batch(), batch().flip(0), y=y).shape == (B, 11, C, H, W)


def test_the_objective_is_referred_to_but_not_owned() -> None:
    model = make()
    model.objective.critic = torch.nn.Linear(2, 2)
    assert not [name for name, _ in model.named_parameters() if "critic" in name]


def test_arrays_lists_and_small_integer_labels_are_taken() -> None:
    model, x = make("cvae", num_classes=6), batch()
    y = torch.tensor([0, 1, 1])
    expected = model.reconstruct(x, y)
    assert torch.equal(model.reconstruct(x.numpy(), [0, 1, 1]), expected)
    assert torch.equal(model.reconstruct(x, y.to(torch.uint8)), expected)
    assert torch.equal(model.sample(3, y.to(torch.uint8), seed=0), model.sample(3, y, seed=0))
    with pytest.raises(vaezoo.DataError, match="bool"):
        model.sample(3, torch.tensor([True, False, True]))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e39])
@pytest.mark.parametrize(
    "call",
    [
        lambda model, x: model.encode(x),
        lambda model, x: model.embed(x),
        lambda model, x: model.reconstruct(x),
        lambda model, x: model.elbo(x),
        lambda model, x: model.log_likelihood(x, samples=2),
        lambda model, x: model.interpolate(x, torch.zeros(B, 7, dtype=x.dtype)),
        lambda model, x: model.interpolate(torch.zeros(B, 7, dtype=x.dtype), x),
        lambda model, x: model.traverse(x[2:]),
    ],
)
def test_a_row_that_is_not_finite_is_named(call: Any, value: float) -> None:
    torch.manual_seed(0)
    model = vaezoo.create("vae", input_shape=(7,), latent_dim=D, likelihood="gaussian")
    x = torch.randn(B, 7, dtype=torch.float64)
    x[2, 3] = value
    with pytest.raises(vaezoo.DataError, match=r"1 of [13] examples? hold NaN.* index [02];"):
        call(model, x)
    z = torch.zeros(2, B, D, dtype=torch.float64)
    z[1, 2, 3] = value
    with pytest.raises(vaezoo.DataError, match=r"1 of 6 codes hold NaN .* at index 5;"):
        model.decode(z)


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.sample(0),
        lambda m: m.log_likelihood(batch(), samples=0),
        lambda m: m.log_likelihood(batch(), samples=5, chunk=0),
        lambda m: m.interpolate(batch()[:1], batch()),
        lambda m: m.traverse(batch()[:1], dims=[]),
    ],
)
def test_numbers_that_make_no_sense(call: Any) -> None:
    with pytest.raises(vaezoo.DataError):
        call(make())


def test_an_objective_cannot_be_assigned_since_nothing_would_follow_it() -> None:
    model = vaezoo.create("vae", input_shape=(4,), latent_dim=2)
    with pytest.raises(AttributeError, match=r"vaezoo.VAE\(.*objective=...\)"):
        model.objective = vaezoo.ELBO(4.0)


@pytest.mark.parametrize("given", [2.5, True, "7", None, 0])
def test_what_is_no_whole_number_is_told(given: Any) -> None:
    for call in (
        lambda: make().sample(given),
        lambda: make().log_likelihood(batch(), samples=given),
    ):
        with pytest.raises(vaezoo.DataError, match="must be a whole number of at least 1, not"):
            call()
    with pytest.raises(vaezoo.DataError, match=r"seed must be a whole number, not 1\.5"):
        make().sample(2, seed=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["vae", None, torch.nn.Linear(2, 2)])
def test_what_is_no_model_is_told(given: Any, tmp_path: Path) -> None:
    for call in (
        lambda: vaezoo.fit(given, batch(), steps=1),
        lambda: vaezoo.evaluate(given, batch()),
        lambda: vaezoo.save(given, tmp_path / "model"),
    ):
        with pytest.raises(vaezoo.OptionError, match=r"must be a vaezoo\.VAE.*vaezoo\.load"):
            call()


@pytest.mark.parametrize("given", ["runs/x", object(), None])
def test_what_is_no_examples_is_told(given: Any) -> None:
    with pytest.raises(vaezoo.DataError, match="x must be examples, as a tensor or an array"):
        make().elbo(given)
